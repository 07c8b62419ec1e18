import { appendFile, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appendLines, readLastLine, readLines, writeChecked, writeLines } from '../../src/audit/line-file.ts';
import { makeDataFolder, removeDataFolder } from '../support/data-folder.ts';
import { freshName } from '../support/postgres.ts';

let folder: string;

beforeAll(async () => {
  folder = await makeDataFolder();
});
afterAll(() => removeDataFolder(folder));

const freshFile = () => join(folder, freshName('lines'));
const last = (file: string) => readLastLine(file, text => (text.startsWith('line') ? text : undefined));
const texts = async (file: string, bytes?: number) =>
  (await Array.fromAsync(readLines(file, bytes))).map(({ text, isWhole }) => (isWhole ? text : `${text}…`));

describe('appending', () => {
  test('adds lines to a file that only its owner reads', async () => {
    const file = freshFile();
    await appendLines(file, ['line 1']);
    await appendLines(file, ['line 2', 'line 3']);
    expect(await readFile(file, 'utf8')).toBe('line 1\nline 2\nline 3\n');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test('ends a line that a killed process left unfinished, and leaves it there', async () => {
    const file = freshFile();
    await appendLines(file, ['line 1']);
    await appendFile(file, 'lin');
    expect(await last(file)).toBe('line 1');
    await appendLines(file, ['line 2']);
    expect(await texts(file)).toEqual(['line 1', 'lin', 'line 2']);
    expect(await last(file)).toBe('line 2');
  });

  test.skipIf(platform() !== 'linux')('to a full disk fails', async () => {
    const file = freshFile();
    await symlink('/dev/full', file);
    await expect(appendLines(file, ['line 1'])).rejects.toMatchObject({ code: 'ENOSPC' });
  });
});

describe('reading', () => {
  test('tells a line that is whole from one that is not', async () => {
    const file = freshFile();
    expect(await texts(file)).toEqual([]);
    await writeFile(file, '');
    expect(await texts(file)).toEqual([]);
    await writeFile(file, 'a\n\nb');
    expect(await texts(file)).toEqual(['a', '', 'b…']);
    expect(await texts(file, 3)).toEqual(['a', '']);
    expect(await texts(file, 1)).toEqual(['a…']);
    expect(await texts(file, 0)).toEqual([]);
  });

  test('joins what comes in pieces, in the middle of a letter too', async () => {
    const file = freshFile();
    const lines = Array.from({ length: 40 }, (_, i) => `line ${i} ${'😀ä'.repeat(2000 + i)}`);
    await appendLines(file, lines);
    expect(await texts(file)).toEqual(lines);
  });

  test('finds the last line of ours behind anything else', async () => {
    const file = freshFile();
    expect(await last(file)).toBeUndefined();
    await writeFile(file, `line 1\n${'x'.repeat(300_000)}\nnothing\nlin`);
    expect(await last(file)).toBe('line 1');
    await writeFile(file, 'nothing\n');
    expect(await last(file)).toBeUndefined();
    for (const text of ['line 1\nline 2', 'line 2', `line 1\nline 2\n${'x'.repeat(300_000)}`]) {
      await writeFile(file, text);
      expect(await last(file)).toBe('line 2');
    }
    await writeFile(file, `line ${'y'.repeat(200_000)}\n`);
    expect(await last(file)).toHaveLength(200_005);
  });

  test('a folder in its place is an error, not an empty file', async () => {
    const file = freshFile();
    await mkdir(file);
    await expect(texts(file)).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('a new file', () => {
  async function* some(fail = false) {
    yield 'line 1';
    if (fail) throw new Error('no more');
  }

  test('is never written over another', async () => {
    const file = freshFile();
    await writeLines(file, some());
    expect(await readFile(file, 'utf8')).toBe('line 1\n');
    await expect(writeLines(file, some())).rejects.toMatchObject({ code: 'EEXIST' });
  });

  test('that is checked is there only when the check was passed, whatever a killed process left behind', async () => {
    const file = freshFile();
    await writeFile(`${file}.draft`, 'lin');
    const refuse = () => Promise.reject(new Error('not whole'));
    await expect(writeChecked(file, some(), refuse)).rejects.toThrow('not whole');
    await expect(writeChecked(file, some(true), async () => {})).rejects.toThrow('no more');
    for (const name of [file, `${file}.draft`]) await expect(stat(name)).rejects.toMatchObject({ code: 'ENOENT' });
    let draft = '';
    await writeChecked(file, some(), async name => {
      draft = await readFile(name, 'utf8');
    });
    expect([draft, await readFile(file, 'utf8')]).toEqual(['line 1\n', 'line 1\n']);
    await expect(stat(`${file}.draft`)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('is not there when it could not be written in full', async () => {
    const file = freshFile();
    await expect(writeLines(file, some(true))).rejects.toThrow('no more');
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
