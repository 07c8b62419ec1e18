import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FrameError } from '../../src/errors.ts';
import { runSql } from '../../src/tools/data/run-sql.ts';
import { applyChange } from '../../src/tools/schema/apply-change.ts';
import { planChange } from '../../src/tools/schema/plan-change.ts';
import { openTestPlace, type TestPlace, tableOf } from '../tables/test-place.ts';
import { SHOP_ROWS, SHOP_TABLES } from './ordinary.ts';

// Every table of the shop has a column that nobody may read: what a star stands for is said without it, and a query that
// Postgres would take of whole tables is taken of these.

let at: TestPlace;

beforeAll(async () => {
  at = await openTestPlace();
  for (const [name, columns] of Object.entries(SHOP_TABLES)) {
    for (const text of tableOf(name, columns)) await at.design(text);
  }
  for (const text of SHOP_ROWS) await at.design(text);
  const changes = [
    { alter_column: { table: 'customers', column: 'email', set: { pii: 'email' } } },
    { drop_column: { table: 'invoices', column: 'notes' } },
    { drop_column: { table: 'items', column: 'price' } },
    { drop_column: { table: 'events', column: 'body' } },
  ];
  const { plan } = await at.run(planChange, { changes });
  await at.run(applyChange, { plan });
});
afterAll(() => at?.remove());

const ask = (sql: string) => at.run(runSql, { sql, limit: 500 }) as Promise<{ columns: string[]; rows: unknown[][] }>;
const refusal = (sql: string) =>
  ask(sql).then(
    () => expect.fail(`ran: ${sql}`),
    (thrown: FrameError) => thrown,
  );

const CUSTOMER = ['id', 'created_at', 'updated_at', 'created_by', 'name', 'country', 'tags', 'parent'];

describe('a primary key in GROUP BY covers its row', () => {
  test.each([
    "with paid as (select * from invoices where status = 'paid') select c.name, sum(p.total) from customers c join paid p on p.customer_id = c.id group by c.id",
    'select i.number, i.total, count(x.*) from invoices i left join items x on x.invoice_id = i.id group by i.id',
    'select i.number, i.total, json_agg(x) from invoices i left join items x on x.invoice_id = i.id group by i.id',
    'select c.name, (select count(*) from (select * from invoices) i where i.customer_id = c.id) from customers c group by c.id',
    'select c.name, count(i.*) from customers c join invoices i on i.customer_id = c.id group by c.id having count(i.*) > 1 order by c.name',
    "select c.name, e.email from customers c cross join (select 'x' as email) e group by c.id, e.email",
    'select name, n from (select name, country, count(*) as n from customers c group by c.id) s join (select * from items) t on true limit 3',
  ])('beside stars of others: %s', async text => {
    expect((await ask(text)).rows.length).toBeGreaterThan(0);
  });

  test.each([
    [
      'select c.*, count(*) as n from customers c join invoices i on i.customer_id = c.id group by c.id',
      [...CUSTOMER, 'n'],
    ],
    ['select "c" . * from customers as "c" group by c.id', CUSTOMER],
    ['select 1 as ü, customers.* from customers group by customers.id order by name', ['ü', ...CUSTOMER]],
    ['select * from customers group by id', CUSTOMER],
    ['select *, now() from customers c group by c.id', [...CUSTOMER, 'now']],
    [
      'select * from customers c join (select customer_id from invoices) i on i.customer_id = c.id group by c.id, i.customer_id',
      [...CUSTOMER, 'customer_id'],
    ],
    [
      'with v as (select 1 as one) select * from v, customers c, generate_series(1, 2) as g group by c.id, v.one, g',
      ['one', ...CUSTOMER, 'g'],
    ],
    ['(select c.* from customers c group by c.id) union all select * from customers limit 50', CUSTOMER],
  ])('and stars of its own: %s', async (text, columns) => {
    const found = await ask(text);
    expect(found.columns).toEqual(columns);
    expect(found.rows.length).toBeGreaterThan(0);
  });

  test('and gives the same rows as the columns that are meant', async () => {
    const group = 'from customers c left join invoices i on i.customer_id = c.id group by c.id order by c.name';
    const named = CUSTOMER.map(name => `c.${name}`).join(', ');
    expect(await ask(`select c.*, max(i.total) ${group}`)).toEqual(await ask(`select ${named}, max(i.total) ${group}`));
  });
});

