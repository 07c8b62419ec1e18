import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loginOf } from '../../src/database/place.ts';
import type { FrameError } from '../../src/errors.ts';
import { type Guard, runSql, runSqlBehind } from '../../src/tools/data/run-sql.ts';
import { applyChange } from '../../src/tools/schema/apply-change.ts';
import { planChange } from '../../src/tools/schema/plan-change.ts';
import { connectAs } from '../support/tenants.ts';
import { openTestPlace, type TestPlace, tableOf } from '../tables/test-place.ts';
import { makeMutants, type Seeds } from './mutants.ts';
import { SHOP_ROWS, SHOP_TABLES } from './ordinary.ts';

// A sealed column against SQL: behind the guard, without it, and by the raw login. What may come back of a cell, or of
// what finds it, is nothing: not even as it lies there.

const SEED = 20_261_121;
const MUTANTS = 600;
const noGuard: Guard = async text => ({ text, tables: [], originalBefore: () => '' });
const unguarded = runSqlBehind(noGuard);

let at: TestPlace;
let raw: postgres.Sql;
let companion: string;
/** Of every cell and every digest: how Postgres may print it. */
let cells: string[];

beforeAll(async () => {
  at = await openTestPlace();
  for (const [name, columns] of Object.entries(SHOP_TABLES)) {
    for (const text of tableOf(name, columns)) await at.design(text);
  }
  for (const text of SHOP_ROWS) await at.design(text);
  const changes = [{ alter_column: { table: 'customers', column: 'email', set: { pii: 'email' } } }];
  const { plan } = await at.run(planChange, { changes });
  await at.run(applyChange, { plan });
  const { rows: hidden } = await at.asOwner(
    `select attname from pg_attribute where attrelid = '$s.customers'::regclass and attname ~ '^_bidx_'`,
  );
  companion = String(hidden[0]?.[0]);
  const forms = [`encode(c, 'hex')`, `encode(c, 'base64')`, `left(encode(c, 'escape'), 40)`].join(', ');
  const { rows } = await at.asOwner(
    `select ${forms} from $s.customers, unnest(array[email, ${companion}]) c where c is not null`,
  );
  cells = rows.flat().map(String);
  expect(cells).toHaveLength(20 * 2 * 3);
  const { role, database } = loginOf(at.place, 'ro');
  raw = connectAs(at.postgres.server, { role, database }, undefined, at.means.keyring.rolePassword);
});
afterAll(async () => {
  await raw?.end();
  await at?.remove();
});

/** All that comes back, and whether it is a refusal. */
interface Heard {
  text: string;
  refusal: FrameError | undefined;
}

async function ask(tool: typeof runSql, sql: string): Promise<Heard> {
  try {
    return { text: JSON.stringify(await at.run(tool, { sql, limit: 500 })), refusal: undefined };
  } catch (thrown) {
    const refusal = thrown as FrameError;
    return { text: `${refusal.message} ${refusal.hint} ${refusal.cause} ${JSON.stringify(refusal.cause)}`, refusal };
  }
}

async function askRaw(sql: string): Promise<{ text: string; code: string | undefined }> {
  try {
    return { text: JSON.stringify(await raw.unsafe(sql).simple()), code: undefined };
  } catch (thrown) {
    await raw.unsafe('rollback').simple();
    return { text: `${thrown} ${JSON.stringify(thrown)}`, code: (thrown as { code?: string }).code };
  }
}

function leaks(text: string): boolean {
  const plain = text.replaceAll('\\n', '').toLowerCase();
  return cells.some(cell => plain.includes(cell.toLowerCase()) || text.includes(cell));
}

