import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { selectRows } from '../../../src/tools/data/select-rows.ts';
import { openTestPlace, type TestPlace, tableOf } from '../../tables/test-place.ts';

interface Rows {
  columns: string[];
  rows: unknown[][];
  truncated: boolean;
  next_cursor?: string;
  total?: number;
  hint?: string;
}

let at: TestPlace;
const select = async (args: object) => (await at.run(selectRows, args)) as unknown as Rows;
const errorOf = (args: object) =>
  select(args).then(
    () => expect.fail('nothing was thrown'),
    thrown => thrown,
  );

const HOSTILE = [`O'Brien"; drop table x; --`, '$1', '%', '_', '\\', '🧾\u200d', '', ' ', 'NULL', '{}', 'a\nb\tc'];

beforeAll(async () => {
  at = await openTestPlace();
  for (const text of [
    ...tableOf(
      'things',
      'n int, m int, word text, at timestamptz, price numeric, doc jsonb, yes boolean, day date, big bigint',
    ),
    `insert into $s.things (n, m, word, at, price, yes, day, big)
     select nullif(i % 5, 4), nullif(i % 3, 2), nullif(chr(97 + i % 4), 'd'),
       case when i % 7 > 0 then timestamptz '2026-01-31 09:30:00.123456Z' + (i % 4) * interval '1 microsecond' end,
       nullif(i % 4, 3) / 3::numeric, nullif(i % 3, 2) = 1, date '2026-01-31' + i % 3, 9007199254740990 + i % 6
     from generate_series(1, 60) i`,
    ...tableOf('words', 'word text'),
    ...HOSTILE.map(word => `insert into $s.words (word) values (E'${word.replace(/['\\]/g, '\\$&')}')`),
    ...tableOf('big', 'body text'),
    "insert into $s.big (body) select repeat('x', 50000) from generate_series(1, 20)",
    ...tableOf('empty', 'a int'),
  ]) {
    await at.design(text);
  }
  await at.asOwner(`create table $s."Odd ""Name" ("a""b" text primary key, f float8, "order" int)`);
  await at.asOwner(`grant select on $s."Odd ""Name" to ro_${at.place.roleId}`);
  await at.asOwner(`insert into $s."Odd ""Name" values ('x', 'NaN', 1), ('y', '-Infinity', null), ('z', 0.1, 2)`);
  await at.asOwner('create table $s.heap (a int)');
  await at.asOwner(`grant select on $s.heap to ro_${at.place.roleId}`);
  await at.asOwner('insert into $s.heap select i from generate_series(1, 9) i');
});
afterAll(() => at.remove());

describe('one page', () => {
  test('has 50 rows when nothing is said, and says that there are more', async () => {
    const page = await select({ table: 'things' });
    expect(page.rows).toHaveLength(50);
    expect(page).toMatchObject({ truncated: true, next_cursor: expect.any(String) });
    expect(page.columns.slice(0, 5)).toEqual(['id', 'created_at', 'updated_at', 'created_by', 'n']);
    expect(page).not.toHaveProperty('total');
  });

  test('is not truncated when the last row is in it, to the row', async () => {
    expect(await select({ table: 'things', limit: 59 })).toMatchObject({ truncated: true });
    const all = await select({ table: 'things', limit: 60 });
    expect(all.rows).toHaveLength(60);
    expect(all.truncated).toBe(false);
    expect(all).not.toHaveProperty('next_cursor');
  });

  test('has the columns that were named, in that order', async () => {
    const page = await select({ table: 'things', columns: ['day', 'n'], order_by: ['day', 'n'], limit: 1 });
    expect(page).toMatchObject({ columns: ['day', 'n'], rows: [['2026-01-31', 0]] });
  });

  test('keeps every digit', async () => {
    const page = await select({
      table: 'things',
      columns: ['price', 'at', 'big'],
      where: { price: { gt: 0.3, lt: 0.5 }, at: { is_null: false }, big: '9007199254740993' },
      limit: 1,
    });
    expect(page.rows[0]?.[0]).toBe('0.33333333333333333333');
    expect(page.rows[0]?.[1]).toMatch(/^2026-01-31T09:30:00\.12345\dZ$/);
    expect(page.rows[0]?.[2]).toBe('9007199254740993');
  });

  test('counts what matches, on any page and without any row', async () => {
    const args = { table: 'things', where: { n: 1 }, limit: 5, count: true };
    const first = await select(args);
    expect(first.total).toBe(12);
    const second = await select({ ...args, cursor: first.next_cursor });
    expect(second.rows).toHaveLength(5);
    expect(second.total).toBe(12);
    expect(await select({ table: 'empty', count: true })).toMatchObject({ rows: [], truncated: false, total: 0 });
    // A table whose columns are all null still has rows.
    const nulls = await select({ table: 'things', columns: ['doc'], where: { doc: null }, count: true, limit: 500 });
    expect(nulls.rows).toHaveLength(60);
  });

  test('keeps its order when it counts', async () => {
    const args = { table: 'things', columns: ['n', 'm', 'id'], order_by: ['-n', 'm'], limit: 60 };
    expect((await select({ ...args, count: true })).rows).toEqual((await select(args)).rows);
  });

  test('is cut after the last row that fits, and goes on from there', async () => {
    const seen: unknown[] = [];
    let cursor: string | undefined;
    do {
      const page = await select({ table: 'big', limit: 500, cursor });
      expect(Buffer.byteLength(JSON.stringify(page))).toBeLessThanOrEqual(400_000);
      seen.push(...page.rows.map(row => row[0]));
      expect(page.truncated).toBe(page.next_cursor !== undefined);
      cursor = page.next_cursor;
    } while (cursor);
    expect(new Set(seen).size).toBe(20);
    expect(seen).toHaveLength(20);
  });

  test('refuses a row that no answer can hold, and says what to do', async () => {
    await at.design("insert into $s.big (body) values (repeat('y', 500000))");
    const error = await errorOf({ table: 'big', where: { body: { starts_with: 'y' } } });
    expect(error).toMatchObject({ code: 'limit/bytes', hint: expect.stringContaining('columns') });
    const page = await select({ table: 'big', columns: ['id'], where: { body: { starts_with: 'y' } } });
    expect(page.rows).toHaveLength(1);
  });
});

