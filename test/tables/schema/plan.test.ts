import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Table } from '../../../src/tables/table.ts';
import { openSchemaPlace, type SchemaPlace } from './schema-place.ts';

let home: SchemaPlace;

beforeAll(async () => {
  home = await openSchemaPlace();
  await home.change(
    { create_table: { name: 'customers', columns: [{ name: 'name', type: 'text' }] } },
    {
      create_table: {
        name: 'orders',
        columns: [
          { name: 'customer', type: 'reference', references: 'customers' },
          { name: 'code', type: 'text' },
          { name: 'amount', type: 'integer', default: 1, check: { min: 0 } },
          { name: 'day', type: 'text' },
        ],
      },
    },
    { create_table: { name: 'empty', columns: [{ name: 'x', type: 'text' }] } },
  );
  await home.rows(`insert into $s.customers (name) values ('Ada'), ('Bob')`);
  await home.rows(`insert into $s.orders (customer, code, amount, day)
    select c.id, code, amount, day from $s.customers c,
      (values ('1', 1, '2026-01-31'), ('007', 2, 'today'), ('x', null, null)) v (code, amount, day)`);
});
afterAll(() => home?.remove());

const orders = 'orders';
const add = (column: object) => ({ add_column: { table: orders, column } });
const alter = (column: string, set: object) => ({ alter_column: { table: orders, column, set } });
const create = (...columns: object[]) => ({ create_table: { name: 'fresh', columns } });

