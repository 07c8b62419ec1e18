import { describe, expect, test } from 'vitest';
import { FrameError } from '../../src/errors.ts';
import { guardSql } from '../../src/sql/guard.ts';
import { ORDINARY, ORDINARY_SINCE, shop } from './ordinary.ts';

const TABLES = shop();
/** Of customers nobody may read email, and something else that has no name here. */
const PARTIAL = shop({
  customers: { columns: ['id', 'name', 'Odd "Name"'], sealed: ['email'], isPartial: true },
  items: { isPartial: true },
});

const guard = (text: string, tables = TABLES) => guardSql(text, tables, 51);
const sent = async (text: string) => (await guard(text, PARTIAL)).text.replace(/\nlimit 51$/, '');
const refusal = (text: string, tables = TABLES) =>
  guard(text, tables).then(
    () => expect.fail(`let through: ${text.slice(0, 200)}`),
    thrown => {
      if (thrown instanceof FrameError) return thrown;
      throw thrown;
    },
  );

describe('what Postgres takes memory for before it hears a timeout', () => {
  const tables = (count: number) => Array.from({ length: count }, (_, i) => `customers c${i}`).join();
  const ctes = Array.from({ length: 20 }, (_, i) => `w${i} as (select * from ${i ? `w${i - 1}` : 'customers'})`);
  const wide = shop({ customers: { columns: Array.from({ length: 900 }, (_, i) => `column_${i}`) } });

  test.each([
    ['a join of 101 tables', `select 1 from ${tables(101)}`, 'at most 100 tables'],
    [
      'the same in parts',
      `select 1 from (select 1 from ${tables(60)}) a, (select 1 from ${tables(60)}) b`,
      'at most 100',
    ],
    ['300 stars of 90 tables', `select ${Array(300).fill('*').join()} from ${tables(90)}`, 'too many columns'],
    ['300 stars of one table', `select ${Array(300).fill('c0.*').join()} from ${tables(1)}`, 'too many columns'],
    ['stars of subqueries', `select ${Array(200).fill('a.*').join()} from (select 1) a`, 'too many columns'],
    [
      'stars of a join',
      `select ${Array(200).fill('j.*').join()} from (customers a join customers b on true) j`,
      'too many',
    ],
  ])('%s is refused', async (_, text, why) => {
    expect(await refusal(text, wide)).toMatchObject({ code: 'sql/refused', message: expect.stringContaining(why) });
  });

  test.each([
    ['a join of 100 tables', `select count(*) from ${tables(100)}`],
    ['all of a join of 20', `select * from ${tables(20)}`],
    ['step by step, with a star in each', `with ${ctes.join()} select * from w19`],
  ])('%s is not', async (_, text) => {
    await expect(guard(text, wide)).resolves.toBeDefined();
  });
});

describe('an ordinary query', () => {
  const all = [...ORDINARY, ...ORDINARY_SINCE.map(([, text]) => text)];

  test.each(all)('is let through: %s', async text => {
    await guard(text);
  });

  test('is sent word for word, with a limit where it has none', async () => {
    expect((await guard('select  name -- x\nfrom Customers;')).text).toBe(
      'select  name -- x\nfrom Customers\nlimit 51',
    );
    expect((await guard('select 1 limit 7')).text).toBe('select 1 limit 7');
    expect((await guard('select 1 fetch first row only')).text).toBe('select 1 fetch first row only');
    expect((await guard('select 1 limit all')).text).toBe('select 1 limit all');
    expect((await guard('(select 1 limit 3) union select 2')).text).toBe('(select 1 limit 3) union select 2\nlimit 51');
    expect((await guard('select 1 -- end')).text).toBe('select 1 -- end\nlimit 51');
    expect((await guard('select 1; -- end')).text).toBe('select 1\nlimit 51');
  });

  test('is still one query with the limit, and means what it meant', async () => {
    for (const text of all) {
      const first = await guard(text);
      const again = await guard(first.text);
      expect(again.text).toBe(first.text);
      expect(again.tables).toEqual(first.tables);
    }
  });

  test('names its tables, each once, and no CTE', async () => {
    const { tables } = await guard(
      'with c as (select * from items) select 1 from c, items i, customers where 1 in (select 2 from items)',
    );
    expect(tables.map(({ name }) => name)).toEqual(['items', 'customers']);
  });
});