/** Each of these asks for a cell by its name, or for a whole row: by itself Postgres must refuse it. */
const BY_NAME = [
  'select email from customers',
  'select customers.email from customers',
  "select encode(email, 'hex') from customers",
  'select count(email) from customers',
  'select length(email) from customers',
  'select 1 from customers where email is null',
  "select 1 from customers where email > '\\x00'",
  'select name from customers order by email',
  'select name from customers group by name, email',
  'select distinct on (email) name from customers',
  'select 1 from customers group by grouping sets ((email), ())',
  'select count(*) filter (where email is not null) from customers',
  'select row_number() over (partition by email) from customers',
  'select max(email::text) from customers',
  'select (select email from customers limit 1)',
  'select exists (select email from customers where email is not null)',
  'select 1 where null in (select email from customers)',
  'select e.x from (select email as x from customers) e',
  'with c as (select email from customers) select * from c',
  'select l.email from customers c cross join lateral (select c.email) l',
  'select 1 from customers a join customers b using (email)',
  'select 1 from customers a join customers b on a.email = b.email',
  'select email from items union select email from customers',
  'select case when email is null then 1 end from customers',
  'select coalesce(email, null) from customers',
  'select array[email] from customers',
  'select array(select email from customers)',
  'select row(email) from customers',
  'values ((select email from customers limit 1))',
  "select jsonb_build_object('e', email) from customers",
  'select "email" from "customers"',
  'select U&"\\0065mail" from customers',
];

const WHOLE_ROWS = [
  'select * from customers',
  'table customers',
  'select customers from customers',
  'select c from customers c',
  'select c.* from customers c',
  'select c::text from customers c',
  'select row_to_json(c) from customers c',
  'select to_jsonb(customers) from customers',
  'select json_agg(c) from customers c',
  'select array_agg(c)::text from customers c',
  'select (array_agg(c))[1]::text from customers c',
  'select max(c::text) from customers c',
  'select count(c) from customers c',
  'select concat(c) from customers c',
  "select format('%s', c) from customers c",
  'select e.value from customers c, jsonb_each_text(to_jsonb(c)) e',
  'select row(c.*)::text from customers c',
  'select 1 from customers where customers is distinct from null',
  'select 1 from customers a natural join customers b',
  'select * from (table customers) c',
  'with c as (table customers) select * from c',
  'select x.c6, x.c7, x.c8 from customers as x(c1, c2, c3, c4, c5, c6, c7, c8)',
  'select * from customers union all select * from customers',
  'select * from customers a full join customers b on true limit 5',
  'select c from customers c order by c',
  'select distinct c from customers c',
  'select c.* from customers c group by c.id',
  'select *, count(*) from customers group by id',
  'select count(c.*), i.* from customers c, items i group by i.id limit 5',
  'select j from (customers c join items i on true) as j limit 5',
  'select j.* from (customers c cross join items i) as j limit 5',
];

/** Only with a raw session: other statements, and names that no guard lets through. */
const RAW = [
  'select (c).email from customers c',
  'select (c).* from customers c',
  'select c.email from only customers c',
  'select email from customers tablesample system (100)',
  'copy customers to stdout',
  'copy customers (email) to stdout',
  'copy (select email from customers) to stdout',
  'prepare p as select email from customers; execute p',
  'begin; declare c cursor for select email from customers; fetch all from c; commit',
  'begin read write; update customers set name = name returning email',
  'create table loot as select email from customers',
  'select * into loot from customers',
  'select j.k, j.l from (customers a cross join items) as j(a, b, c, d, e, f, g, h, i, k, l)',
  'select email from customers for update',
  'explain analyze select email from customers',
  "select query_to_xml('select email from customers', true, true, '')",
  "select * from ts_stat('select to_tsvector(email::text) from customers')",
  'select * from pg_stats',
  'select * from pg_statistic',
];

const withCompanion = (texts: readonly string[]) =>
  texts.filter(text => text.includes('email')).map(text => text.replaceAll(/(?<!0065)\bemail\b/g, `"${companion}"`));