describe('a star is still a star', () => {
  test.each([
    ['select c.* from customers c', CUSTOMER],
    [
      'select * from customers natural join (select name from customers) x',
      ['name', ...CUSTOMER.filter(n => n !== 'name')],
    ],
    [
      'select * from customers a join customers b using (id) limit 1',
      [...CUSTOMER, ...CUSTOMER.slice(1).map(name => `${name}_2`)],
    ],
    ['select (select count(c.*)) as n from customers c', ['n']],
    ['select (with w as (select count(c.*) as n) select n from w) as n from customers c limit 1', ['n']],
    ['select s.n from customers c cross join lateral (select count(c.*) as n from items c) s', ['n']],
    ['select x.n from customers c cross join lateral (select row(c.*)::text as n) x', ['n']],
    ['select /* c.* */ c /* . */ . /* */ * from customers c limit 1', CUSTOMER],
    [
      'select c.* from customers c group by c.id, c.name, c.country, c.tags, c.parent, c.created_at, c.updated_at, c.created_by',
      CUSTOMER,
    ],
  ])('%s', async (text, columns) => {
    expect((await ask(text)).columns).toEqual(columns);
  });

  test.each([
    'select * from customers a natural join items b group by a.id',
    'select c /**/ . * from customers c group by c.id',
    'select c.* from customers c join customers c on true group by c.id',
    'select d.* from customers c group by c.id',
    'select c.* from (customers c join items i on true) as j group by c.id',
    'select x.* from customers as x(a) group by x.a',
  ])('and where Postgres takes it no longer, it says why: %s', async text => {
    expect((await refusal(text)).code).toMatch(/^sql\/(failed|refused)$/);
  });

  test('a place behind one that is written out is told as it was written', async () => {
    const text = 'select c.*,\n  nmae from customers c group by c.id';
    expect((await refusal(text)).message).toBe('Line 2, column 3: there is no column `nmae`.');
  });
});

describe('a join under a name', () => {
  test.each([
    ['select j from (customers c join invoices i on i.customer_id = c.id) as j limit 3', ['j']],
    ['select j.* from (customers c join invoices i on true) as j limit 3', undefined],
    ['select j.k from (customers c cross join items) as j(a, b, c, d, e, f, g, h, i, k) limit 3', ['k']],
    ["select j.email from (customers c join (select 'x' as email) e on true) as j limit 1", ['email']],
    [
      'select to_jsonb(k) from ((customers c join invoices i on true) as j join items on true) as k limit 1',
      ['to_jsonb'],
    ],
  ])('says nothing of what nobody may read: %s', async (text, columns) => {
    const found = await ask(text);
    if (columns) expect(found.columns).toEqual(columns);
    expect(found.rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(found)).not.toMatch(/_dropped|_bidx|\\\\x/);
  });
});

describe('what Postgres can do no more of', () => {
  test.each([
    ['54023', `select jsonb_build_object(${Array(102).fill("'a'").join()})`, /cannot pass more than 100 arguments/],
    ['54023', `select concat(${Array(101).fill('1').join()})`, /cannot pass more than 100 arguments/],
    ['54011', `select ${Array(1665).fill('1').join()}`, /at most 1664 entries/],
    [
      '54011',
      `select 1 from invoices group by cube (${Array.from({ length: 13 }, (_, i) => `number + ${i}`).join()})`,
      /12 elements/,
    ],
    [
      '54001',
      'select 1 from invoices group by cube (1, number), cube (number, status, total), cube (id, status, issued, number, total, doc), cube (paid_at, issued)',
      /grouping sets/,
    ],
    ['54000', 'select chr(0)', /null character not permitted/],
    ['54000', 'select chr(2000000)', /character too large/],
    ['54000', `select ${'array['.repeat(7)}1${']'.repeat(7)}::text`, /dimensions/],
  ])('%s is told in its words: %s', async (detail, text, words) => {
    const told = await refusal(text);
    expect(told).toMatchObject({ code: 'sql/failed', detail });
    expect(told.message).toMatch(words);
  });

  test('a value that grew is told as one', async () => {
    const text = "select to_tsvector('simple', string_agg(md5(i::text), ' ')) from generate_series(1, 60000) i";
    expect(await refusal(text)).toMatchObject({ code: 'limit/bytes', detail: '54000' });
  });
});

describe('a part of a pair', () => {
  test('is a column of what jsonb_each gives', async () => {
    const { rows } = await ask(`select (jsonb_each('{"a": 1}')).key, (json_each_text('{"b": 2}')).value`);
    expect(rows).toEqual([['a', '2']]);
    expect((await ask('select distinct (jsonb_each(data)).key from events')).rows).toEqual([['n']]);
  });

  test.each([
    "select (jsonb_each('{}')).pg_sleep",
    "select (jsonb_each('{}')).key.x",
    'select (upper(name)).key from customers',
    "select (jsonb_each('{}')).*",
    'select (x.jsonb_each(1)).key',
    'select (customers).key from customers',
  ])('and nothing else: %s', async text => {
    expect((await refusal(text)).code).toBe('sql/refused');
  });

  test.each([
    ["select (jsonb_to_record('{}')).a", 'from jsonb_each(data) e'],
    ['select total::money from invoices', 'to_char'],
    ["select repeat('#', number) from invoices", "left(rpad('', 100, x), n)"],
  ])('%s is refused with a way out', async (text, hint) => {
    expect((await refusal(text)).hint).toContain(hint);
  });

  test('and the ways out are open', async () => {
    const { rows } = await ask(
      "select left(rpad('', 100, '#'), 3), to_char(1234.5, 'FM999,999,990.00'), pg_size_pretty(20480::bigint), (select e.key from jsonb_each('{\"a\": 1}') e)",
    );
    expect(rows).toEqual([['###', '1,234.50', '20 kB', 'a']]);
  });
});
