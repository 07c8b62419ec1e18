import { execFile } from 'node:child_process';
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