describe('a CTE', () => {
  test.each([
    'with customers as (select 1 as n) select n from customers',
    'with x as (select 1), y as (select * from x) select * from y',
    'with recursive y as (select * from x), x as (select 1) select * from y',
    'with x as (select 1) select (select count(*) from (select * from x) s)',
    'with x as (select 1) (select * from x union select * from x) order by 1',
    'select * from (with x as (select 1 as a) select a from x) s',
    'with x as (with y as (select 1) select * from y) select * from x',
  ])('is known where Postgres knows it: %s', async text => {
    await guard(text);
  });

  test.each([
    'with y as (select * from x), x as (select 1) select * from y',
    'with x as (select * from x) select 1',
    'select * from (with x as (select 1) select 1) s, x',
    'with a as (with x as (select 1) select 1) select * from x',
    '(with x as (select 1) select * from x) union select * from x',
    'select (with x as (select 1) select count(*) from x), (select count(*) from x)',
    'with x as (select 1) select * from public.x',
  ])('is not known elsewhere: %s', async text => {
    expect((await refusal(text)).message).toMatch(/there is no table `x`|a schema in front/);
  });

  test.each(['pg_class', '"pg_class"', 'PG_Roles', 'U&"pg\\005fclass"'])('cannot be called %s', async name => {
    for (const text of [
      `with ${name} as (select 1) select * from ${name}`,
      `select * from (with ${name} as (select 1) select * from ${name}) s, ${name}`,
    ]) {
      expect(await refusal(text)).toMatchObject({ code: 'sql/refused', message: expect.stringContaining('pg_') });
    }
  });
});

describe('a name after a dot', () => {
  test.each([
    'select g.pg_sleep from unnest(array[5::float8]) g',
    'select g.pg_sleep, 1 as pg_sleep from unnest(array[5::float8]) g',
    'select g.pg_sleep from unnest(array[5::float8]) g, (select 1 as pg_sleep) g2',
    'select pg_sleep.pg_sleep from unnest(array[5::float8]) as pg_sleep(x)',
    'select g.pg_sleep from (select 1 as pg_sleep) g, lateral (select g.pg_sleep from unnest(array[5::float8]) g) h',
    'select g.n from unnest(array[1]) as g(m)',
    'select c.row_to_json from customers c',
    'select x.nothing from (select 1 as one) x',
    'select s.one from (select 1 as one) x',
  ])('must be a column: %s', async text => {
    expect((await refusal(text)).code).toMatch(/^(sql\/refused|table\/no-such-column)$/);
  });

  test.each([
    'select g.g, g.generate_series from generate_series(1, 2) g',
    'select g.pg_sleep from unnest(array[1]) as g(pg_sleep)',
    'select j.key, j.value from jsonb_each($${"a": 1}$$) j',
    'select x.one, x.upper, x.int4, x.coalesce from (select 1 as one, upper($$a$$), 1::int4, coalesce(1)) x',
    'with c as (select i.total from invoices i) select i.total, i.sku from c join (select sku, 1 as total from items) i on true',
    'with a as (select i.status from invoices i), b as (select i.sku from items i) select a.status, b.sku from a, b',
  ])('may be one: %s', async text => {
    await guard(text);
  });
});

describe('a query that is too much', () => {
  test.each([
    ['too many parts', `select ${Array(4000).fill('1').join(',')}`],
    ['nested too deeply', `select ${'('.repeat(60)}${Array(130).fill('1').join(' + ')}${')'.repeat(60)}`],
    ['nested too deeply', `select 1${' + 1'.repeat(4000)}`],
    ['nested too deeply', `select ${'(select '.repeat(1000)}1${')'.repeat(1000)}`],
    ['nested too deeply', `select ${'array['.repeat(1500)}1${']'.repeat(1500)}`],
    ['nested too deeply', `select * from ${'(select * from '.repeat(900)}items${') x'.repeat(900)}`],
    ['nested too deeply', `select ${'upper('.repeat(2800)}1${')'.repeat(2800)}`],
    // The grammar takes a second and more for each of these, in which nobody else is answered.
    ['too many signs in a row', `select ${'+'.repeat(19_900)}1`],
    ['too many signs in a row', `select 1 ${'/**/'.repeat(4_900)}`],
    ['too many signs in a row', `select 1 where 1 not ${'/*'.repeat(4_900)}${'*/'.repeat(4_900)} like 2`],
    ['too many signs in a row', `select ${`${'-'.repeat(900)}+ `.repeat(20)}1`],
    ['plain text first', `select format('%${'1$'.repeat(9_000)}s', 1)`],
    ['20000 are allowed', `select '${'x'.repeat(20_000)}'`],
    ['20000 are allowed', `select '${'ü'.repeat(10_000)}'`],
  ])('%s', async (words, text) => {
    expect((await refusal(text)).message).toContain(words);
  });

  test('leaves the parser as it was', async () => {
    const expected = await guard('select name from customers');
    for (const open of ['(', 'array[', '(select ', 'not ', '- ', 'case when ', 'a.']) {
      await guard(`select ${open.repeat(Math.floor(19_000 / open.length))}`).catch(() => {});
      expect((await guard('select name from customers')).text).toBe(expected.text);
    }
  });

  test.each([
    "select to_char(1, 'FM000')",
    "select 'x'::char(1000), 'x'::varchar(5000)",
    "select format('%100$s %-10s %s%% %1$-20s', 1, 2, 3)",
    `select format('%${'1'.repeat(15_000)}$s', 1)`,
    `-- ${'='.repeat(100)}\n-- a heading\n-- ${'='.repeat(100)}\n`.repeat(80).concat('select 1'),
    `select '${'-'.repeat(1500)}'`,
    'select * from generate_series(1, 1000001)',
    'select * from generate_series(1, 1000000000, 1000)',
    "select * from generate_series(now(), now() + interval '1 year', interval '1 hour')",
  ])('is not meant by %s', async text => {
    await guard(text);
  });
});

