import { describe, expect, test } from 'vitest';
import { COLUMN_TYPES, type ColumnType } from '../../src/tables/column-type.ts';
import { exactNumber, fromPostgres, toParameter } from '../../src/tables/values.ts';
import { sampleColumn } from './sample-table.ts';

const send = (type: ColumnType, value: unknown) => toParameter(sampleColumn('c', type), value, 'rows[2].c');

describe('a value on its way in', () => {
  test.each<[ColumnType, unknown, string]>([
    ['text', '', ''],
    ['text', 'O\'Brien \\ $1 "🧾" %_', 'O\'Brien \\ $1 "🧾" %_'],
    ['integer', -0, '0'],
    ['integer', -2147483648, '-2147483648'],
    ['integer', 2147483647, '2147483647'],
    ['bigint', 9007199254740991, '9007199254740991'],
    ['bigint', '9223372036854775807', '9223372036854775807'],
    ['bigint', '-9223372036854775808', '-9223372036854775808'],
    ['numeric', 0.1, '0.1'],
    ['numeric', 1e21, '1e+21'],
    ['numeric', '1e400', '1e400'],
    ['numeric', '-0.000000000000000000001', '-0.000000000000000000001'],
    ['boolean', false, 'false'],
    ['date', '2024-02-29', '2024-02-29'],
    ['timestamp', '2026-01-31T09:30:00.123456+02:00', '2026-01-31T09:30:00.123456+02:00'],
    ['timestamp', '2026-01-31T09:30Z', '2026-01-31T09:30Z'],
    ['timestamp', '2026-01-31', '2026-01-31'],
    ['json', { a: [1, null, 'x'] }, '{"a":[1,null,"x"]}'],
    ['json', 'text', '"text"'],
    ['json', false, 'false'],
    ['uuid', '0190F000-0000-7000-8000-00000000000A', '0190f000-0000-7000-8000-00000000000a'],
    ['reference', '0190f000-0000-7000-8000-00000000000a', '0190f000-0000-7000-8000-00000000000a'],
  ])('%s takes %j', (type, value, text) => {
    expect(send(type, value)).toBe(text);
  });

  test.each(COLUMN_TYPES)('%s takes null', type => {
    expect(send(type, null)).toBeNull();
  });

  test.each<[ColumnType, unknown]>([
    ['text', 5],
    ['text', true],
    ['text', ['a']],
    ['text', 'a\0b'],
    ['text', '\ud800'],
    ['integer', 2.5],
    ['integer', '5'],
    ['integer', 2147483648],
    ['integer', Number.NaN],
    ['integer', true],
    ['bigint', 2 ** 53],
    ['bigint', '9223372036854775808'],
    ['bigint', '1.0'],
    ['bigint', ''],
    ['numeric', Number.POSITIVE_INFINITY],
    ['numeric', 'NaN'],
    ['numeric', '1e99999'],
    ['numeric', '0x10'],
    ['numeric', ' 1'],
    ['numeric', '9'.repeat(1001)],
    ['boolean', 'true'],
    ['boolean', 1],
    ['date', '2026-02-30'],
    ['date', '0000-01-01'],
    ['date', '2026-01-31T00:00:00Z'],
    ['date', 20260131],
    ['timestamp', '2026-01-31T09:30:00'],
    ['timestamp', '2026-01-31 09:30:00Z'],
    ['timestamp', '2026-01-31T24:00:00Z'],
    ['timestamp', '2026-02-30T00:00:00Z'],
    ['timestamp', '2026-01-31T09:30:00.1234567Z'],
    ['timestamp', 'now'],
    ['timestamp', 'infinity'],
    ['json', { a: 'x\0' }],
    ['json', { '\ud800': 1 }],
    ['json', [Number.POSITIVE_INFINITY]],
    ['uuid', 'not-a-uuid'],
    ['uuid', '{0190f000-0000-7000-8000-00000000000a}'],
    ['reference', 7],
  ])('%s refuses %j, says where and what it wants, and keeps the value to itself', (type, value) => {
    expect(() => send(type, value)).toThrow(expect.objectContaining({ code: 'row/bad-value' }));
    expect(() => send(type, value)).toThrow(/^`rows\[2\]\.c` must be .+, not (this|a|an|true|null)/);
  });

  test('a column of a table made elsewhere takes the text of its value', () => {
    const column = { type: undefined, postgresType: 'inet' };
    expect(toParameter(column, '10.0.0.1', 'set.ip')).toBe('10.0.0.1');
    expect(toParameter(column, 5, 'set.ip')).toBe('5');
    expect(() => toParameter(column, { a: 1 }, 'set.ip')).toThrow('`set.ip` must be the text of a value of type inet');
  });
});

describe('a value on its way out', () => {
  test.each<[ColumnType, unknown, unknown]>([
    ['text', '12', '12'],
    ['integer', 12, 12],
    ['boolean', true, true],
    ['bigint', '9007199254740991', 9007199254740991],
    ['bigint', '9007199254740993', '9007199254740993'],
    ['bigint', '-9223372036854775808', '-9223372036854775808'],
    ['numeric', '150.00', 150],
    ['numeric', '0.10', 0.1],
    ['numeric', '0.0000001', 1e-7],
    ['numeric', '0.1000000000000000055511151231257827', '0.1000000000000000055511151231257827'],
    ['numeric', 'NaN', 'NaN'],
    ['numeric', '-Infinity', '-Infinity'],
    ['timestamp', '2026-01-31 09:30:00.123456+00', '2026-01-31T09:30:00.123456Z'],
    ['timestamp', '2026-01-31 09:30:00+00', '2026-01-31T09:30:00Z'],
    ['timestamp', 'infinity', 'infinity'],
    ['timestamp', '0044-03-15 00:00:00+00 BC', '0044-03-15 00:00:00+00 BC'],
    ['date', '2026-01-31', '2026-01-31'],
    ['json', '{"a": 1.50, "big": 9007199254740993}', { a: 1.5, big: '9007199254740993' }],
    ['json', 'null', null],
    ['text', null, null],
  ])('%s gives %j as %j', (type, raw, value) => {
    expect(fromPostgres(type, raw)).toEqual(value);
  });

  test('floats of tables made elsewhere are never null by accident', () => {
    expect(fromPostgres(undefined, Number.NaN)).toBe('NaN');
    expect(fromPostgres(undefined, Number.NEGATIVE_INFINITY)).toBe('-Infinity');
    expect(fromPostgres(undefined, 0.1)).toBe(0.1);
  });

  test('a number is one only when it says exactly what the text says', () => {
    for (const text of [
      '0',
      '-0.5',
      '1e400',
      '1e-400',
      '123456789012345.6',
      '1234567890123456.7',
      '99999999999999999999',
    ]) {
      const value = exactNumber(text);
      if (typeof value === 'number') expect(Number(text)).toBe(value);
      else expect(value).toBe(text);
    }
    expect(exactNumber('1e-400')).toBe('1e-400');
    expect(exactNumber('1234567890123456.75')).toBe('1234567890123456.75');
  });

  test('F15: a number with a hundred thousand zeros before its last digit holds nobody up', () => {
    const long = `0.1${'0'.repeat(100_000)}1`;
    expect(exactNumber(long)).toBe(long);
    expect(exactNumber(long.slice(0, -1))).toBe(0.1);
  });
});
