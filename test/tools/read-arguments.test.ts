import { expect, test } from 'vitest';
import { FrameError } from '../../src/errors.ts';
import { deleteRows } from '../../src/tools/data/delete-rows.ts';
import { describeTables } from '../../src/tools/data/describe-tables.ts';
import { insertRows } from '../../src/tools/data/insert-rows.ts';
import { reveal } from '../../src/tools/data/reveal.ts';
import { runSql } from '../../src/tools/data/run-sql.ts';
import { selectRows } from '../../src/tools/data/select-rows.ts';
import { readInput, requireObject } from '../../src/tools/read-arguments.ts';
import { planChange } from '../../src/tools/schema/plan-change.ts';
import type { Tool } from '../../src/tools/tool.ts';

const ID = '0b1ec700-0000-4000-8000-000000000001';

/** Sentence and hint. */
function refusalOf(tool: Tool, args: Record<string, unknown>): [string, string | undefined] {
  try {
    readInput(tool, args, ['environment']);
  } catch (thrown) {
    if (thrown instanceof FrameError && thrown.code === 'args/invalid') return [thrown.message, thrown.hint];
    throw thrown;
  }
  throw new Error('it was taken');
}

test.each<[Tool, Record<string, unknown>, string]>([
  [selectRows, {}, '`table` is missing.'],
  [selectRows, { table: null }, '`table` must be a text, not null.'],
  [selectRows, { table: 'a', limit: '5' }, '`limit` must be a number, not a text.'],
  [selectRows, { table: 'a', limit: 1.5 }, '`limit` must be a whole number, not a fraction.'],
  [selectRows, { table: 'a', limit: 0 }, '`limit` must be at least 1.'],
  [selectRows, { table: 'a', limit: 501 }, '`limit` must be at most 500.'],
  [selectRows, { table: 'a', order_by: 'b' }, '`order_by` must be a list, not a text.'],
  [selectRows, { table: 'a', columns: ['b', 3] }, '`columns[1]` must be a text, not a number.'],
  [selectRows, { table: 'a', where: [] }, '`where` must be an object, not a list.'],
  [selectRows, { table: 'a', count: 'yes' }, '`count` must be true or false, not a text.'],
  [describeTables, { detail: 'all' }, '`detail` must be one of names, summary, full.'],
  [insertRows, { table: 'a', rows: [] }, '`rows` must have at least 1 entry.'],
  [insertRows, { table: 'a', rows: Array(501).fill({}) }, '`rows` must have at most 500 entries.'],
  [insertRows, { table: 'a', rows: [{}, 1] }, '`rows[1]` must be an object, not a number.'],
  [
    insertRows,
    { table: 'a', rows: [{}], idempotency_key: 'ä' },
    '`idempotency_key`: must be 1 to 200 letters, digits or signs of ASCII.',
  ],
  [reveal, { table: 'a', ids: [ID], columns: ['b'], purpose: 'x' }, '`purpose` must have at least 8 characters.'],
  [deleteRows, { table: 'a' }, '`where` is missing.'],
  [
    planChange,
    { changes: [{ create_table: { name: 'a', columns: [{ name: 'b', type: 'varchar' }] } }] },
    '`changes[0].create_table.columns[0].type` must be one of text, integer, bigint, numeric, boolean, date, timestamp, json, uuid, reference.',
  ],
])('%o %o', (tool, args, sentence) => {
  expect(refusalOf(tool, args)[0]).toBe(sentence);
});

test('what is missing and what is unknown are told together, with what there is', () => {
  expect(refusalOf(runSql, { query: 'select 1' })).toEqual([
    '`sql` is missing. There is no argument `query`.',
    'Arguments are: environment, sql, limit.',
  ]);
  expect(refusalOf(selectRows, { tabel: 'a' })).toEqual([
    '`table` is missing. There is no argument `tabel`.',
    'Did you mean `table`?',
  ]);
});

test('at most five things are told, and none of what was given', () => {
  const [message] = refusalOf(insertRows, { table: 'a', rows: Array(9).fill('SECRET') });
  expect(message.match(/must be/g)).toHaveLength(5);
  expect(message).not.toContain('SECRET');
});

/** A list that counts how often one of its entries is read. */
function countingList(entries: unknown[]): { list: unknown[]; reads: () => number } {
  let reads = 0;
  const list = new Proxy(entries, {
    get(target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) reads += 1;
      return Reflect.get(target, key);
    },
  });
  return { list, reads: () => reads };
}

test.each<[Tool, string, number]>([
  [selectRows, 'columns', 1600],
  [selectRows, 'order_by', 1600],
  [describeTables, 'tables', 500],
])('%o: `%s` is refused before its entries are looked at when it is longer than %i', (tool, name, most) => {
  const others = tool === (describeTables as Tool) ? {} : { table: 'a' };
  expect(readInput(tool, { ...others, [name]: Array(most).fill('b') }, [])).toHaveProperty(name);
  const { list, reads } = countingList(Array(24_000).fill(1));
  expect(refusalOf(tool, { ...others, [name]: list })[0]).toBe(`\`${name}\` must have at most ${most} entries.`);
  expect(reads()).toBeLessThan(1100);
});

test('personal data is revealed of as many columns as a table can have', () => {
  const args = { table: 'a', ids: [ID], purpose: 'they asked for it' };
  expect(readInput(reveal, { ...args, columns: Array(1600).fill('b') }, [])).toHaveProperty('columns');
  expect(refusalOf(reveal, { ...args, columns: Array(1601).fill('b') })[0]).toContain('at most 1600 entries');
});

test('of unknown arguments five are named, and the others counted', () => {
  const unknown = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`made_up_${i}`, 1]));
  expect(refusalOf(selectRows, { table: 'a', ...unknown })[0]).toBe(
    'There is no argument `made_up_0`, `made_up_1`, `made_up_2`, `made_up_3`, `made_up_4` and 19995 more.',
  );
});

test('of very many values it ends at the first that is wrong', () => {
  const lists: { reads: () => number }[] = [];
  const columns = Array.from({ length: 100 }, () => {
    const counting = countingList(Array(20).fill([]));
    lists.push(counting);
    return { name: 'b', type: 'text', check: { one_of: counting.list } };
  });
  const changes = Array.from({ length: 20 }, () => ({ create_table: { name: 'a', columns } }));
  const [message] = refusalOf(planChange, { changes });
  expect(message).toMatch(/^`changes\[0\]\.create_table\.columns\[0\]\.check\.one_of\[0\]`/);
  expect(message.match(/one_of/g)).toHaveLength(1);
  expect(lists.reduce((sum, { reads }) => sum + reads(), 0)).toBeLessThan(1100);
});

test.each([null, [], 'a', 1])('%j are no arguments', args => {
  expect(() => requireObject(args)).toThrow('The arguments must be an object.');
});