describe('what cannot be is refused with its place and a reason', () => {
  test.each<[string, object, string, RegExp]>([
    [
      'a table that is there',
      { create_table: { name: 'orders', columns: [] } },
      'table/exists',
      /^`changes\[0\]\.create_table\.name`: .*`orders`/,
    ],
    ['the name of an index', { create_table: { name: 'orders_pkey', columns: [] } }, 'table/exists', /orders_pkey/],
    [
      'a table that is not',
      { drop_table: { name: 'order' } },
      'table/not-found',
      /^`changes\[0\]\.drop_table\.name`: no table `order`; did you mean `orders`\?/,
    ],
    ['our own tables', { drop_table: { name: '_versions' } }, 'table/not-found', /_versions/],
    ['tables of Postgres', { rename_table: { from: 'pg_class', to: 'x' } }, 'table/not-found', /pg_class/],
    ['another schema', { drop_table: { name: 'pg_catalog.pg_class' } }, 'table/not-found', /no table/],
    ['a hidden name', { rename_table: { from: 'orders', to: '_dropped_1_1' } }, 'table/bad-name', /rename_table\.to`/],
    ['a name of Postgres', { create_table: { name: 'pg_x', columns: [] } }, 'table/bad-name', /create_table\.name`/],
    [
      'a name that is SQL',
      { create_table: { name: 'a"; drop table orders; --', columns: [] } },
      'table/bad-name',
      /cannot be the name/,
    ],
    ['capital letters', add({ name: 'Total', type: 'text' }), 'table/bad-name', /add_column\.column\.name`/],
    ['an empty name', add({ name: '', type: 'text' }), 'table/bad-name', /column\.name`/],
    [
      'a column that is there',
      add({ name: 'code', type: 'text' }),
      'table/column-exists',
      /`changes\[0\]\.add_column\.column\.name`: `orders`/,
    ],
    ['a system column again', create({ name: 'id', type: 'uuid' }), 'table/column-exists', /columns\[0\]\.name`/],
    [
      'a column twice',
      create({ name: 'a', type: 'text' }, { name: 'a', type: 'text' }),
      'table/column-exists',
      /columns\[1\]\.name`/,
    ],
    [
      'a column that is not',
      { drop_column: { table: orders, column: 'cod' } },
      'table/no-such-column',
      /drop_column\.column`: no column `cod`; did you mean `code`/,
    ],
    ['dropping a system column', { drop_column: { table: orders, column: 'id' } }, 'table/column-protected', /`id`/],
    [
      'renaming a system column',
      { rename_column: { table: orders, from: 'created_by', to: 'x' } },
      'table/column-protected',
      /rename_column\.from`/,
    ],
    [
      'altering a system column',
      alter('updated_at', { default: null }),
      'table/column-protected',
      /alter_column\.column`/,
    ],
    ['dropping the key', { drop_index: { table: orders, index: 'orders_pkey' } }, 'table/column-protected', /index`/],
    [
      'an index that is not',
      { drop_index: { table: orders, index: 'nope' } },
      'table/no-such-index',
      /`orders` has no index `nope`/,
    ],
    [
      'an index of another table',
      { drop_index: { table: orders, index: 'customers_pkey' } },
      'table/no-such-index',
      /no index/,
    ],
    [
      'an index twice on a column',
      { create_index: { table: orders, columns: ['code', 'code'] } },
      'args/invalid',
      /once/,
    ],
    [
      'an index on nothing there',
      { create_index: { table: orders, columns: ['code', 'nope'] } },
      'table/no-such-column',
      /columns\[1\]`/,
    ],
    ['an index that is there', { create_index: { table: orders, columns: ['id'] } }, 'table/exists', /orders_pkey/],
    ['a reference without table', add({ name: 'a', type: 'reference' }), 'args/invalid', /column\.references`/],
    [
      'a reference to nothing',
      add({ name: 'a', type: 'reference', references: 'nope' }),
      'table/not-found',
      /references`: no table/,
    ],
    [
      'a reference to another schema',
      add({ name: 'a', type: 'reference', references: 'pg_catalog"."pg_class' }),
      'table/not-found',
      /references`/,
    ],
    [
      'a reference to our own',
      add({ name: 'a', type: 'reference', references: '_plans' }),
      'table/not-found',
      /references`/,
    ],
    ['references of a text', add({ name: 'a', type: 'text', references: 'customers' }), 'args/invalid', /references`/],
    [
      'a default of another type',
      add({ name: 'a', type: 'integer', default: 'one' }),
      'row/bad-value',
      /column\.default`/,
    ],
    [
      'now for a number',
      add({ name: 'a', type: 'integer', default: { now: true } }),
      'args/invalid',
      /column\.default`/,
    ],
    [
      'an expression as default',
      add({ name: 'a', type: 'text', default: { sql: 'now()' } }),
      'args/invalid',
      /column\.default`/,
    ],
    [
      'a key too many in the default',
      add({ name: 'a', type: 'timestamp', default: { now: true, x: 1 } }),
      'args/invalid',
      /column\.default`/,
    ],
    [
      'a default of 2001 letters',
      add({ name: 'a', type: 'text', default: 'a'.repeat(2001) }),
      'args/invalid',
      /column\.default`/,
    ],
    ['a NUL in a default', add({ name: 'a', type: 'text', default: 'a\0b' }), 'row/bad-value', /column\.default`/],
    [
      'a length of a number',
      add({ name: 'a', type: 'integer', check: { max_length: 3 } }),
      'args/invalid',
      /check\.max_length`/,
    ],
    [
      'a pattern of a date',
      add({ name: 'a', type: 'date', check: { pattern: 'x' } }),
      'args/invalid',
      /check\.pattern`/,
    ],
    [
      'a bound of another type',
      add({ name: 'a', type: 'date', check: { min: 'soon' } }),
      'row/bad-value',
      /check\.min`/,
    ],
    [
      'a choice of another type',
      add({ name: 'a', type: 'integer', check: { one_of: [1, 'two'] } }),
      'row/bad-value',
      /check\.one_of\[1\]`/,
    ],
    [
      'a pattern that is none',
      add({ name: 'a', type: 'text', check: { pattern: '(' } }),
      'args/invalid',
      /check\.pattern`/,
    ],
    [
      'a pattern beyond measure',
      add({ name: 'a', type: 'text', check: { pattern: '((a{1,200}){1,200}){1,200}' } }),
      'args/invalid',
      /check\.pattern`/,
    ],
    [
      'a pattern that looks back',
      add({ name: 'a', type: 'text', check: { pattern: String.raw`(a*)*\1` } }),
      'args/invalid',
      /refers back/,
    ],
    [
      'a least above the most',
      add({ name: 'a', type: 'integer', check: { min: 5, max: 1 } }),
      'args/invalid',
      /check\.min`: this is more than `max`/,
    ],
    [
      'a least above the most by one digit of many',
      add({ name: 'a', type: 'bigint', check: { min: '9007199254740993', max: '9007199254740992' } }),
      'args/invalid',
      /check\.min`: this/,
    ],
    [
      'a least above the most, written otherwise',
      add({ name: 'a', type: 'numeric', check: { min: '1.5e2', max: '149.99' } }),
      'args/invalid',
      /check\.min`: this/,
    ],
    [
      'a first day after the last',
      add({ name: 'a', type: 'date', check: { min: '2026-02-01', max: '2026-01-31' } }),
      'args/invalid',
      /check\.min`: this/,
    ],
    [
      'a first moment after the last, by another clock',
      add({ name: 'a', type: 'timestamp', check: { min: '2026-01-31T09:30:00Z', max: '2026-01-31T18:29+09' } }),
      'args/invalid',
      /check\.min`: this/,
    ],
    [
      'a text that is longer than it may be',
      add({ name: 'a', type: 'text', check: { min_length: 4, max_length: 3 } }),
      'args/invalid',
      /check\.min_length`: this/,
    ],
    [
      'a default against the check',
      add({ name: 'a', type: 'integer', default: 5, check: { max: 4 } }),
      'row/check-failed',
      /column\.default`/,
    ],
    [
      'required without default on rows',
      add({ name: 'a', type: 'text', required: true }),
      'row/missing-value',
      /`orders` has 6 rows/,
    ],
    [
      'unique with the same default',
      add({ name: 'a', type: 'text', unique: true, default: 'x' }),
      'row/duplicate',
      /all 6 rows/,
    ],
    ['required with empty values', alter('day', { required: true }), 'row/missing-value', /set\.required`: 2 rows/],
    [
      'unique with repeated values',
      alter('code', { unique: true }),
      'row/duplicate',
      /set\.unique`: 3 values of `code`/,
    ],
    [
      'a unique index on repeated values',
      { create_index: { table: orders, columns: ['code', 'amount'], unique: true } },
      'row/duplicate',
      /2 values of `code` and `amount`/,
    ],
    ['a type that values are not of', alter('code', { type: 'integer' }), 'row/bad-value', /set\.type`: 2 rows/],
    ['a date that means today', alter('day', { type: 'date' }), 'row/bad-value', /set\.type`: 2 rows/],
    [
      'a type without a way to it',
      alter('amount', { type: 'boolean', default: null, check: null }),
      'args/invalid',
      /set\.type`: .*integer cannot become boolean/,
    ],
    [
      'a type whose default stays behind',
      alter('amount', { type: 'date', check: null }),
      'row/bad-value',
      /set\.default`/,
    ],
    ['a type whose check stays behind', alter('amount', { type: 'text' }), 'args/invalid', /set\.check\.min`/],
    [
      'a check that rows do not pass',
      alter('amount', { check: { max: 1 } }),
      'row/check-failed',
      /set\.check`: 2 rows/,
    ],
    [
      'a choice that rows are outside of',
      alter('code', { check: { one_of: ['1', '007'] } }),
      'row/check-failed',
      /2 rows/,
    ],
    ['nothing', alter('code', {}), 'args/invalid', /changes nothing/],
    ['nothing new', alter('amount', { default: 1, check: { min: 0 } }), 'args/invalid', /changes nothing/],
    [
      'dropping what others refer to',
      { drop_table: { name: 'customers' } },
      'row/still-referenced',
      /`orders\.customer`/,
    ],
    ['a version that is', { restore_version: { version: 1 } }, 'args/invalid', /at version 1/],
    ['a version that will be', { restore_version: { version: 9 } }, 'args/invalid', /at version 1/],
  ])('%s', async (_, change, code, message) => {
    await expect(home.plan(change)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('with the place of the change among others', async () => {
    const good = { comment: { table: orders, text: 'x' } };
    const bad = add({ name: 'a', type: 'text', check: { min: 1 } });
    await expect(home.plan(good, good, bad)).rejects.toThrow(/^`changes\[2\]\.add_column\.column\.check\.min`/);
  });

  test('restoring in the middle of a plan', async () => {
    const changes = [{ comment: { table: orders, text: 'x' } }, { restore_version: { version: 0 } }];
    await expect(home.plan(...changes)).rejects.toThrow(/`changes\[1\]\.restore_version`: .*first/);
  });

  test('the hundred-and-first column', async () => {
    const columns = Array.from({ length: 97 }, (_, i) => ({ name: `c${i}`, type: 'text' }));
    await expect(home.plan(create(...columns))).rejects.toThrow(/columns\[96\]`: a table has at most 100/);
    expect((await home.plan(create(...columns.slice(1)))).statements).toHaveLength(2);
  });

  test('a table made elsewhere, by somebody else', async () => {
    await home.asOwner('create table $s.foreign_made (id uuid primary key, x text)');
    const change = { add_column: { table: 'foreign_made', column: { name: 'y', type: 'text' } } };
    await expect(home.plan(change)).rejects.toMatchObject({ code: 'plan/failed' });
    await home.asOwner('drop table $s.foreign_made');
  });
});

