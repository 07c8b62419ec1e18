import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loginOf } from '../../../src/database/place.ts';
import { runSql } from '../../../src/tools/data/run-sql.ts';
import { selectRows } from '../../../src/tools/data/select-rows.ts';
import { applyChange } from '../../../src/tools/schema/apply-change.ts';
import { planChange } from '../../../src/tools/schema/plan-change.ts';
import { ORDINARY, ORDINARY_SINCE, SHOP_ROWS, SHOP_TABLES } from '../../sql/ordinary.ts';
import { openTestPlace, type TestPlace, tableOf } from '../../tables/test-place.ts';

interface Answer {
  columns: string[];
  rows: unknown[][];
  truncated: boolean;
  hint?: string;
}

let at: TestPlace;
const run = async (sql: string, limit?: number) =>
  (await at.run(runSql, { sql, ...(limit !== undefined && { limit }) })) as unknown as Answer;
const errorOf = (sql: string, limit?: number) =>
  run(sql, limit).then(
    () => expect.fail(`nothing was thrown by ${sql}`),
    thrown => thrown,
  );
const only = async (sql: string) => (await run(sql)).rows[0]?.[0];

beforeAll(async () => {
  at = await openTestPlace();
  for (const [name, columns] of Object.entries(SHOP_TABLES)) {
    for (const text of tableOf(name, columns)) await at.design(text);
  }
  for (const text of SHOP_ROWS) await at.design(text);
});
afterAll(() => at.remove());

describe('what people ask', () => {
  test.each([...ORDINARY, ...ORDINARY_SINCE.map(([, text]) => text)])('runs: %s', async sql => {
    expect(await run(sql)).toMatchObject({ columns: expect.any(Array), rows: expect.any(Array) });
  });
});

describe('an answer', () => {
  test('has the forms of select_rows', async () => {
    const columns = ['big', 'at', 'data', 'kind', 'id'];
    const selected = (await at.run(selectRows, { table: 'events', columns, order_by: ['id'] })) as unknown as Answer;
    const found = await run(`select ${columns.join(', ')} from events order by id`);
    expect(found.columns).toEqual(columns);
    expect(found.rows).toEqual(selected.rows);
  });

  test('keeps every digit, and every kind of value', async () => {
    const { rows } = await run(`select 9007199254740993, 9007199254740992, 0.1::numeric, 1e30::numeric, 'NaN'::float8,
      '-Infinity'::float4, true, null, date '2026-02-03', timestamptz '2026-02-03 04:05:06.7+02', timestamp '2026-02-03 04:05',
      interval '1 day 2 hours', array['a', null], '{"n": 12345678901234567890}'::jsonb, '[1]'::json, '\\x00'::bytea,
      'infinity'::timestamptz`);
    expect(rows).toEqual([
      [
        ...['9007199254740993', 9007199254740992, 0.1, 1e30, 'NaN'],
        ...['-Infinity', true, null, '2026-02-03', '2026-02-03T02:05:06.7Z', '2026-02-03 04:05:00'],
        ...['1 day 02:00:00', '{a,NULL}', { n: '12345678901234567890' }, [1], '\\x00', 'infinity'],
      ],
    ]);
  });

  test('names every column once', async () => {
    const { columns } = await run('select 1 as a, 2 as a, 3 as a_2, 4 as a, 5, 6');
    expect(columns).toEqual(['a', 'a_3', 'a_2', 'a_4', '?column?', '?column?_2']);
  });

  test.each([
    ['select g from generate_series(1, 50) g', undefined, 50, false],
    ['select g from generate_series(1, 51) g', undefined, 50, true],
    ['select g from generate_series(1, 5) g', 5, 5, false],
    ['select g from generate_series(1, 6) g', 5, 5, true],
    ['select g from generate_series(1, 100) g limit 70', undefined, 50, true],
    ['select g from generate_series(1, 100) g limit 7', 10, 7, false],
    ['select g from generate_series(1, 600) g limit 100000', 500, 500, true],
    ['select g from generate_series(1, 10) g order by g % 2 fetch first 1 row with ties', 4, 4, true],
    ['select g from generate_series(1, 100) g limit all -- all', 10, 10, true],
    ['(select g from generate_series(1, 4) g order by g desc)', 3, 3, true],
    ['select 1 union all select 2 union all select 3', 2, 2, true],
  ])('to %s with limit %s has %d rows, and says whether there are more: %s', async (sql, limit, count, truncated) => {
    const answer = await run(sql, limit);
    expect(answer.rows).toHaveLength(count);
    expect(answer.truncated).toBe(truncated);
    expect('hint' in answer).toBe(truncated);
  });

  test('keeps the order that was asked for', async () => {
    expect((await run('select g from generate_series(1, 200) g order by -g', 3)).rows).toEqual([[200], [199], [198]]);
  });

  test('is cut after the last row that fits', async () => {
    const answer = await run(
      "select g, string_agg('0123456789', '') from generate_series(1, 20) g, generate_series(1, 3000) group by g",
    );
    expect(answer.truncated).toBe(true);
    expect(answer.rows.length).toBeGreaterThan(10);
    expect(Buffer.byteLength(JSON.stringify(answer))).toBeLessThanOrEqual(400_000);
  });

  test('of one row that no answer holds is an error that says what to do', async () => {
    const text = "select string_agg('0123456789', '') from generate_series(1, 50000)";
    expect(await errorOf(text)).toMatchObject({ code: 'limit/bytes', hint: expect.stringContaining('left(') });
  });

  test('with JSON nested too deeply to be read is its text, and ends no process', async () => {
    const deep = `${'['.repeat(6000)}${']'.repeat(6000)}`;
    const answer = await at.run(runSql, { sql: `select '${deep}'::json` }).catch(thrown => thrown);
    expect(JSON.stringify(answer)).toContain('[[[');
  });
});

