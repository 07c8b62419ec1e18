import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withFileLock } from '../../src/audit/file-lock.ts';
import { makeDataFolder, removeDataFolder } from '../support/data-folder.ts';

let folder: string;
let lock: string;

beforeAll(async () => {
  folder = await makeDataFolder();
  lock = join(folder, 'lock');
});
afterAll(() => removeDataFolder(folder));

/** Another process that takes the lock and never lets it go. */
async function holdElsewhere() {
  const module = join(import.meta.dirname, '../../src/audit/file-lock.ts');
  const script = `import { withFileLock } from ${JSON.stringify(module)};
    await withFileLock(${JSON.stringify(lock)}, async () => { console.log('held'); await new Promise(r => setTimeout(r, 1e9)); });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  return {
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

test('one at a time, in one process', async () => {
  let inside = 0;
  let most = 0;
  const work = async () => {
    inside += 1;
    most = Math.max(most, inside);
    await new Promise(setImmediate);
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 20 }, () => withFileLock(lock, work)));
  expect(most).toBe(1);
});

test('who waits too long for another process hears so, and a killed one holds nothing', async () => {
  const other = await holdElsewhere();
  try {
    await expect(withFileLock(lock, async () => 'mine', 50)).rejects.toThrow('another process holds');
  } finally {
    await other.kill();
  }
  expect(await withFileLock(lock, async () => 'mine', 1000)).toBe('mine');
});

test('work that fails lets the lock go', async () => {
  const failing = withFileLock(lock, () => Promise.reject(new Error('no')));
  await expect(failing).rejects.toThrow('no');
  expect(await withFileLock(lock, async () => 'mine', 50)).toBe('mine');
});

test('a folder that is not there is said at once', async () => {
  await expect(withFileLock(join(folder, 'nowhere/lock'), async () => 0)).rejects.toThrow('unable to open');
});
