import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCatalog } from '../../src/tables/catalog.ts';
import { writeCheckComment } from '../../src/tables/comment.ts';
import { findColumn } from '../../src/tables/table.ts';
import { openTestPlace, type TestPlace, tableOf } from './test-place.ts';

let at: TestPlace;

beforeAll(async () => {
  at = await openTestPlace();
  for (const text of [
    ...tableOf('customers', 'name text not null unique'),
    ...tableOf(
      'orders',
      `total numeric not null default 1.50, status text default 'new' constraint orders_status check (status in ('new','paid')),
       customer_id uuid references $s.customers, due date default current_date, meta jsonb default '{}',
       quantity int4, big int8, paid boolean not null default false, seen timestamptz default now(), _dropped_x text`,
    ),
    'create index orders_by_customer on $s.orders (customer_id, total desc)',
    'create unique index orders_open on $s.orders (status) where paid',
    'create index orders_lower on $s.orders (lower(status))',
    "comment on table $s.orders is 'What people bought'",
    "comment on column $s.orders.customer_id is E'Who bought\\n[pii]'",
    `comment on constraint orders_status on $s.orders is '${writeCheckComment({ one_of: ['new', 'paid'] })}'`,
    'create table $s._mine (a text)',
    'create table $s._dropped_orders (a text)',
    'create schema other',
    'create table other.secrets (a text)',
    'create view $s.seen_orders as select 1 as a',
    "create type $s.mood as enum ('sad', 'glad')",
    `create table $s."Made Elsewhere" (nr serial, mail varchar(5), kind char(3), price numeric(10,2), at timestamp,
       ratio float8, tags text[], mood $s.mood, "select" int generated always as identity, twice int generated always as (nr * 2) stored,
       primary key (mail, nr))`,
  ]) {
    await at.asOwner(text);
  }
});
afterAll(() => at.remove());

describe('the catalog', () => {
  test('shows the tables of one schema, without views and hidden tables', async () => {
    const { tables } = await at.catalog.tables(at.place);
    expect(tables.map(({ name }) => name)).toEqual(['Made Elsewhere', 'customers', 'orders']);
  });

  test('reads columns as they were asked for', async () => {
    const orders = await at.catalog.table(at.place, 'orders');
    expect(orders.comment).toBe('What people bought');
    expect(orders.primaryKey).toEqual(['id']);
    const facts = orders.columns.map(({ name, type, required, default: value }) => [name, type, required, value]);
    expect(facts).toEqual([
      ['id', 'uuid', true, { gen_uuid: true }],
      ['created_at', 'timestamp', true, { now: true }],
      ['updated_at', 'timestamp', true, { now: true }],
      ['created_by', 'text', false, undefined],
      ['total', 'numeric', true, { literal: 1.5 }],
      ['status', 'text', false, { literal: 'new' }],
      ['customer_id', 'reference', false, undefined],
      ['due', 'date', false, { now: true }],
      ['meta', 'json', false, { literal: {} }],
      ['quantity', 'integer', false, undefined],
      ['big', 'bigint', false, undefined],
      ['paid', 'boolean', true, { literal: false }],
      ['seen', 'timestamp', false, { now: true }],
    ]);
    expect(findColumn(orders, 'customer_id')).toMatchObject({
      references: 'customers',
      comment: 'Who bought',
      pii: 'other',
      seal: undefined,
    });
    expect(findColumn(orders, 'status')).toMatchObject({ check: { one_of: ['new', 'paid'] }, pii: undefined });
    expect(orders.columns.filter(column => column.isProtected).map(({ name }) => name)).toEqual([
      'id',
      'created_at',
      'updated_at',
      'created_by',
    ]);
    expect(orders.checks).toEqual([{ name: 'orders_status', column: 'status', check: { one_of: ['new', 'paid'] } }]);
    expect(orders.references).toEqual([
      { name: 'orders_customer_id_fkey', columns: ['customer_id'], table: 'customers' },
    ]);
    expect(orders.indexes).toEqual([
      { name: 'orders_by_customer', columns: ['customer_id', 'total'], unique: false, isConstraint: false },
      { name: 'orders_lower', columns: [], unique: false, isConstraint: false },
      { name: 'orders_open', columns: ['status'], unique: true, isConstraint: false },
      { name: 'orders_pkey', columns: ['id'], unique: true, isConstraint: true },
    ]);
    // Unique only for some rows is not unique.
    expect(findColumn(orders, 'status')?.unique).toBe(false);
    expect(findColumn(await at.catalog.table(at.place, 'customers'), 'name')?.unique).toBe(true);
  });

  test('shows a table made elsewhere as it is', async () => {
    const table = await at.catalog.table(at.place, 'Made Elsewhere');
    expect(table.primaryKey).toEqual(['mail', 'nr']);
    expect(table.columns.map(({ name, type, postgresType, castType }) => [name, type, postgresType, castType])).toEqual(
      [
        ['nr', 'integer', 'integer', 'integer'],
        ['mail', undefined, 'character varying(5)', 'character varying'],
        ['kind', undefined, 'character(3)', 'bpchar'],
        ['price', 'numeric', 'numeric(10,2)', 'numeric'],
        ['at', undefined, 'timestamp without time zone', 'timestamp without time zone'],
        ['ratio', undefined, 'double precision', 'double precision'],
        ['tags', undefined, 'text[]', 'text[]'],
        ['mood', undefined, `${at.place.schema}.mood`, `${at.place.schema}.mood`],
        ['select', 'integer', 'integer', 'integer'],
        ['twice', 'integer', 'integer', 'integer'],
      ],
    );
    expect(findColumn(table, 'nr')).toMatchObject({ isProtected: false, default: { expression: expect.any(String) } });
    expect(findColumn(table, 'select')?.isProtected).toBe(true);
    expect(findColumn(table, 'twice')?.isProtected).toBe(true);
  });

  test('guesses what was meant, from the same schema only', async () => {
    await expect(at.catalog.table(at.place, 'order')).rejects.toMatchObject({
      code: 'table/not-found',
      message: 'There is no table `order`.',
      hint: 'Did you mean `orders`?',
    });
    for (const name of [
      'secrets',
      'other.secrets',
      '_mine',
      '_dropped_orders',
      '_versions',
      'seen_orders',
      '__proto__',
    ]) {
      const error = await at.catalog.table(at.place, name).catch(thrown => thrown);
      expect(error).toMatchObject({ code: 'table/not-found' });
      expect(error.hint).toBe('`describe_tables` lists the tables there are.');
    }
  });
});