describe('walking a table page by page', () => {
  const orders = [
    [],
    ['id'],
    ['-id'],
    ['n'],
    ['-n'],
    ['n', '-m'],
    ['-n', 'm'],
    ['-m', '-n'],
    ['word', '-at', 'n'],
    ['-at'],
    ['price', '-yes'],
    ['-price', 'day', '-word'],
    ['-big', 'n'],
    ['day', 'id'],
  ];

  test.each(orders.flatMap(order_by => [1, 7].map(limit => ({ order_by, limit }))))(
    'shows every row once, in order: $order_by by $limit',
    async ({ order_by, limit }) => {
      const args = { table: 'things', order_by, columns: ['id', 'n', 'm', 'word', 'at'] };
      const all = (await select({ ...args, limit: 500 })).rows;
      const walked: unknown[][] = [];
      let cursor: string | undefined;
      do {
        const page = await select({ ...args, limit, cursor });
        walked.push(...page.rows);
        cursor = page.next_cursor;
      } while (cursor);
      expect(walked).toEqual(all);
      expect(new Set(walked.map(([id]) => id)).size).toBe(60);
    },
  );

  test('nulls come last in both directions', async () => {
    for (const order_by of [['n'], ['-n']]) {
      const { rows } = await select({ table: 'things', columns: ['n'], order_by, limit: 60 });
      expect(rows.slice(-12).every(([n]) => n === null)).toBe(true);
      expect(rows.slice(0, -12).every(([n]) => n !== null)).toBe(true);
    }
  });

  test('new and deleted rows neither repeat nor hide the others', async () => {
    for (const text of tableOf('moving', 'n int')) await at.design(text);
    await at.design('insert into $s.moving (n) select i from generate_series(10, 19) i');
    const args = { table: 'moving', columns: ['n'], order_by: ['n'], limit: 5 };
    const first = await select(args);
    await at.design('insert into $s.moving (n) values (1), (99)');
    await at.design('delete from $s.moving where n in (12, 14, 17)');
    const second = await select({ ...args, cursor: first.next_cursor });
    expect(second.rows).toEqual([[15], [16], [18], [19], [99]]);
  });

  test('a table with another primary key and odd names is walked too', async () => {
    const args = { table: 'Odd "Name', order_by: ['-order'], limit: 1 };
    const first = await select(args);
    expect(first).toMatchObject({ columns: ['a"b', 'f', 'order'], rows: [['z', 0.1, 2]] });
    const second = await select({ ...args, cursor: first.next_cursor });
    expect(second.rows).toEqual([['x', 'NaN', 1]]);
    const third = await select({ ...args, cursor: second.next_cursor });
    expect(third).toMatchObject({ rows: [['y', '-Infinity', null]], truncated: false });
  });

  test('a table without a primary key has no cursor, and says so', async () => {
    const page = await select({ table: 'heap', limit: 5 });
    expect(page.rows).toHaveLength(5);
    expect(page).toMatchObject({ truncated: true, hint: expect.stringContaining('primary key') });
    expect(page).not.toHaveProperty('next_cursor');
  });
});