describe('what is wrong with a query is told in words', () => {
  test.each([
    ['select * from pg_class', 'sql/refused', 'Line 1, column 15: `pg_class` is not available.', 'describe_tables'],
    [
      'select * from information_schema.tables',
      'sql/refused',
      '`information_schema` is not available',
      'describe_tables',
    ],
    ['select * from invoice', 'table/not-found', 'there is no table `invoice`', '`invoices`'],
    ['select * from _versions', 'table/not-found', 'there is no table `_versions`', 'describe_tables'],
    ['select * from axe_prod.invoices', 'sql/refused', 'a schema in front of a name', 'Write the name alone'],
    ['select * from nowhere.invoices', 'sql/refused', 'a schema in front of a name', 'Write the name alone'],
    ['select nmae from customers', 'table/no-such-column', 'Line 1, column 8: there is no column `nmae`.', '`name`'],
    ['select c.nmae from customers c', 'table/no-such-column', '`c` has no column `nmae`', '`name`'],
    ['select x.name from customers c', 'sql/refused', '`x` does not stand in FROM', '`c`'],
    [
      'select "ü", no from customers',
      'table/no-such-column',
      'Line 1, column 8: there is no column `ü`.',
      'Columns: id',
    ],
    [
      "select 'ü',\n  nmbr from invoices",
      'table/no-such-column',
      'Line 2, column 3: there is no column `nmbr`',
      'number',
    ],
    ['select 1 / (number - number) from invoices', 'sql/failed', 'division by zero', 'nullif'],
    [
      'select number from invoices where status = 5',
      'sql/failed',
      'Line 1, column 42: operator does not exist: text = integer.',
      'Cast',
    ],
    ['select upper(number) from invoices', 'sql/failed', 'function upper(integer) does not exist', 'Cast'],
    ["select 'abc'::int", 'sql/failed', 'Line 1, column 8: invalid input syntax for type integer: "abc"', undefined],
    ['select name, count(*) from customers', 'sql/failed', 'must appear in the GROUP BY clause', 'GROUP BY'],
    ['select id from customers c, invoices i', 'sql/failed', 'column reference "id" is ambiguous', 'in front'],
    ['select (select id from customers)', 'sql/failed', 'more than one row returned by a subquery', undefined],
    ["select name from customers where name ~ '('", 'sql/failed', 'invalid regular expression', undefined],
    ['select * from customers limit -1', 'sql/failed', 'LIMIT must not be negative', undefined],
    ['select pg_sleep(1)', 'sql/refused', 'the function `pg_sleep` is not available', undefined],
    ['select uper(name) from customers', 'sql/refused', 'Line 1, column 8: the function `uper`', '`upper`'],
    ["select lpad('1', 3000, '0')", 'sql/refused', 'lpad pads to at most 1000 characters', "lpad(x, 10, '0')"],
    ["select rpad('', number, '*') from invoices", 'sql/refused', 'written as a number', "rpad(x, 10, '0')"],
    ["select repeat('1', 3)", 'sql/refused', 'the function `repeat` is not available', 'rpad('],
    ["select 'customers'::regclass", 'sql/refused', 'the type `regclass` is not available', undefined],
    ['select current_user', 'sql/refused', 'users and schemas are not available', 'get_context'],
    ['select (c).name from customers c', 'sql/refused', 'a name after a value in parentheses', 'FROM'],
    ['select $1', 'sql/refused', 'a parameter such as `$1`', 'Write the value'],
    ['select * from customers for update', 'sql/refused', 'FOR UPDATE', 'only reads'],
    ['select 1; select 2', 'sql/refused', 'These are 2 statements', 'one at a time'],
    ['', 'sql/refused', 'There is no statement', 'one SELECT'],
    ['-- nothing', 'sql/refused', 'There is no statement', 'one SELECT'],
    ["update customers set name = 'x'", 'sql/refused', 'This is not a SELECT', '`update_rows`'],
    ['insert into customers (name) values (1)', 'sql/refused', 'This is not a SELECT', '`insert_rows`'],
    ['delete from customers', 'sql/refused', 'This is not a SELECT', '`delete_rows`'],
    ['drop table customers', 'sql/refused', 'This is not a SELECT', '`plan_change`'],
    ['create index on customers (name)', 'sql/refused', 'This is not a SELECT', '`plan_change`'],
    ['explain select 1', 'sql/refused', 'This is not a SELECT', 'one SELECT'],
    ['with gone as (delete from customers returning *) select 1', 'sql/refused', 'DELETE inside WITH', '`delete_rows`'],
    ['select é, x fro m y', 'sql/syntax', 'Line 1, column 17: syntax error at or near "m".', 'Postgres'],
    ["select 'open", 'sql/syntax', 'unterminated quoted string', 'Postgres'],
    [`select ${'x'.repeat(20_001)}`, 'sql/refused', '20000 are allowed', undefined],
    ['select 1 \0 from pg_class', 'sql/refused', 'NUL', undefined],
    ["select '\ud800'", 'sql/refused', 'half a character', undefined],
  ])('%s', async (sql, code, message, hint) => {
    const error = await errorOf(sql);
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
    if (hint) expect(error.hint).toContain(hint);
    expect(JSON.stringify(error.toPublic())).not.toMatch(/axe_prod|_prod\b|ro_[0-9a-f]|PostgresError/);
  });

  test('also when Postgres would name a schema', async () => {
    const error = await errorOf(`select '${at.place.schema}'::int`);
    expect(error).toMatchObject({ code: 'sql/failed', message: 'Line 1, column 8: Postgres refuses this.' });
  });

  test('and a table that was made without rights for us is not readable', async () => {
    await at.asOwner('create table $s.foreign_table (a int)');
    expect(await errorOf('select * from foreign_table')).toMatchObject({ code: 'sql/refused' });
  });
});

