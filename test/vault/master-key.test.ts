import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { WrongConfiguration } from '../../src/errors.ts';
import { readMasterKey } from '../../src/vault/master-key.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frame-test-key-'));
  file = join(folder, 'master.key');
  return () => rm(folder, { recursive: true, force: true });
});

const GOOD = Buffer.alloc(32, 7).toString('base64');
const write = (content: string, mode = 0o600) => writeFile(file, content, { mode });

async function complaintOf(reading: Promise<unknown>): Promise<string> {
  const error = await reading.then(
    () => undefined,
    thrown => thrown,
  );
  expect(error).toBeInstanceOf(WrongConfiguration);
  return String(error.message);
}

describe('reading', () => {
  test.each([GOOD, `${GOOD}\n`, `  ${GOOD}\r\n`])('takes %j', async content => {
    await write(content);
    expect((await readMasterKey(file, false)).reveal()).toEqual(Buffer.alloc(32, 7));
  });

  test.each([
    ['nothing', ''],
    ['31 bytes', Buffer.alloc(31).toString('base64')],
    ['33 bytes', Buffer.alloc(33).toString('base64')],
    ['32 characters that are no base64 of 32 bytes', 'a'.repeat(32)],
    ['hexadecimal', Buffer.alloc(32).toString('hex')],
    ['base64url', Buffer.alloc(32, 255).toString('base64url')],
    ['a second line', `${GOOD}\n${GOOD}`],
    ['something before it', `key: ${GOOD}`],
    ['raw bytes', '\u0000'.repeat(32)],
  ])('refuses %s, and does not repeat it', async (_, content) => {
    await write(content);
    const complaint = await complaintOf(readMasterKey(file, true));
    expect(complaint).toMatch(/master\.key {2}must hold 32 bytes in base64/);
    if (content.length > 8) expect(complaint).not.toContain(content.trim().slice(0, 8));
    expect(await readFile(file, 'utf8')).toBe(content);
  });

  test.each([0o640, 0o604, 0o620, 0o601, 0o666, 0o777])('refuses the rights %o and says chmod', async mode => {
    await write(GOOD);
    await chmod(file, mode);
    expect(await complaintOf(readMasterKey(file, true))).toBe(`${file}  can be read by others; run: chmod 600 ${file}`);
  });

  test('the rights of the file count, not those of a link to it', async () => {
    await writeFile(join(folder, 'real'), GOOD, { mode: 0o644 });
    await symlink('real', file);
    expect(await complaintOf(readMasterKey(file, true))).toMatch(/chmod 600/);
    await chmod(join(folder, 'real'), 0o400);
    expect((await readMasterKey(file, true)).reveal()).toHaveLength(32);
  });

  test('a missing file is not made unless it may be, and the sentence says how to make one', async () => {
    expect(await complaintOf(readMasterKey(file, false))).toMatch(
      /is not there; .*umask 077; openssl rand -base64 32 > /,
    );
    expect(await readdir(folder)).toEqual([]);
  });

  test('a folder is no key', async () => {
    await mkdir(file, { mode: 0o700 });
    expect(await complaintOf(readMasterKey(file, true))).toMatch(/cannot be read \(EISDIR\)/);
  });

  test('a file where a folder should be is no missing key', async () => {
    await write(GOOD);
    expect(await complaintOf(readMasterKey(join(file, 'master.key'), true))).toMatch(/cannot be read \(ENOTDIR\)/);
  });
});

describe('making', () => {
  test('makes one that only its owner can read, and keeps it', async () => {
    const first = await readMasterKey(file, true);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await readMasterKey(file, false)).reveal()).toEqual(first.reveal());
    expect((await readMasterKey(file, true)).reveal()).toEqual(first.reveal());
    expect(await readdir(folder)).toEqual(['master.key']);
  });

  test('makes the folder too, and no two keys alike', async () => {
    const keys = await Promise.all(
      ['a', 'b'].map(name => readMasterKey(join(folder, name, 'deep', 'master.key'), true)),
    );
    expect(keys[0]?.reveal()).not.toEqual(keys[1]?.reveal());
  });

  test('twenty at once get the same key, and leave nothing behind', async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => readMasterKey(file, true)));
    expect(new Set(keys.map(key => key.reveal().toString('hex'))).size).toBe(1);
    expect(await readdir(folder)).toEqual(['master.key']);
  });

  test('prints no key, whatever is printed', async () => {
    const key = await readMasterKey(file, true);
    expect(`${key} ${JSON.stringify({ key })}`).toBe('[REDACTED] {"key":"[REDACTED]"}');
  });
});