describe('a cursor', () => {
  const args = { table: 'things', where: { n: { gte: 0, lt: 3 } }, order_by: ['-n'], limit: 2 };

  test('takes another limit, and arguments in another order', async () => {
    const { next_cursor } = await select(args);
    const page = await select({
      order_by: ['-n'],
      where: { n: { lt: 3, gte: 0 } },
      table: 'things',
      limit: 3,
      cursor: next_cursor,
    });
    expect(page.rows).toHaveLength(3);
  });

  test.each([
    ['another filter', { where: { n: { gte: 0 } } }],
    ['another order', { order_by: ['n'] }],
    ['another table', { table: 'empty', where: undefined, order_by: undefined }],
    ['other columns', { columns: ['n'] }],
    ['a count', { count: true }],
  ])('is refused with %s', async (_, change) => {
    const { next_cursor } = await select(args);
    expect(await errorOf({ ...args, ...change, cursor: next_cursor })).toMatchObject({
      code: 'args/invalid',
      message: expect.stringContaining('cursor'),
      hint: expect.stringContaining('Start again without `cursor`'),
    });
  });

  test('is refused to another person', async () => {
    const { next_cursor } = await select(args);
    const person = { tenantId: 't', objectId: 'o', name: 'Eve', username: 'eve@axellc.com' };
    const stolen = at.run(selectRows, { ...args, cursor: next_cursor }, { person });
    await expect(stolen).rejects.toMatchObject({ code: 'args/invalid' });
  });

  test('expires', async () => {
    const { next_cursor } = await select(args);
    at.clock.now += 60 * 60_000;
    expect(await errorOf({ ...args, cursor: next_cursor })).toMatchObject({ code: 'args/invalid' });
  });

  test.each(['', 'x', 'x'.repeat(10_000), '🧾'])('that was made up is refused: %j', async cursor => {
    expect(await errorOf({ ...args, cursor })).toMatchObject({ code: 'args/invalid' });
  });
});

describe('a filter finds what a person would', () => {
  type Thing = Record<string, unknown>;
  const FILTERS: [where: object, keep: (row: Thing) => boolean][] = [
    [{ n: 1 }, ({ n }) => n === 1],
    [{ n: null }, ({ n }) => n === null],
    [{ n: { ne: 1 } }, ({ n }) => n !== 1],
    [{ n: { ne: null } }, ({ n }) => n !== null],
    [{ n: [1, 2, 1] }, ({ n }) => n === 1 || n === 2],
    [{ n: [1, null] }, ({ n }) => n === 1 || n === null],
    [{ n: [] }, () => false],
    [{ n: [null] }, ({ n }) => n === null],
    [{ n: { not_in: [1, 2] } }, ({ n }) => n !== 1 && n !== 2],
    [{ n: { not_in: [1, null] } }, ({ n }) => n !== 1 && n !== null],
    [{ n: { not_in: [] } }, () => true],
    [{ n: { gt: 1 } }, ({ n }) => Number(n) > 1],
    [{ n: { gte: 1, lt: 3 } }, ({ n }) => n === 1 || n === 2],
    [{ n: { between: [1, 2] } }, ({ n }) => n === 1 || n === 2],
    [{ n: { between: [2, 1] } }, () => false],
    [{ n: { is_null: true } }, ({ n }) => n === null],
    [{ n: { is_null: false } }, ({ n }) => n !== null],
    [{ not: { n: 1 } }, ({ n }) => n !== 1],
    [{ not: { n: { gt: 1 } } }, ({ n }) => !(n !== null && Number(n) > 1)],
    [{ not: { not: { n: { gt: 1 } } } }, ({ n }) => n !== null && Number(n) > 1],
    [{ not: { n: 1, m: 1 } }, ({ n, m }) => !(n === 1 && m === 1)],
    [{ or: [{ n: 1 }, { m: null }] }, ({ n, m }) => n === 1 || m === null],
    [
      { and: [{ n: [0, 1] }, { or: [{ m: 0 }, { yes: true }] }] },
      ({ n, m, yes }) => (n === 0 || n === 1) && (m === 0 || yes === true),
    ],
    [{ yes: { ne: true } }, ({ yes }) => yes !== true],
    [{ word: { in: ['a', 'c'] }, m: 1 }, ({ word, m }) => (word === 'a' || word === 'c') && m === 1],
    [{ word: { ilike: 'A' } }, ({ word }) => word === 'a'],
    [{ word: { like: 'A' } }, () => false],
    [{ day: '2026-02-01' }, ({ day }) => day === '2026-02-01'],
    [{ day: { gt: '2026-01-31' } }, ({ day }) => String(day) > '2026-01-31'],
    [{ at: '2026-01-31T11:30:00.123457+02:00' }, ({ at: time }) => time === '2026-01-31T09:30:00.123457Z'],
    [{ at: { gte: '2026-01-31' } }, ({ at: time }) => time !== null],
    [{ big: { gt: '9007199254740993' } }, ({ big }) => BigInt(String(big)) > 9007199254740993n],
    [{ price: '0.33333333333333333333' }, ({ price }) => price === '0.33333333333333333333'],
  ];

  test.each(FILTERS)('%j', async (where, keep) => {
    const all = await select({ table: 'things', limit: 500 });
    const wanted = all.rows.filter(row => keep(Object.fromEntries(all.columns.map((name, i) => [name, row[i]]))));
    expect((await select({ table: 'things', where, limit: 500 })).rows).toEqual(wanted);
  });

  test.each(HOSTILE)('%j is only a value', async word => {
    for (const where of [{ word }, { word: [word] }, { word: { eq: word, starts_with: word, contains: word } }]) {
      const { rows } = await select({ table: 'words', columns: ['word'], where });
      expect(rows).toEqual([[word]]);
    }
  });

  test('contains and starts_with know no wildcards', async () => {
    const words = async (where: object) => (await select({ table: 'words', columns: ['word'], where })).rows.flat();
    expect(await words({ word: { contains: '%' } })).toEqual(['%']);
    expect(await words({ word: { starts_with: '_' } })).toEqual(['_']);
    expect(await words({ word: { contains: '\\' } })).toEqual(['\\']);
    expect(await words({ word: { contains: '' } })).toHaveLength(HOSTILE.length);
    expect(await words({ word: { like: '\\%' } })).toEqual(['%']);
  });

  test('a pattern that Postgres refuses is explained', async () => {
    expect(await errorOf({ table: 'words', where: { word: { like: '\\' } } })).toMatchObject({ code: 'row/bad-value' });
  });
});