describe('what changes meanwhile', () => {
  test('a table and a column that another slot has just made are found', async () => {
    await run('select 1 from customers');
    at.clock.now += 2000;
    // Nobody tells the catalog.
    const asDesigner = (text: string) =>
      at.pools.query(loginOf(at.place, 'own'), text.replaceAll('$s', at.place.schema), [], { prepare: false });
    await asDesigner('create table $s.newborn (a int)');
    await asDesigner('alter table $s.customers add column fresh int default 7');
    expect(await run('select * from newborn')).toMatchObject({ columns: ['a'] });
    at.clock.now += 2000;
    await asDesigner('alter table $s.customers add column fresher int default 8');
    expect(await only('select c.fresher from customers c')).toBe(8);
  });
});

describe('columns that nobody may read', () => {
  const change = async (...changes: object[]) => {
    const { plan } = await at.run(planChange, { changes });
    await at.run(applyChange, { plan });
  };

  beforeAll(async () => {
    const text = (name: string, more: object = {}) => ({ name, type: 'text', ...more });
    await change({
      create_table: {
        name: 'people',
        columns: [text('name'), text('town'), text('mail', { pii: 'email' }), text('gone'), text('boss')],
      },
    });
    await at.design("insert into $s.people (name, town, boss, gone) values ('Ada', 'London', 'Babbage', 'secret')");
    await change({ drop_column: { table: 'people', column: 'gone' } });
  });

  const SHOWN = ['id', 'name', 'town', 'boss', 'created_at', 'updated_at', 'created_by'];

  test.each([
    'select * from people',
    'select p.* from people p',
    'select p.* from people as p where p.name is not null order by p.name',
    'with all_of_them as (select * from people) select * from all_of_them',
    'select x.* from (select * from "people") x',
    'select people.* from PEOPLE cross join lateral (select 1) l',
    '/* ä */ select * from people -- "people"',
    'select * from people union all select * from people limit 1',
  ])('are not in what a star stands for: %s', async sql => {
    const { columns, rows } = await run(sql);
    expect(columns).toEqual(SHOWN);
    expect(rows[0]?.slice(1, 4)).toEqual(['Ada', 'London', 'Babbage']);
  });

  test.each([
    'select row_to_json(p) from people p',
    'select to_jsonb(people) from people',
    'select (json_agg(p) -> 0)::jsonb from people p',
  ])('are not in a whole row: %s', async sql => {
    expect(Object.keys((await only(sql)) as object).sort()).toEqual([...SHOWN].sort());
  });

  test.each([
    'select count(p) from people p',
    'select count(p.*) from people p',
    'select count(*) from people natural join people q',
    'select count(*) from people a join people b using (name)',
    'select a.c from people as p(a, b, c, d, e), lateral (select e as c) a',
    'select p.name, count(*) from people p group by p.id',
    'select name from people where people is distinct from null',
  ])('are in the way of no other query: %s', async sql => {
    expect((await run(sql)).rows).toHaveLength(1);
  });

  test.each([
    'select mail from people',
    'select p.mail from people p',
    'select upper("mail") from people',
    'select name from people order by mail',
    "select count(*) from people where mail = 'x'",
    'select x.mail from (select * from people) x',
    'with p as (select * from people) select mail from p',
    'select 1 from people a join people b using (mail)',
    'select name as mail from people where mail is null',
  ])('are refused with what to do: %s', async sql => {
    expect(await errorOf(sql)).toMatchObject({
      code: 'sql/refused',
      message: expect.stringMatching(/^Line 1, column \d+: `mail` is personal data/),
      nextTool: 'select_rows',
    });
  });

  test('are meant by TABLE, which has to be said otherwise', async () => {
    expect((await errorOf('table people')).message).toBe('Line 1, column 7: TABLE cannot be used with `people`.');
    expect((await errorOf('table people')).hint).toContain('SELECT *');
    expect((await run('table items')).rows).toHaveLength(50);
  });

  test('a name that something else has is that', async () => {
    expect(await only("select mail from (select 'x' as mail, name from people) s")).toBe('x');
    expect(await only('select email from customers, people limit 1')).toMatch(/@example/);
    expect((await run('select c.email as mail from customers c order by mail limit 1')).columns).toEqual(['mail']);
  });

  test('and what was dropped is told like any other name', async () => {
    expect(await errorOf('select p.gone from people p')).toMatchObject({ code: 'table/no-such-column' });
    expect(await errorOf('select gone from people')).toMatchObject({ code: 'table/no-such-column' });
    expect((await errorOf('select gone from people')).hint).not.toContain('_dropped');
  });
});

