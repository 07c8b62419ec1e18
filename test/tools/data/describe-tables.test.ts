import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeCheckComment } from '../../../src/tables/comment.ts';
import { describeTables } from '../../../src/tools/data/describe-tables.ts';
import { openTestPlace, type TestPlace, tableOf } from '../../tables/test-place.ts';

let at: TestPlace;
const describing = (args: object = {}) => at.run(describeTables, args);

beforeAll(async () => {
  at = await openTestPlace();
  for (const text of [
    ...tableOf('customers', 'name text not null unique'),
    ...tableOf(
      'orders',
      `total numeric not null default 1.5, customer_id uuid not null references $s.customers, status text
       constraint s check (status in ('a','b')), seen timestamptz default now(), mail text`,
    ),
    "comment on table $s.orders is 'What people bought'",
    "comment on column $s.orders.mail is E'Where the bill goes\\n[pii]'",
    `comment on constraint s on $s.orders is '${writeCheckComment({ one_of: ['a', 'b'] })}'`,
    'create table $s._dropped_x (a text)',
    "insert into $s.customers (name) values ('a'), ('b')",
  ]) {
    await at.design(text);
  }
  await at.asOwner('create table $s.closed (nr serial primary key, code varchar(5))');
});
afterAll(() => at.remove());

describe('tables are described', () => {
  test('by name', async () => {
    expect(await describing({ detail: 'names' })).toEqual({
      tables: [{ name: 'closed' }, { name: 'customers' }, { name: 'orders', comment: 'What people bought' }],
      permissions: {
        select: true,
        insert: true,
        update: true,
        delete: true,
        change_schema: true,
        read_personal_data: false,
      },
      truncated: false,
    });
  });

  test('in short, as long as nothing else is said', async () => {
    const { tables } = await describing({ tables: ['orders'] });
    expect(tables).toEqual([
      {
        name: 'orders',
        comment: 'What people bought',
        row_estimate: 0,
        primary_key: ['id'],
        columns: [
          { name: 'id', type: 'uuid', required: true },
          { name: 'created_at', type: 'timestamp', required: true },
          { name: 'updated_at', type: 'timestamp', required: true },
          { name: 'created_by', type: 'text' },
          { name: 'total', type: 'numeric', required: true },
          { name: 'customer_id', type: 'reference', required: true, references: 'customers' },
          { name: 'status', type: 'text' },
          { name: 'seen', type: 'timestamp' },
          { name: 'mail', type: 'text', comment: 'Where the bill goes', pii: true, sealed: false },
        ],
      },
    ]);
  });

  test('in full', async () => {
    const { tables } = (await describing({ tables: ['orders', 'orders'], detail: 'full' })) as {
      tables: Record<string, unknown>[];
    };
    expect(tables).toHaveLength(1);
    expect(tables[0]).toMatchObject({
      primary_key: ['id'],
      indexes: [{ name: 'orders_pkey', columns: ['id'], unique: true }],
      columns: expect.arrayContaining([
        { name: 'id', type: 'uuid', required: true, unique: true, default: { gen_uuid: true }, read_only: true },
        { name: 'total', type: 'numeric', required: true, default: 1.5 },
        { name: 'status', type: 'text', check: { one_of: ['a', 'b'] } },
        { name: 'seen', type: 'timestamp', default: { now: true } },
        { name: 'mail', type: 'text', comment: 'Where the bill goes', pii: true, sealed: false },
      ]),
    });
  });

  test('with the number of rows of small tables too', async () => {
    // `closed` cannot be counted: then nothing is.
    await at.asOwner(`grant select on $s.closed to ro_${at.place.roleId}`);
    const { tables } = (await describing()) as { tables: { name: string; row_estimate?: number }[] };
    expect(tables.map(({ name, row_estimate: rows }) => [name, rows])).toEqual([
      ['closed', 0],
      ['customers', 2],
      ['orders', 0],
    ]);
    await at.asOwner(`revoke select on $s.closed from ro_${at.place.roleId}`);
    expect((await describing()).tables).toHaveLength(3);
  });

  test('made elsewhere as they are, without a word about schemas and sequences', async () => {
    const { tables } = await describing({ tables: ['closed'], detail: 'full' });
    expect(tables).toMatchObject([
      {
        columns: [
          { name: 'nr', type: 'integer', default: { set_by_database: true } },
          { name: 'code', type: 'character varying(5)' },
        ],
      },
    ]);
    expect(JSON.stringify(tables)).not.toContain(at.place.schema);
  });

  test('that were searched for, in names and comments of tables and columns', async () => {
    const names = async (search: string) =>
      ((await describing({ search, detail: 'names' })).tables as { name: string }[]).map(({ name }) => name);
    expect(await names('ORDER')).toEqual(['orders']);
    expect(await names('bought')).toEqual(['orders']);
    expect(await names('bill')).toEqual(['orders']);
    expect(await names('customer')).toEqual(['customers', 'orders']);
    expect(await names('.*')).toEqual([]);
    expect(await names('secrets')).toEqual([]);
  });

  test('or the nearest name is suggested', async () => {
    await expect(describing({ tables: ['orders', 'custmers'] })).rejects.toMatchObject({
      code: 'table/not-found',
      hint: 'Did you mean `customers`?',
    });
  });

  test('up to the first that is not there, and no other is looked for', async () => {
    const asked: string[] = [];
    const { table } = at.catalog;
    at.catalog.table = (place, name) => {
      asked.push(name);
      return table(place, name);
    };
    const tables = ['orders', ...Array.from({ length: 400 }, (_, i) => `unknown_${i}`)];
    const refused = describing({ tables }).finally(() => {
      at.catalog.table = table;
    });
    await expect(refused).rejects.toMatchObject({ code: 'table/not-found', message: 'There is no table `unknown_0`.' });
    expect(asked).toEqual(['unknown_0']);
  });

  test('also when another slot has just made them', async () => {
    await describing({ tables: ['orders'] });
    const { forget } = at.catalog;
    at.catalog.forget = () => {};
    for (const name of ['late_1', 'late_2']) await at.design(`create table $s.${name} (a int)`);
    at.catalog.forget = forget;
    at.clock.now += 2000;
    const { tables } = await describing({ tables: ['late_2', 'orders', 'late_1'], detail: 'names' });
    expect((tables as { name: string }[]).map(({ name }) => name)).toEqual(['late_2', 'orders', 'late_1']);
    for (const name of ['late_1', 'late_2']) await at.design(`drop table $s.${name}`);
  });

  test('with what this caller may do', async () => {
    const tools = new Set(['describe_tables', 'select_rows', 'insert_rows']);
    const rights = new Set(['pii:read'] as const);
    const { permissions } = await at.run(describeTables, { detail: 'names' }, { tools, rights });
    expect(permissions).toEqual({
      select: true,
      insert: true,
      update: false,
      delete: false,
      change_schema: false,
      read_personal_data: true,
    });
  });

  test('as far as an answer holds, and the rest is said to be missing', async () => {
    const many = Array.from({ length: 200 }, (_, i) => `create table $s.many_${i} (a int, ${COLUMNS})`);
    for (const text of many) await at.design(text);
    const { maxResultBytes } = at.means.limits;
    at.means.limits.maxResultBytes = 20_000;
    const answer = await describing({ detail: 'full' });
    at.means.limits.maxResultBytes = maxResultBytes;
    expect(answer).toMatchObject({ truncated: true, hint: expect.stringContaining('search') });
    expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThan(20_000);
    expect((await describing({ detail: 'names' })).tables).toHaveLength(203);
  });
});

test('the audit does not learn what was searched for', () => {
  expect(describeTables.summarize({ search: 'secret', tables: ['a', 'b; c'] }, at.means)).toEqual({
    tables: ['a', '?'],
    search: true,
    detail: undefined,
  });
});

const COLUMNS = Array.from({ length: 20 }, (_, i) => `c${i} text`).join(', ');