describe('what goes wrong', () => {
  test.each([
    [{ table: 'thing' }, 'table/not-found', /Did you mean `things`/],
    [{ table: 'things; drop table things' }, 'table/not-found', /describe_tables/],
    [{ table: 'things', columns: ['wrod'] }, 'table/no-such-column', /Columns of `things`/],
    [{ table: 'things', columns: [] }, 'args/invalid', /^undefined$/],
    [{ table: 'things', columns: ['n', 'n'] }, 'args/invalid', /^undefined$/],
    [{ table: 'things', columns: ['count(*)'] }, 'table/no-such-column', /./],
    [{ table: 'things', columns: ['ctid'] }, 'table/no-such-column', /./],
    [{ table: 'things', where: { n: '1' } }, 'row/bad-value', /^undefined$/],
    [{ table: 'heap', where: { a: { like: '1' } } }, 'args/invalid', /Operators for `a`/],
  ])('%j', async (args, code, hint) => {
    const error = await errorOf(args);
    expect(error).toMatchObject({ code });
    expect(String(error.hint)).toMatch(hint);
  });

  test('a table that was renamed by another slot is found again', async () => {
    for (const text of tableOf('before', 'a int')) await at.design(text);
    await select({ table: 'before' });
    const { forget } = at.catalog;
    at.catalog.forget = () => {};
    await at.design('alter table $s.before rename column a to b');
    at.catalog.forget = forget;
    at.clock.now += 2000;
    expect((await select({ table: 'before' })).columns).toContain('b');
    at.catalog.forget = () => {};
    await at.design('alter table $s.before add column c int');
    await at.design('alter table $s.before alter column b type text using b::text');
    at.catalog.forget = forget;
    at.clock.now += 2000;
    expect((await select({ table: 'before', columns: ['c'] })).columns).toEqual(['c']);
    at.catalog.forget = () => {};
    await at.design('alter table $s.before rename to after');
    at.catalog.forget = forget;
    at.clock.now += 2000;
    expect(await errorOf({ table: 'before' })).toMatchObject({ code: 'table/not-found' });
    expect((await select({ table: 'after' })).rows).toEqual([]);
  });

  test('a table that Frame may not read says who can help, and names no role', async () => {
    await at.asOwner('create table $s.closed (id uuid primary key)');
    const error = await errorOf({ table: 'closed' });
    expect(error).toMatchObject({ code: 'internal', hint: expect.stringContaining('operator') });
    expect(JSON.stringify(error.toPublic())).not.toContain('ro_');
  });
});

test('the audit learns names and operators, and no value', () => {
  const outline = selectRows.summarize(
    {
      table: 'people',
      columns: ['name'],
      where: { mail: 'secret@x', or: [{ age: { gt: 41 } }] },
      order_by: ['-age'],
      limit: 5,
      cursor: 'secret',
    },
    at.means,
  );
  expect(outline).toEqual({
    table: 'people',
    columns: ['name'],
    where: ['mail eq', 'or(age gt)'],
    order_by: ['-age'],
    limit: 5,
    count: undefined,
    cursor: true,
  });
});