describe('a query that takes too long', () => {
  test('is stopped, and the answer says what it was that takes long', async () => {
    const error = await errorOf(
      "select sum(length(a.body || d.notes || e.notes || 'x')) from events a, events b, events c, invoices d, invoices e",
    );
    expect(error).toMatchObject({ code: 'limit/time', message: 'The query took too long and was stopped.' });
    expect(error.hint).toMatch(/^Postgres plans: .*nested loop \(about [\d.]+[KMBT] rows\)/);
    expect(error.hint).toContain('sequential scan on `events`');
    expect(error.hint).not.toMatch(/'x'|body/);
  }, 15_000);

  test('and one that sorts more than it may is told so', async () => {
    const wide = `'${'x'.repeat(1000)}' || g`;
    const error = await errorOf(`select ${wide} as w from generate_series(1, 150000) g order by g % 7 offset 149000`);
    expect(error).toMatchObject({ code: 'limit/bytes', message: expect.stringContaining('64MB') });
  }, 15_000);
});

describe('the audit', () => {
  const summarize = async (sql: string) => await runSql.summarize({ sql, limit: 5 }, at.means);

  test('learns the tables, the length and a keyed digest, and no text', async () => {
    const sql =
      "select 'secret' from customers c join (select * from other.\"in voices\") i on c.name = 'Ada' where $1";
    expect(await summarize(sql)).toEqual({
      query: at.means.keyring.digest('sql', sql),
      length: sql.length,
      tables: ['customers', 'other.?'],
      limit: 5,
    });
    expect(await summarize('select * from pg_authid')).toMatchObject({ tables: ['pg_authid'] });
  });

  test.each(['select no sql', 'x'.repeat(1_000_000), `select ${'('.repeat(9000)}1`, ''])(
    'learns no more of what is no query',
    async sql => {
      expect(await summarize(sql)).toMatchObject({ tables: [], length: sql.length });
    },
  );
});
