import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Prepare, parseYaml, readConfigurationFile } from '../src/yaml-file.ts';

const schema = z.strictObject({
  name: z.string(),
  size: z.int().min(1).max(9).default(3),
  kind: z.enum(['small', 'large']).default('small'),
  colours: z
    .array(z.string().regex(/^#/, { error: 'must begin with #' }))
    .min(1)
    .optional(),
  parts: z
    .record(z.string().regex(/^[a-z]+$/, { error: 'must be lower case' }), z.strictObject({ of: z.string() }))
    .optional(),
});

function mistakesIn(text: string, prepare?: Prepare): string[] {
  const parsed = parseYaml('box.yaml', text, schema, prepare);
  return 'mistakes' in parsed
    ? parsed.mistakes.map(({ line, column, sentence }) => `${line}:${column} ${sentence}`)
    : [];
}

describe('a value', () => {
  test('is what the schema makes of it', () => {
    expect(parseYaml('box.yaml', 'name: box\n', schema)).toMatchObject({
      value: { name: 'box', size: 3, kind: 'small' },
    });
  });

  test('knows where its parts stand', () => {
    const parsed = parseYaml(
      'box.yaml',
      'name: box\ncolours:\n  - "#fff"\n  - "#000"\nparts: { lid: { of: tin } }\n',
      schema,
    );
    if ('mistakes' in parsed) throw new Error('wrong');
    expect(parsed.locate(['name'])).toEqual({ line: 1, column: 7 });
    expect(parsed.locate(['colours', 1])).toEqual({ line: 4, column: 5 });
    expect(parsed.locate(['parts', 'lid', 'of'])).toEqual({ line: 5, column: 21 });
    expect(parsed.locate([])).toEqual({ line: 1, column: 1 });
    expect(parsed.locate(['size'])).toBeUndefined();
    expect(parsed.locate(['colours', 2])).toBeUndefined();
    expect(parsed.locate(['name', 'x'])).toBeUndefined();
  });

  test.each([
    ['comments and a byte order mark', '\uFEFF# a box\n---\nname: box # here\n...\n'],
    ['Windows line ends', 'name: box\r\nsize: 4\r\n'],
    ['JSON', '{ "name": "box" }'],
    ['anchors', 'name: &n box\nparts: { lid: { of: *n } }\n'],
  ])('may be written with %s', (_, text) => {
    expect(parseYaml('box.yaml', text, schema)).toMatchObject({ value: { name: 'box' } });
  });
});

describe('mistakes', () => {
  test.each([
    ['nothing', '', '1:1 the file is empty'],
    ['blanks', '\n\n  \n', '1:1 the file is empty'],
    ['comments', '# a box\n', '1:1 the file is empty'],
    ['null', '~', '1:1 the file is empty'],
    ['a list', '- a\n', '1:1 the file must be keys with values, not a list'],
    ['a second document', 'name: a\n---\nname: b\n', '2:1 a second document begins here; write one only'],
    ['a key twice', 'name: a\nsize: 1\nname: b\n', '3:1 the key `name` stands here a second time'],
    ['a key twice, in quotes', '{ "name": a, "name": b }', '1:14 the key `"name"` stands here a second time'],
    ['a list as key', 'name: a\n? [b]\n: c\n', '2:3 a key must be a plain word'],
    ['no key', 'name: a\n? \n: c\n', '2:3 a key must be a plain word'],
    ['a prototype', 'name: a\n__proto__: { size: 1 }\n', '2:1 a key must be a plain word'],
    ['a tag', 'name: !hidden a\n', '1:7 this is not valid YAML: Unresolved tag: !hidden'],
    ['an alias of nothing', 'name: *n\n', '1:7 there is no anchor `&n` above; text that begins with * needs quotes'],
    ['an alias of itself', 'name: a\ncolours: &c ["#1", *c]\n', '2:20 an alias cannot stand inside its own anchor'],
    ['an open bracket', 'name: a\ncolours: [\n', '3:1 this is not valid YAML: '],
    ['bad indentation', 'name: a\n size: 1\n', '1:7 this is not valid YAML: '],
    ['an unknown key', 'name: a\nsise: 1\n', '2:1 unknown key `sise`; did you mean `size`?'],
    ['an unknown key like no other', 'name: a\nweight: 1\n', '2:1 unknown key `weight`; known here: `name`, `size`'],
    [
      'an unknown key below',
      'name: a\nparts:\n  lid: { of: tin, off: x }\n',
      '3:19 unknown key `off`; did you mean `of`?',
    ],
    ['a missing key', 'size: 1\n', '1:1 `name` is missing'],
    ['a missing key below', 'name: a\nparts:\n  lid: {}\n', '3:3 `of` is missing'],
    ['an empty value', 'name:\n', '1:1 `name` must be text, but nothing stands here'],
    ['null for text', 'name: null\n', '1:7 `name` must be text, but nothing stands here'],
    ['a number for text', 'name: 1\n', '1:7 `name` must be text; put it in quotes'],
    ['text for a number', 'name: a\nsize: big\n', '2:7 `size` must be a number, not text'],
    ['half a number', 'name: a\nsize: 1.5\n', '2:7 `size` must be a whole number, not a number'],
    ['too few', 'name: a\nsize: 0\n', '2:7 `size` must be at least 1'],
    ['too many', 'name: a\nsize: 10\n', '2:7 `size` must be at most 9'],
    ['an empty list', 'name: a\ncolours: []\n', '2:10 `colours` must not be empty'],
    [
      'a word that is not on the list',
      'name: a\nkind: smal\n',
      '2:7 `smal` is none of `small`, `large`; did you mean `small`?',
    ],
    ['a wrong item', 'name: a\ncolours: ["#1", red]\n', '2:17 `red` must begin with #'],
    ['a wrong key', 'name: a\nparts:\n  Lid: { of: tin }\n', '3:3 `Lid` must be lower case'],
  ])('%s', (_, text, mistake) => {
    expect(mistakesIn(text)).toEqual([expect.stringContaining(mistake)]);
  });

  test('all of them at once, in the order of the file, duplicate keys too', () => {
    const text = 'sise: 1\nkind: smal\ncolours: [red, "#1", green]\nkind: large\nparts: { Lid: { off: x } }\n';
    expect(mistakesIn(text).map(mistake => mistake.split(' ')[0])).toEqual([
      '1:1',
      '1:1',
      '3:11',
      '3:22',
      '4:1',
      '5:10',
      '5:10',
      '5:17',
    ]);
  });

  test('what stands at an anchor is told once, where it stands', () => {
    const text = 'name: a\nparts: { a: &part { off: x }, b: *part, c: *part }\n';
    expect(mistakesIn(text).filter(mistake => mistake.includes('off'))).toEqual([
      '2:21 unknown key `off`; did you mean `of`?',
    ]);
  });

  test('aliases of aliases do not fill the memory', () => {
    const ten = (name: string) => `[${Array(10).fill(`*${name}`).join(', ')}]`;
    const text = `a: &a [x, x]\nb: &b ${ten('a')}\nc: &c ${ten('b')}\nd: &d ${ten('c')}\n`;
    expect(mistakesIn(text)).toEqual(['1:1 there are too many aliases']);
  });

  test('ten thousand brackets do not fill the stack', () => {
    expect(mistakesIn(`name: ${'['.repeat(10_000)}`)).toEqual([expect.stringContaining('not valid YAML')]);
  });
});

describe('what a schema cannot say', () => {
  test('is reported with the value as written, next to what the schema says', () => {
    const mistakes = mistakesIn('name: "$A"\nsize: 12\n', (tree, report) => {
      report(['name'], written => `\`${written}\` is taken`);
      report(['kind'], () => 'something about what is not there');
      report(['size'], written => `the key ${written}`, 'key');
      return tree;
    });
    expect(mistakes).toEqual([
      '1:1 something about what is not there',
      '1:7 `$A` is taken',
      '2:1 the key size',
      '2:7 `size` must be at most 9',
    ]);
  });

  test('comes before what the schema says of the same value', () => {
    const prepare: Prepare = (_, report) => {
      report(['name'], () => 'first');
      report(['name'], () => 'second');
      return { name: true };
    };
    expect(mistakesIn('name: a\n', prepare)).toEqual(['1:7 first']);
  });

  test('may replace the value, and a mistake still shows what is written', () => {
    expect(parseYaml('box.yaml', 'name: a\n', schema, () => ({ name: 'b' }))).toMatchObject({ value: { name: 'b' } });
    expect(mistakesIn('name: a\nkind: x\n', () => ({ name: 'a', kind: 'hidden' }))).toEqual([
      '2:7 `x` is none of `small`, `large`',
    ]);
  });
});

test('a file that is missing, a folder, or not UTF-8 is wrong configuration', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'frame-yaml-'));
  const file = join(folder, 'box.yaml');
  await expect(readConfigurationFile(file)).rejects.toThrow(`${file}  there is no such file`);
  await expect(readConfigurationFile(folder)).rejects.toThrow('cannot be read');
  await writeFile(file, Buffer.from([0x61, 0xff]));
  await expect(readConfigurationFile(file)).rejects.toThrow('not UTF-8');
  await writeFile(file, 'name: ä\n');
  expect(await readConfigurationFile(file)).toBe('name: ä\n');
  await rm(folder, { recursive: true });
});
