import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Changes, outlineChange } from '../../../src/tables/schema/change.ts';

const mistakesOf = (changes: unknown) => Changes.safeParse(changes).error?.issues.map(({ path }) => path.join('.'));
const column = { name: 'total', type: 'numeric' };

describe('a change', () => {
  test.each([
    {
      create_table: {
        name: 'orders',
        comment: 'c',
        columns: [{ ...column, required: true, unique: false, pii: true }],
      },
    },
    { add_column: { table: 'orders', column: { ...column, default: { now: true }, check: { min: 0, max: '9' } } } },
    { alter_column: { table: 'orders', column: 'total', set: { default: null, check: null, comment: null } } },
    { rename_column: { table: 'orders', from: 'total', to: 'sum' } },
    { drop_column: { table: 'orders', column: 'total' } },
    { create_index: { table: 'orders', columns: ['total'], unique: true } },
    { drop_index: { table: 'orders', index: 'orders_total_idx' } },
    { rename_table: { from: 'orders', to: 'bills' } },
    { drop_table: { name: 'orders' } },
    { comment: { table: 'orders', column: 'total', text: '' } },
    { restore_version: { version: 0 } },
    { restore_version: { version: 1, only: { table: 'orders', column: 'total' } } },
    { restore_version: { version: 1, only: { table: 'orders' } } },
  ])('of the contract is taken: %j', change => {
    expect(Changes.parse([change])).toEqual([change]);
  });

  test.each<[string, unknown, string[]]>([
    ['none', [], ['']],
    ['21 of them', Array(21).fill({ drop_table: { name: 'a' } }), ['']],
    ['no key', [{}], ['0']],
    ['two keys', [{ drop_table: { name: 'a' }, comment: { table: 'a', text: 'b' } }], ['0']],
    ['an unknown key', [{ truncate_table: { name: 'a' } }], ['0', '0']],
    ['SQL', [{ create_table: { name: 'a', columns: [], sql: 'drop' } }], ['0.create_table']],
    [
      'an unknown type',
      [{ add_column: { table: 'a', column: { name: 'b', type: 'money' } } }],
      ['0.add_column.column.type'],
    ],
    [
      'a column without type',
      [{ create_table: { name: 'a', columns: [{ name: 'b' }] } }],
      ['0.create_table.columns.0.type'],
    ],
    ['no column at all', [{ add_column: { table: 'a' } }], ['0.add_column.column']],
    ['NUL in a comment', [{ comment: { table: 'a', text: 'a\0b' } }], ['0.comment.text']],
    ['half a character', [{ comment: { table: 'a', text: '\ud800' } }], ['0.comment.text']],
    ['a long name', [{ drop_table: { name: 'a'.repeat(64) } }], ['0.drop_table.name']],
    [
      'a long pattern',
      [{ add_column: { table: 'a', column: { ...column, check: { pattern: 'a'.repeat(201) } } } }],
      ['0.add_column.column.check.pattern'],
    ],
    [
      'an expression as check',
      [{ add_column: { table: 'a', column: { ...column, check: 'total > 0' } } }],
      ['0.add_column.column.check'],
    ],
    [
      'a wrong bound',
      [{ add_column: { table: 'a', column: { ...column, check: { min: {} } } } }],
      ['0.add_column.column.check.min'],
    ],
    [
      'an empty choice',
      [{ alter_column: { table: 'a', column: 'b', set: { check: { one_of: [] } } } }],
      ['0.alter_column.set.check.one_of'],
    ],
    [
      'a fraction of a length',
      [{ add_column: { table: 'a', column: { ...column, check: { max_length: 1.5 } } } }],
      ['0.add_column.column.check.max_length'],
    ],
    [
      'another name in set',
      [{ alter_column: { table: 'a', column: 'b', set: { name: 'c' } } }],
      ['0.alter_column.set'],
    ],
    ['101 columns', [{ create_table: { name: 'a', columns: Array(101).fill(column) } }], ['0.create_table.columns']],
    ['an index on nothing', [{ create_index: { table: 'a', columns: [] } }], ['0.create_index.columns']],
    ['a negative version', [{ restore_version: { version: -1 } }], ['0.restore_version.version']],
    [
      'a column of no table',
      [{ restore_version: { version: 1, only: { column: 'x' } } }],
      ['0.restore_version.only.table'],
    ],
    ['hidden names of our own', [{ drop_table: { name: 'a', hidden: '_versions' } }], ['0.drop_table']],
    ['steps of our own', [{ undrop_table: { hidden: '_plans', table: {} } }], ['0', '0']],
  ])('%s is a mistake, and its place is named', (_, changes, places) => {
    expect(mistakesOf(changes)).toEqual(places);
  });
});

test('what every model reads of it stays short', () => {
  const schema = z.toJSONSchema(z.strictObject({ changes: Changes }), { io: 'input' });
  expect(JSON.stringify(schema).length).toBeLessThan(3300);
});

test('the audit learns kinds and names, never a value', () => {
  const secret = { name: 'ssn', type: 'text' as const, default: '123-45-6789', comment: 'secret' };
  expect(outlineChange({ create_table: { name: 'people', columns: [secret] } })).toBe('create_table people');
  expect(outlineChange({ add_column: { table: 'people', column: secret } })).toBe('add_column people.ssn');
  expect(outlineChange({ rename_table: { from: 'people', to: 'staff' } })).toBe('rename_table people');
  expect(outlineChange({ comment: { table: 'my secret', text: 'secret' } })).toBe('comment ?');
  expect(outlineChange({ restore_version: { version: 3 } })).toBe('restore_version');
});
