import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');

/** Resolves to the complaints of a checker, empty when it has none. */
async function complaintsOf(file: string, ...args: string[]): Promise<string> {
  return run(join(root, 'node_modules/.bin', file), args, { cwd: root, maxBuffer: 64 * 1024 * 1024 }).then(
    () => '',
    (failure: { stdout: string; stderr: string }) => failure.stdout + failure.stderr,
  );
}

test('the types hold', { timeout: 120_000 }, async () => {
  expect(await complaintsOf('tsc', '--noEmit')).toBe('');
});

test('lint and format have nothing to say, warnings included', { timeout: 120_000 }, async () => {
  expect(await complaintsOf('biome', 'check', '--error-on-warnings', '.')).toBe('');
});

test('the lock file names no address, and every package for every platform', async () => {
  const text = await readFile(join(root, 'package-lock.json'), 'utf8');
  expect(text).not.toContain('"resolved"');
  const { packages } = JSON.parse(text) as { packages: Record<string, { optionalDependencies?: object }> };
  const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies));
  const locked = Object.keys(packages).map(path => path.slice(path.lastIndexOf('node_modules/') + 13));
  expect(wanted.filter(name => !locked.includes(name))).toEqual([]);
});