describe('columns that nobody may read', () => {
  const narrowed = '(select "id", "name", "Odd ""Name""" from customers)';

  test.each([
    ['select * from customers', `select * from ${narrowed} as "customers"`],
    ['select * from customers c', `select * from ${narrowed} c`],
    ['select c.* from customers as c', `select c.* from ${narrowed} as c`],
    ['select * from "customers" x', 'select * from (select "id", "name", "Odd ""Name""" from "customers") x'],
    ["select 'ü', * from customers, invoices", `select 'ü', * from ${narrowed} as "customers", invoices`],
    ['select c from customers c', `select c from ${narrowed} c`],
    ['select customers from customers', `select customers from ${narrowed} as "customers"`],
    ['select 1 from customers a natural join invoices', `select 1 from ${narrowed} a natural join invoices`],
    ['select 1 from customers as x(a, b)', `select 1 from ${narrowed} as x(a, b)`],
    ['select * from customers a, customers b', `select * from ${narrowed} a, ${narrowed} b`],
    [
      "select email from customers, (select 'x' as email) e",
      `select email from ${narrowed} as "customers", (select 'x' as email) e`,
    ],
    ['select name, count(*) from customers group by name', 'select name, count(*) from customers group by name'],
    ['select c.name from customers c group by c.id', 'select c.name from customers c group by c.id'],
    [
      'select c.*, 1 from customers c group by c.id',
      'select "c"."id", "c"."name", "c"."Odd ""Name""", 1 from customers c group by c.id',
    ],
    [
      'select * from invoices i, customers group by 1',
      'select "i".*, "customers"."id", "customers"."name", "customers"."Odd ""Name""" from invoices i, customers group by 1',
    ],
    ['select c /**/.* from customers c group by 1', `select c /**/.* from ${narrowed} c group by 1`],
    [
      'select c.*, c from customers c group by 1',
      `select "c"."id", "c"."name", "c"."Odd ""Name""", c from ${narrowed} c group by 1`,
    ],
    ['select j from (customers c join invoices on true) j', `select j from (${narrowed} c join invoices on true) j`],
    ['select * from invoices', 'select * from invoices'],
    ['with customers as (select 1) select * from customers', 'with customers as (select 1) select * from customers'],
  ])('%s is sent as %s', async (text, expected) => {
    expect(await sent(text)).toBe(expected);
  });

  test.each([
    'select email from customers',
    'select c.email from customers c',
    'select 1 from customers c join invoices i using (email)',
    'with c as (select * from customers) select c.email from c',
  ])('are refused by name: %s', async text => {
    expect(await refusal(text, PARTIAL)).toMatchObject({ code: 'sql/refused', nextTool: 'select_rows' });
  });

  test.each(['table customers', 'select * from U&"customers"', 'select * from U&"c!0075stomers" uescape $$!$$'])(
    'are meant by %s, which has to be said otherwise',
    async text => {
      expect((await refusal(text, PARTIAL)).code).toMatch(/^sql/);
    },
  );

  test('make a short query no long one', async () => {
    const wide = shop({
      customers: { columns: Array.from({ length: 500 }, (_, i) => `column_${i}`), isPartial: true },
    });
    const many = (count: number) =>
      `select * from ${Array.from({ length: count }, (_, i) => `customers c${i}`).join()}`;
    expect((await guard(many(50), wide)).text.length).toBeGreaterThan(250_000);
    const grouped = `select ${Array(100).fill('c.*').join()} from customers c group by 1`;
    for (const text of [many(100), `${many(100)} group by 1`, grouped]) {
      expect(await refusal(text, wide)).toMatchObject({
        code: 'sql/refused',
        message: expect.stringContaining('`customers` stands here too often'),
      });
    }
  });

  test('places are told as they were written', async () => {
    const text = "select 'ü🧾', * from customers c, items where nmae = 1";
    const query = await guard(text, PARTIAL);
    const [where] = query.text.split('where');
    for (const [sentBefore, written] of [
      ["select 'ü🧾', ", "select 'ü🧾', "],
      [where, text.split('where')[0]],
      [`${where}where `, `${text.split('where')[0]}where `],
    ]) {
      expect(query.originalBefore(Array.from(sentBefore ?? '').length)).toBe(written);
    }
    expect(query.originalBefore(10_000)).toBe(text);
    expect(query.originalBefore(0)).toBe('');
  });
});
