import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OwnerConnection } from '../../../src/database/server.ts';
import type { ColumnType } from '../../../src/tables/column-type.ts';
import { postgresTypeOf } from '../../../src/tables/column-type.ts';
import { conversionOf } from '../../../src/tables/schema/conversion.ts';
import { sqlLiteral } from '../../../src/tables/schema/literal.ts';
import { EACH_POSTGRES, type TestPostgres } from '../../support/each-postgres.ts';

type Case = [from: ColumnType, to: ColumnType, good: string[], bad: string[]];

/** Texts of values of `from`: which become a `to`, and which must not. */
const CASES: Case[] = [
  [
    'text',
    'integer',
    ['0', ' 42 ', '-2147483648', '+2147483647'],
    ['2147483648', '1.0', '', 'x', '1e3', '0x1f', '1_000', '٣', '9'.repeat(90)],
  ],
  ['text', 'bigint', ['9223372036854775807', '-9223372036854775808'], ['9223372036854775808', '1.5', '--1', '1 2']],
  ['text', 'numeric', ['1', '-1.50', '.5', '5.', ' 7 '], ['', '.', '1,5', 'NaN', 'Infinity', '1e5', '€1', '1.2.3']],
  ['text', 'boolean', ['true', 'F', 'yes', 'Off', '1'], ['', 'ja', '2', 'truee', 'tr']],
  [
    'text',
    'uuid',
    ['0190163d-8694-739b-aea5-966c26f8ad91'],
    ['', '0190163d8694739baea5966c26f8ad91', '{0190163d-8694-739b-aea5-966c26f8ad91}', 'x'],
  ],
  [
    'text',
    'date',
    ['2024-02-29', '1999-12-31'],
    [
      '2023-02-29',
      '2024-04-31',
      '01/02/2026',
      'today',
      '2024-13-01',
      '0000-01-01',
      '2024-1-1',
      '20240101',
      '2024-01-01x',
      '',
    ],
  ],
  [
    'text',
    'timestamp',
    ['2024-02-29', '2024-02-29T10:11:12.123Z', '2024-02-29 10:11+02', '2024-12-31 23:59:59-0330'],
    ['2023-02-29T10:11:12Z', 'now', 'infinity', '2024-01-01T24:00', '2024-01-01 10:11:60', '2024-01-01 10:11 PST'],
  ],
  ['bigint', 'integer', ['2147483647', '-2147483648'], ['2147483648', '-9223372036854775808']],
  ['numeric', 'integer', ['1', '1.000', '-0.0'], ['1.5', '2147483648', 'NaN', 'Infinity', '-Infinity']],
  ['numeric', 'bigint', ['9223372036854775807', '12.0'], ['9223372036854775808', '0.1']],
  ['integer', 'bigint', ['1'], []],
  ['integer', 'numeric', ['1'], []],
  ['bigint', 'numeric', ['9223372036854775807'], []],
  ['date', 'timestamp', ['2024-02-29'], []],
  ['timestamp', 'date', ['2024-02-29 00:00+00'], []],
  ['json', 'text', ['{"a": 1}'], []],
  ['uuid', 'text', ['0190163d-8694-739b-aea5-966c26f8ad91'], []],
  ['reference', 'uuid', ['0190163d-8694-739b-aea5-966c26f8ad91'], []],
];

/** Texts that a type gives back as they are, and texts of which it keeps only what they mean. */
const SPELLINGS: [to: ColumnType, same: string[], other: string[]][] = [
  ['date', ['2026-01-31'], []],
  ['json', ['{"a": 1, "b": 2}', '[1, "x"]', 'null'], ['{"b":1,"a":2,"a":3}', '{"a":1}', '1e2']],
  ['boolean', ['true', 'false'], ['yes', 'T', '0', 'False']],
  ['uuid', ['0190163d-8694-739b-aea5-966c26f8ad91'], ['0190163D-8694-739b-aea5-966c26f8ad91']],
  ['reference', ['0190163d-8694-739b-aea5-966c26f8ad91'], ['0190163D-8694-739b-aea5-966c26f8ad91']],
  ['timestamp', ['2026-01-31 10:00:00+00'], ['2026-01-31 10:00', '2026-01-31T10:00:00Z', '2026-01-31 10:00:00+02']],
];

