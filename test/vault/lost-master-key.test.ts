import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createCompanies, customersYaml } from '../e2e/companies.ts';
import { makeFrameHome } from '../support/frame-process.ts';

test('a master key that is gone is not made anew over a database that was made with it', async () => {
  const entra = createCompanies();
  onTestFinished(() => entra.close());
  const home = await makeFrameHome(customersYaml(await entra.listen('127.0.0.1', 0)));
  onTestFinished(home.remove);
  const file = join(home.data, 'master.key');
  expect(await (await home.serve()).stop()).toBe(0);
  const key = await readFile(file);
  await rm(file);

  for (const command of ['serve', 'check']) {
    const { exit, out, err } = await home.run([command], { env: { FRAME_LISTEN: '127.0.0.1:0', FRAME_LOG: 'silent' } });
    expect([command, exit]).toEqual([command, 2]);
    expect(out + err).toMatch(/master\.key {2}is not there; restore it from your backup/);
    expect(existsSync(file)).toBe(false);
  }
  await home.writeFile('data/master.key', key, 0o600);
  expect(await (await home.serve()).stop()).toBe(0);
});
