import { expect, test } from 'vitest';
import type { Platform } from '../../../src/operator/release/platform.ts';
import type { Release } from '../../../src/operator/release/release.ts';
import { onceForEachPlatform } from '../../../src/operator/remote/deploy.ts';

const MAC: Platform = { os: 'darwin', cpu: 'arm64' };
const LINUX: Platform = { os: 'linux', cpu: 'x64' };

test('a release is built once for each platform, also for those who ask meanwhile', async () => {
  const built: string[] = [];
  const build = onceForEachPlatform(async ({ platform: { os } }) => {
    built.push(os);
    await new Promise(resolve => setImmediate(resolve));
    return { id: os, folder: os } as Release;
  });
  const ask = (platform: Platform) => build({ root: '', dataFolder: '', platform });
  const [one, other, linux] = await Promise.all([ask(MAC), ask({ ...MAC }), ask(LINUX)]);
  expect(other).toBe(one);
  expect(await ask(LINUX)).toBe(linux);
  expect(built).toEqual(['darwin', 'linux']);
});

test('a build that failed has failed for everybody', async () => {
  let builds = 0;
  const build = onceForEachPlatform(async () => {
    builds += 1;
    throw new Error('npm cannot be reached');
  });
  for (let i = 0; i < 2; i++) {
    await expect(build({ root: '', dataFolder: '', platform: MAC })).rejects.toThrow('npm cannot be reached');
  }
  expect(builds).toBe(1);
});