describe('a snapshot', () => {
  /** A catalog with its own memory, and how often it asked Postgres. */
  function countingCatalog(ttlMs = 30_000) {
    const clock = { now: 0 };
    const asked = { times: 0, fails: false };
    const pools = {
      ...at.pools,
      query: (...args: Parameters<typeof at.pools.query>) => {
        asked.times++;
        return asked.fails ? Promise.reject(new Error('lost')) : at.pools.query(...args);
      },
    };
    return { clock, asked, catalog: createCatalog({ pools, now: () => clock.now, ttlMs }) };
  }

  test('is read once, by however many callers, until it is too old', async () => {
    const { clock, asked, catalog } = countingCatalog();
    const all = await Promise.all(Array.from({ length: 20 }, () => catalog.tables(at.place)));
    expect(new Set(all).size).toBe(1);
    clock.now = 29_999;
    await catalog.table(at.place, 'orders');
    expect(asked.times).toBe(1);
    clock.now = 30_000;
    await catalog.tables(at.place);
    expect(asked.times).toBe(2);
  });

  test('that failed is not kept', async () => {
    const { asked, catalog } = countingCatalog();
    asked.fails = true;
    await expect(catalog.tables(at.place)).rejects.toThrow('lost');
    asked.fails = false;
    expect((await catalog.tables(at.place)).tables).toHaveLength(3);
  });

  test('that was on its way when the schema changed is not kept', async () => {
    const { asked, catalog } = countingCatalog();
    const before = catalog.tables(at.place);
    catalog.forget(at.place);
    const after = catalog.tables(at.place);
    expect(await before).not.toBe(await after);
    expect(await catalog.tables(at.place)).toBe(await after);
    expect(asked.times).toBe(2);
  });

  test('is renewed before a table is said to be missing, once a second at most', async () => {
    const { clock, asked, catalog } = countingCatalog();
    await catalog.tables(at.place);
    await at.design('create table $s.latecomer (a text)');
    await expect(catalog.table(at.place, 'latecomer')).rejects.toMatchObject({ code: 'table/not-found' });
    expect(asked.times).toBe(1);
    clock.now = 1000;
    expect((await catalog.table(at.place, 'latecomer')).name).toBe('latecomer');
    await at.design('drop table $s.latecomer');
  });

  test('of a schema that is not there says so to the operator only', async () => {
    const error = await at.catalog.tables({ ...at.place, schema: 'nowhere' }).catch(thrown => thrown);
    expect(error).toMatchObject({ code: 'unavailable', retryable: true });
    expect(error.message).not.toContain('nowhere');
  });

  test('has a fingerprint of the structure: rows do not change it, anything else does', async () => {
    const fingerprint = async () => {
      at.catalog.forget(at.place);
      return (await at.catalog.tables(at.place)).fingerprint;
    };
    const seen = [await fingerprint()];
    await at.asOwner("insert into $s.customers (name) values ('a'), ('b')");
    await at.asOwner('analyze $s.customers');
    expect(await fingerprint()).toBe(seen[0]);
    expect((await at.catalog.table(at.place, 'customers')).rowEstimate).toBe(2);
    for (const text of [
      'alter table $s.customers add column nick text',
      'alter table $s.customers add constraint c check (length(nick) > 0)',
      "alter table $s.customers alter column nick set default 'x'",
      "comment on column $s.customers.nick is 'called'",
      'create index on $s.customers (nick)',
      'alter table $s.customers rename column nick to _dropped_nick',
      'create table $s._dropped_thing (a text)',
    ]) {
      await at.asOwner(text);
      const now = await fingerprint();
      expect(seen).not.toContain(now);
      seen.push(now);
    }
  });
});