describe('changes of one plan see each other', () => {
  test('a table, its columns, its index and what refers to it', async () => {
    const plan = await home.plan(
      create({ name: 'a', type: 'text' }),
      { rename_table: { from: 'fresh', to: 'newer' } },
      { add_column: { table: 'newer', column: { name: 'b', type: 'integer', required: true, unique: true } } },
      { create_index: { table: 'newer', columns: ['a', 'b'] } },
      add({ name: 'newer', type: 'reference', references: 'newer' }),
      { rename_column: { table: 'newer', from: 'b', to: 'c' } },
      { drop_index: { table: 'newer', index: 'newer_a_b_idx' } },
      { drop_column: { table: 'newer', column: 'c' } },
      { drop_column: { table: orders, column: 'newer' } },
      { drop_table: { name: 'newer' } },
    );
    expect(plan.rowsAffected).toBe(0);
  });

  test('what one took away is gone for the next', async () => {
    const drop = { drop_column: { table: orders, column: 'code' } };
    await expect(home.plan(drop, drop)).rejects.toThrow(/^`changes\[1\]\.drop_column\.column`/);
    await expect(home.plan({ rename_table: { from: orders, to: 'bills' } }, drop)).rejects.toThrow(/no table `orders`/);
  });

  test('a type after a type, counted on the values as they will be', async () => {
    const text = alter('amount', { type: 'text', default: null, check: null });
    await expect(home.plan(text, alter('amount', { type: 'date' }))).rejects.toThrow(/`changes\[1\].*: 4 rows/);
    const { rowsAffected } = await home.plan(text, alter('amount', { type: 'bigint', required: false }));
    expect(rowsAffected).toBe(8);
  });

  test('a dropped table no longer holds on to what it referred to', async () => {
    const { rowsAffected } = await home.plan({ drop_table: { name: orders } }, { drop_table: { name: 'customers' } });
    expect(rowsAffected).toBe(8);
  });
});

describe('a plan says', () => {
  test('the exact statements, on quoted names', async () => {
    const { statements } = await home.plan({ create_index: { table: orders, columns: ['code', 'day'] } });
    expect(statements).toEqual([
      `create index "orders_code_day_idx" on "${home.place.schema}"."orders" ("code", "day")`,
    ]);
  });

  test('how many values a drop takes away, and how long they are kept', async () => {
    const plan = await home.plan({ drop_column: { table: orders, column: 'day' } });
    expect(plan.rowsAffected).toBe(4);
    expect(plan.warnings).toEqual([expect.stringMatching(/kept aside for 7 days.*restore_version 1/)]);
  });

  test('which values lose detail', async () => {
    const blank = { alter_column: { table: orders, column: 'code', set: { check: { one_of: ['1', '007', 'x'] } } } };
    await home.plan(blank);
    await home.rows(`update $s.orders set code = '2' where code = 'x'`);
    const plan = await home.plan(alter('code', { type: 'integer' }));
    expect(plan.warnings).toEqual([expect.stringMatching(/^2 values of `orders\.code` lose detail/)]);
    await home.rows(`update $s.orders set code = 'x' where code = '2'`);
  });

  test('that a default fills what is required', async () => {
    const plan = await home.plan(alter('day', { required: true, default: 'never' }));
    expect(plan).toMatchObject({ rowsAffected: 2, warnings: [expect.stringMatching(/^2 rows .* get its default/)] });
  });

  test('when it was not tried out because a table is large', async () => {
    await home.rows(`insert into $s.empty (x) select n from generate_series(1, 100001) n`);
    const { warnings } = await home.plan({ create_index: { table: 'empty', columns: ['x'] } });
    expect(warnings).toEqual([expect.stringMatching(/^Not tried out: `empty` has more than 100000 rows/)]);
    expect((await home.plan({ rename_table: { from: 'empty', to: 'full' } })).warnings).toEqual([]);
    await home.rows('delete from $s.empty');
  });

  test('when it was not tried out because a table is in use', async () => {
    const { warnings } = await home.pools.transaction(
      { role: `rw_${home.place.roleId}`, database: home.place.database },
      async session => {
        await session.query(`update "${home.place.schema}".orders set amount = amount`);
        return home.plan({ rename_table: { from: orders, to: 'bills' } });
      },
    );
    expect(warnings).toEqual([expect.stringMatching(/^Not tried out: .* in use/)]);
  });
});

describe('planning', () => {
  let tables: unknown;
  beforeEach(async () => {
    tables = await home.tables();
  });

  test('changes nothing', async () => {
    await home.plan({ drop_table: { name: orders } }, create({ name: 'a', type: 'text' }));
    expect(await home.tables()).toEqual(tables);
    expect(await home.rows('select count(*) from $s.orders')).toEqual([['6']]);
  });

  test('clears away plans a day after they expired', async () => {
    const count = async () => (await home.design('select count(*) from $s._plans')).rows[0]?.[0];
    home.clock.now += 2 * 86_400_000;
    await home.plan({ comment: { table: orders, text: 'x' } });
    expect(await count()).toBe('1');
  });
});

test('a table made elsewhere, oddly named, can be changed and brought back all the same', async () => {
  const odd = `We"ird; -- 'é' \\`;
  const quoted = odd.replaceAll('"', '""');
  await home.design(`create table $s."${quoted}" (id uuid primary key, "${quoted}" varchar(9) default 'x' check ("${quoted}" <> ''),
    nr serial, unique ("${quoted}", nr))`);
  const find = async () => (await home.tables()).find(({ name }) => name === odd);
  const before = await find();
  const { version } = await home.change({ comment: { table: odd, column: odd, text: odd } });
  await home.change({
    add_column: { table: odd, column: { name: 'plain', type: 'text', unique: true, check: { one_of: [odd] } } },
  });
  await home.change({ rename_column: { table: odd, from: odd, to: 'plainer' } });
  const alterOdd = home.plan({ alter_column: { table: odd, column: 'plainer', set: { type: 'text' } } });
  await expect(alterOdd).rejects.toThrow(/columns of type character varying\(9\) stay as they are/);
  await home.change({ alter_column: { table: odd, column: 'plain', set: { required: true, default: odd } } });
  await home.change({ drop_column: { table: odd, column: 'nr' } }, { drop_table: { name: odd } });
  await home.change({ restore_version: { version: version - 1 } });
  expect(withoutIndexes(await find())).toEqual(withoutIndexes(before));
});

/** A unique constraint made elsewhere comes back as the unique index that it is. */
function withoutIndexes(table: Table | undefined): object {
  return { ...table, indexes: table?.indexes.map(({ isConstraint: _, ...index }) => index) };
}

test('names of 63 letters fit everywhere, also what is made of them', async () => {
  const long = (letter: string) => letter.repeat(63);
  await home.change(
    {
      create_table: {
        name: long('t'),
        columns: [
          { name: long('a'), type: 'integer', unique: true, check: { min: 0 } },
          { name: `${long('a').slice(1)}b`, type: 'integer', unique: true, check: { max: 9 } },
          { name: long('r'), type: 'reference', references: 'customers' },
        ],
      },
    },
    { create_index: { table: long('t'), columns: [long('a'), long('r')] } },
    { create_index: { table: long('t'), columns: [long('r'), long('a')] } },
  );
  const { version } = await home.change(
    { drop_column: { table: long('t'), column: long('a') } },
    { drop_table: { name: long('t') } },
  );
  await home.change({ restore_version: { version: version - 1 } });
  const table = (await home.tables()).find(({ name }) => name === long('t'));
  expect(table?.indexes.map(({ columns }) => columns.length).sort()).toEqual([1, 1, 1, 2, 2]);
  expect(table?.checks).toHaveLength(2);
});

test.each([
  ['integer', { min: 1, max: 1 }],
  ['numeric', { min: '-1e-3', max: 0 }],
  ['numeric', { min: '0.1', max: '1e-1' }],
  ['bigint', { min: '-9223372036854775808', max: '9223372036854775807' }],
  ['date', { min: '2026-01-31', max: '2026-01-31' }],
  ['timestamp', { min: '2026-01-31T18:30+0900', max: '2026-01-31T09:30:00.1Z' }],
  ['timestamp', { min: '2026-01-31', max: '2026-01-31T00:00-01' }],
  ['text', { min_length: 3, max_length: 3 }],
])('a check of %s that something passes is planned: %j', async (type, check) => {
  await expect(home.plan(add({ name: 'a', type, check }))).resolves.toBeDefined();
});
