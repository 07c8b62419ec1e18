import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openImportFile } from '../../src/operator/import/file.ts';
import { survey } from '../../src/operator/import/survey.ts';
import { makeDataFolder, removeDataFolder } from '../support/data-folder.ts';

let folder: string;
let file: string;

beforeAll(async () => {
  folder = await makeDataFolder();
  file = join(folder, 'input');
});
afterAll(() => removeDataFolder(folder));

async function open(text: string | Buffer) {
  await writeFile(file, text);
  return await openImportFile(file, Readable.from([]));
}

/** `[line, cell, …]` of each row; the sentence of the error at its end, when there is one. */
async function rowsOf(text: string | Buffer) {
  const found: unknown[] = [];
  try {
    for await (const { line, cells } of (await open(text)).rows(() => {})) found.push([line, ...cells.values()]);
  } catch (thrown) {
    found.push((thrown as Error).message);
  }
  return found;
}

const typesOf = async (text: string) =>
  (
    await survey(
      (await open(text)).rows(() => {}),
      () => {},
    )
  ).columns.map(({ name, type }) => `${name} ${type}`);

describe('the line ends of a CSV file', () => {
  test.each([
    [
      'CRLF once, in the first line',
      'a\r\n1\n2\n3\n',
      [
        [2, '1'],
        [3, '2'],
        [4, '3'],
      ],
    ],
    [
      'LF once, in the first line',
      'a,b\nx,1\r\ny,2\r\n',
      [
        [2, 'x', '1'],
        [3, 'y', '2'],
      ],
    ],
    ['CR alone', 'a;b\r1;2\r', [[2, '1', '2']]],
    ['CRLF in quotes stays what it is', 'a,b\r\n"x\r\ny",1\r\n', [[2, 'x\r\ny', '1']]],
    [
      'CR inside a cell is a part of it where lines end otherwise',
      'a,b\nx\ry,1\nz,2\n',
      [
        [2, 'x\ry', '1'],
        [3, 'z', '2'],
      ],
    ],
    ['none behind the last row', 'a,b\n1,2', [[2, '1', '2']]],
  ])('%s', async (_, text, rows) => {
    expect(await rowsOf(text)).toEqual(rows);
  });
});

describe('the line of a row is the one that an editor shows', () => {
  test.each([
    [
      'behind empty lines',
      'a,b\n\n\nq,5\n\n\nx,zz\n',
      [
        [4, 'q', '5'],
        [7, 'x', 'zz'],
      ],
    ],
    ['behind empty lines before the header', '\n\na,b\n1,2\n', [[4, '1', '2']]],
    [
      'behind cells of several lines',
      'a,b\n"1\n2\n3",x\ny,z\n',
      [
        [2, '1\n2\n3', 'x'],
        [5, 'y', 'z'],
      ],
    ],
    [
      'the same with CRLF',
      'a,b\r\n"1\r\n2\r\n3",x\r\ny,z\r\n',
      [
        [2, '1\r\n2\r\n3', 'x'],
        [5, 'y', 'z'],
      ],
    ],
    ['behind a header of two lines', 'a,"b\nc"\n1,2\n', [[3, '1', '2']]],
    [
      'an empty cell in quotes is a row',
      'a\n""\n\n1\n',
      [
        [2, ''],
        [4, '1'],
      ],
    ],
  ])('%s', async (_, text, rows) => {
    expect(await rowsOf(text)).toEqual(rows);
  });

  test.each([
    ['a row that is too short', 'a,b\r\n\r\n"x\r\ny",1\r\n\r\nz\r\n', 'Line 6: the number of cells'],
    ['a row that is too long', 'a,b\n1,2\n\n3,4,5\n', 'Line 4: the number of cells'],
    ['a quote that is never closed', 'a,b\n\n"x\ny",1\n"z,2\n3,4\n', 'Line 5: a quote is opened and never closed'],
    ['a quote in the middle', 'a,b\n"1\r\n1",2\n\n1,x"y\n', 'Line 5: a quote stands in the middle'],
    ['text behind a quote', 'a,b\n\n1,"x"y\n', 'Line 3: a quote inside a quoted cell'],
    ['two columns of one name', '\n\na,a\n', 'Line 3: two columns'],
  ])('%s', async (_, text, sentence) => {
    expect((await rowsOf(text)).at(-1)).toContain(sentence);
  });
});

test('numbers of a JSON file keep every digit that a double does not hold', async () => {
  const numbers = [
    '99999999999999.99',
    '-1234567890123.4567',
    '12345678901234567891',
    '0.1234567890123456789',
    '1e400',
    '-2.5E-400',
    '1.5',
    '7',
  ];
  expect(await rowsOf(numbers.map(number => `{"price": ${number}}`).join('\n'))).toEqual(
    numbers.map((number, i) => [i + 1, number]),
  );
});

describe('what a file holds', () => {
  test('cells that are all in quotes are no text for that', async () => {
    expect(await typesOf('"n","d","t"\n"1","2026-01-02","x"\n"","",""\n"-3","2026-01-03",""\n')).toEqual([
      'n integer',
      'd date',
      't text',
    ]);
  });

  test('nothing but empty texts is text', async () => {
    expect(await typesOf('"n"\n""\n""\n')).toEqual(['n text']);
  });

  test('no column at all is said', async () => {
    await expect(typesOf('{}\n{}\n')).rejects.toThrow('No row of the file has a column.');
  });

  test('nothing is said', async () => {
    await expect(typesOf('')).rejects.toThrow('The file has no rows.');
  });
});

describe('what is no file', () => {
  test('a name that is not there, or a folder, is wrong usage', async () => {
    await mkdir(join(folder, 'folder'));
    await expect(openImportFile(join(folder, 'none'), Readable.from([]))).rejects.toMatchObject({ name: 'WrongUsage' });
    await expect(openImportFile(join(folder, 'folder'), Readable.from([]))).rejects.toThrow('is a folder');
  });

  test('a pipe with a name is read like standard input', async () => {
    const pipe = join(folder, 'pipe');
    await promisify(execFile)('mkfifo', [pipe]);
    const [opened] = await Promise.all([openImportFile(pipe, Readable.from([])), writeFile(pipe, 'a\n1\n')]);
    for (let twice = 0; twice < 2; twice += 1) {
      const rows = await Array.fromAsync(opened.rows(() => {}));
      expect(rows).toEqual([{ line: 2, cells: new Map([['a', '1']]) }]);
    }
    await opened.close();
  });
});