describe('by the raw login', () => {
  test('each is refused, and nothing of a cell is heard', async () => {
    const asked = [...BY_NAME, ...WHOLE_ROWS, ...RAW, ...withCompanion([...BY_NAME, ...RAW])];
    const wrong: unknown[] = [];
    for (const text of asked) {
      const heard = await askRaw(text);
      if (heard.code === undefined || leaks(heard.text)) wrong.push([text, heard.code]);
    }
    expect(wrong).toEqual([]);
    expect(asked.length).toBeGreaterThan(100);
    // The walls are in its way, and not a table that is not there.
    expect(await askRaw('select name from customers limit 1')).toMatchObject({ code: undefined });
    expect(await askRaw('select email from customers')).toMatchObject({ code: '42501' });
  });

  test('the search for leaks finds one', async () => {
    const { rows } = await at.asOwner(`select email::text, ${companion}::text from $s.customers limit 1`);
    for (const cell of rows.flat()) expect(leaks(JSON.stringify({ found: [cell] }))).toBe(true);
    const { rows: others } = await at.asOwner(
      `select encode(email, 'base64'), row_to_json(c)::text from $s.customers c`,
    );
    for (const cell of others.flat()) expect(leaks(JSON.stringify({ found: [cell] }))).toBe(true);
  });
});

describe('by run_sql', () => {
  test('without the guard each is refused all the same', async () => {
    const wrong: string[] = [];
    for (const text of [...BY_NAME, ...WHOLE_ROWS, ...withCompanion(BY_NAME)]) {
      const heard = await ask(unguarded, text);
      if (!heard.refusal || leaks(heard.text)) wrong.push(text);
    }
    expect(wrong).toEqual([]);
  });

  test('with it names are refused in words, and rows come without their sealed columns', async () => {
    const wrong: unknown[] = [];
    for (const text of BY_NAME) {
      const { refusal } = await ask(runSql, text);
      if (!refusal?.message.includes('`email` is personal data')) wrong.push([text, refusal?.message]);
    }
    for (const text of WHOLE_ROWS) {
      const { refusal, text: heard } = await ask(runSql, text);
      if (refusal && !/TABLE cannot be used/.test(refusal.message)) wrong.push([text, refusal.message]);
      if (leaks(heard) || heard.includes(companion)) wrong.push([text, 'leaks']);
    }
    expect(wrong).toEqual([]);
  });

  test(`and ${MUTANTS} mutants of seed ${SEED} read nothing of a cell, behind the guard and without it`, async () => {
    const seeds: Seeds = {
      expressions: [
        ...[
          'email',
          'customers.email',
          'c.email',
          'customers',
          'customers.*',
          'customers::text',
          'to_jsonb(customers)',
        ],
        ...['row_to_json(customers)', 'count(customers)', '(customers).email', `"${companion}"`, 'array[customers]'],
        '(select max(email::text) from customers)',
        '(select c::text from customers c limit 1)',
        '(select x.g from customers as x(a, b, c, d, e, f, g) limit 1)::text',
        'exists (select 1 from customers a join customers b using (email))',
      ],
      relations: [
        ...['customers', 'customers c', '"customers"', 'U&"customers"', '(table customers) t', 'only customers'],
        'customers as t(a, b, c, d, e, f, g, h, i)',
        '(customers a cross join customers b) as j(a, b, c, d, e, f, g, h, i)',
        'customers a natural join customers b',
        '(select * from customers) t',
        '(select email from customers) t',
      ],
      queries: [...BY_NAME, ...WHOLE_ROWS],
    };
    const leaking: string[] = [];
    let ran = 0;
    let refused = 0;
    for (const { text } of makeMutants(MUTANTS, SEED, seeds)) {
      const heard = await ask(runSql, text);
      if (leaks(heard.text) || leaks((await ask(unguarded, text)).text)) leaking.push(text);
      if (heard.refusal) refused += 1;
      else ran += 1;
    }
    expect(leaking).toEqual([]);
    // Neither everything nor nothing: otherwise it says little.
    expect(ran).toBeGreaterThan(MUTANTS / 10);
    expect(refused).toBeGreaterThan(MUTANTS / 10);
  }, 120_000);
});
