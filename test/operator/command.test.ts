import { describe, expect, test } from 'vitest';
import { WrongConfiguration } from '../../src/errors.ts';
import { defineCommand, type Given, WrongUsage } from '../../src/operator/command.ts';
import { run } from './fixture.ts';

const OPTIONS = { table: { type: 'string' }, dry: { type: 'boolean' } } as const;

function makeCommand(act: (given: Given<typeof OPTIONS>) => number) {
  return defineCommand({
    usage: 'Usage: frame knit <what> [options]',
    options: OPTIONS,
    words: { least: 1, most: 2 },
    run: async given => act(given),
  });
}

test('options, flags and words arrive, each in its place', async () => {
  const command = makeCommand(({ words, values, flags, isJson }) => {
    expect(words).toEqual(['scarf', '-']);
    expect(values).toMatchObject({ table: 't', dry: true });
    expect(flags).toEqual({ customer: 'axe', listen: '127.0.0.1:0' });
    expect(isJson).toBe(true);
    return 75;
  });
  const line = 'scarf --table t --customer axe --dry - --listen=127.0.0.1:0 --json';
  expect(await run(command, '/here', line)).toEqual({ exit: 75, out: '', err: '' });
});

describe('--help', () => {
  test.each(['--help', '-h', 'scarf --help --nonsense'])('%s shows the usage and does nothing', async line => {
    const { exit, out, err } = await run(
      makeCommand(() => 1),
      '/here',
      line,
    );
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    expect(out).toMatch(/^Usage: frame knit <what> \[options\]\n[\s\S]*--customers FILE/);
  });
});

describe('wrong usage', () => {
  test.each([
    ['', 'A word is missing: <what>.'],
    ['a b c', '`c` is one word too many.'],
    ['a --tabel t', "Unknown option '--tabel'; did you mean `--table`?"],
    ['a --customr axe', "Unknown option '--customr'; did you mean `--customer`?"],
    ['a -x', "Unknown option '-x'"],
    ['a --table', "Option '--table <value>' argument missing"],
    ['a --dry=yes', "Option '--dry' does not take an argument"],
    ['a --no-dry', "Unknown option '--no-dry'"],
  ])('%j', async (line, sentence) => {
    const { exit, out, err } = await run(
      makeCommand(() => 0),
      '/here',
      line,
    );
    expect({ exit, out }).toEqual({ exit: 2, out: '' });
    expect(err).toContain(`${sentence}\n\nUsage: frame knit`);
  });

  test('a command may refuse words itself', async () => {
    const command = makeCommand(() => {
      throw new WrongUsage('Nobody knits that.');
    });
    expect(await run(command, '/here', 'a')).toMatchObject({
      exit: 2,
      err: expect.stringContaining('Nobody knits that.\n\nUsage'),
    });
  });
});

test('wrong configuration is told as seen from the folder, names of variables as they are', async () => {
  const command = makeCommand(() => {
    throw new WrongConfiguration([
      { file: '/here/config/roles.yaml', line: 3, column: 9, sentence: 'is wrong' },
      { file: '/etc/customers.yaml', sentence: 'is missing' },
      { file: 'FRAME_SLOT', sentence: 'is empty' },
    ]);
  });
  expect(await run(command, '/here', 'a')).toEqual({
    exit: 2,
    out: '',
    err: 'config/roles.yaml:3:9  is wrong\n../etc/customers.yaml  is missing\nFRAME_SLOT  is empty',
  });
});

test('anything else is for main to explain', async () => {
  const command = makeCommand(() => {
    throw new RangeError('a defect');
  });
  await expect(run(command, '/here', 'a')).rejects.toThrow(RangeError);
});