/** The same of numbers: what is not kept may be what they mean. */
const DIGITS: typeof SPELLINGS = [
  ['integer', ['7', ' -12 '], ['007', '+1', '-0']],
  ['numeric', ['1.50', '0'], ['.5', '5.', '01']],
];

/** Whether a text says of which zone its time is. */
const ZONES: [text: string, isAssumed: boolean][] = [
  ['2026-01-31 10:00', true],
  ['2026-01-31T10:00:00.25', true],
  ['2026-01-31', true],
  ['2026-01-12', true],
  ['2026-01-31 10:00Z', false],
  ['2026-01-31T10:00:00+02', false],
  ['2026-01-31 10:00:00.5 -0330', false],
];

describe.each(EACH_POSTGRES)('on $name', ({ isThere, start }) => {
  let postgres: TestPostgres;
  let owner: OwnerConnection;
  const ask = async (expression: string) => (await owner.query(`select ${expression}`)).rows[0]?.[0];

  beforeAll(async () => {
    if (!isThere) return;
    postgres = await start();
    owner = await postgres.server.connectAsOwner('postgres');
    // As Frame's own connections have it.
    await owner.query("set time zone 'UTC'");
  });
  afterAll(async () => {
    await owner?.close();
    await postgres?.remove();
  });

  describe.skipIf(!isThere).each(CASES)('%s becomes %s', (from, to, good, bad) => {
    test.each(good)('%j does', async text => {
      const value = `(${sqlLiteral(text)}::${postgresTypeOf(from)})`;
      const { fails = 'false', using } = conversionOf(value, from, to) ?? { using: '' };
      expect(await ask(fails)).toBe(false);
      await expect(ask(using)).resolves.toBeDefined();
    });

    test.each(bad)('%j does not, and saying so raises nothing', async text => {
      const value = `(${sqlLiteral(text)}::${postgresTypeOf(from)})`;
      expect(await ask(conversionOf(value, from, to)?.fails ?? 'false')).toBe(true);
    });
  });

  describe.skipIf(!isThere)('a spelling', () => {
    test.each([
      ...DIGITS.map(each => ['loses', ...each] as const),
      ...SPELLINGS.map(each => ['respells', ...each] as const),
    ])('%s what comes back as another: %s', async (what, to, same, other) => {
      const isOther = (text: string) => ask(conversionOf(`(${sqlLiteral(text)}::text)`, 'text', to)?.[what] ?? '');
      for (const text of same) expect([text, await isOther(text)]).toEqual([text, false]);
      for (const text of other) expect([text, await isOther(text)]).toEqual([text, true]);
    });

    test('is not asked of JSON that Postgres does not store: the trial run tells that', async () => {
      const value = `(${sqlLiteral(String.raw`{"a":"\u0000"}`)}::text)`;
      expect(await ask(conversionOf(value, 'text', 'json')?.respells ?? '')).toBe(false);
    });

    test.each(ZONES)('%s says no zone: %s', async (text, isAssumed) => {
      const value = `(${sqlLiteral(text)}::text)`;
      expect(await ask(conversionOf(value, 'text', 'timestamp')?.assumesUtc ?? '')).toBe(isAssumed);
    });
  });
});

describe('what comes back different', () => {
  test.each<[ColumnType, ColumnType]>([
    ['text', 'integer'],
    ['text', 'numeric'],
    ['timestamp', 'date'],
  ])('is asked for from %s to %s', (from, to) => {
    expect(conversionOf('value', from, to)?.loses).toBeDefined();
  });
});

test.each<[ColumnType, ColumnType]>([
  ['boolean', 'integer'],
  ['integer', 'boolean'],
  ['integer', 'date'],
  ['json', 'integer'],
  ['uuid', 'numeric'],
  ['date', 'integer'],
  ['numeric', 'timestamp'],
])('%s never becomes %s', (from, to) => {
  expect(conversionOf('value', from, to)).toBeUndefined();
});
