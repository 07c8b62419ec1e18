import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeCheckComment } from '../../../src/tables/comment.ts';
import { insertRows } from '../../../src/tools/data/insert-rows.ts';
import { selectRows } from '../../../src/tools/data/select-rows.ts';
import { updateRows } from '../../../src/tools/data/update-rows.ts';
import { openTestPlace, type TestPlace, tableOf } from '../../tables/test-place.ts';

let at: TestPlace;
const insert = (args: object) => at.run(insertRows, args);
const errorOf = (args: object) =>
  insert(args).then(
    () => expect.fail('nothing was thrown'),
    thrown => thrown,
  );
const read = async (table: string, columns: string[], where = {}) =>
  (await at.run(selectRows, { table, columns, where, limit: 500 })).rows as unknown[][];
const countOf = async (table: string) => (await at.asOwner(`select count(*)::int from $s."${table}"`)).rows[0]?.[0];

beforeAll(async () => {
  at = await openTestPlace();
  for (const text of [
    ...tableOf('customers', 'name text not null unique, mail text'),
    ...tableOf(
      'orders',
      `customer_id uuid references $s.customers, total numeric not null default 1.5, quantity int constraint enough check (quantity >= 0),
       note text, doc jsonb, paid boolean, due date, at timestamptz default '2026-01-01Z', big bigint`,
    ),
    `comment on constraint enough on $s.orders is '${writeCheckComment({ min: 0 })}'`,
    ...tableOf('pairs', 'a int, b int, unique (a, b)'),
  ]) {
    await at.design(text);
  }
  await at.asOwner(
    'create table $s."Old Style" (nr serial primary key, code varchar(3) not null, b bit(3), tags int[])',
  );
  await at.asOwner(`grant all on $s."Old Style" to rw_${at.place.roleId}, ro_${at.place.roleId}`);
  await at.asOwner(`grant usage on sequence $s."Old Style_nr_seq" to rw_${at.place.roleId}`);
  await at.asOwner('create table $s.double_key (a int, b text, primary key (b, a))');
  await at.asOwner(`grant all on $s.double_key to rw_${at.place.roleId}, ro_${at.place.roleId}`);
});
afterAll(() => at.remove());

describe('rows', () => {
  test('come back as they were sent, with ids in their order', async () => {
    const rows = [
      { note: `'"; drop table $s.orders; -- $1 {}`, doc: { a: [1, 'x', null, { $1: '🧾' }] }, quantity: -0 },
      { note: 'NULL', doc: '{"not":"parsed"}', quantity: 2147483647, big: '9007199254740993', total: '1e30' },
      { note: '', doc: [], paid: false, due: '2024-02-29', total: 0.1, at: '2026-01-31T09:30:00.123456+02:00' },
      { note: null, doc: null, big: 9007199254740991, total: '12345678901234567890.123456789' },
    ];
    const { count, ids } = (await insert({ table: 'orders', rows })) as { count: number; ids: string[] };
    expect(count).toBe(4);
    expect([...ids].sort()).toEqual(ids);
    const stored = await read('orders', ['id', 'note', 'doc', 'quantity', 'big', 'total', 'paid', 'due', 'at'], {
      id: ids,
    });
    expect(stored).toEqual([
      [ids[0], rows[0]?.note, rows[0]?.doc, 0, null, 1.5, null, null, '2026-01-01T00:00:00Z'],
      [ids[1], 'NULL', '{"not":"parsed"}', 2147483647, '9007199254740993', 1e30, null, null, '2026-01-01T00:00:00Z'],
      [ids[2], '', [], null, null, 0.1, false, '2024-02-29', '2026-01-31T07:30:00.123456Z'],
      [
        ids[3],
        null,
        null,
        null,
        9007199254740991,
        '12345678901234567890.123456789',
        null,
        null,
        '2026-01-01T00:00:00Z',
      ],
    ]);
  });

  test('know when and by whom they were made', async () => {
    const { ids } = await insert({ table: 'customers', rows: [{ name: 'Acme' }] });
    const [row] = await read('customers', ['created_by', 'created_at', 'updated_at'], { id: ids });
    expect(row?.[0]).toBe('ada@axellc.com');
    expect(row?.[1]).toBe(row?.[2]);
  });

  test('five hundred go in at once, whatever columns they name', async () => {
    const rows = Array.from({ length: 500 }, (_, i) => (i % 2 ? { note: `${i}` } : { quantity: i, paid: true }));
    const { ids } = (await insert({ table: 'orders', rows })) as { ids: string[] };
    const stored = await read('orders', ['note', 'quantity', 'paid', 'total'], { id: ids });
    expect(stored).toEqual(rows.map(row => [row.note ?? null, row.quantity ?? null, row.paid ?? null, 1.5]));
  });

  test('of a table made elsewhere go each to its own columns, however they are called', async () => {
    await at.asOwner('create table $s.commas (nr serial primary key, a int, b int, "a,b" int)');
    await at.asOwner(`grant all on $s.commas to rw_${at.place.roleId}, ro_${at.place.roleId}`);
    await at.asOwner(`grant usage on sequence $s.commas_nr_seq to rw_${at.place.roleId}`);
    await insert({ table: 'commas', rows: [{ a: 1, b: 2 }, { 'a,b': 3 }] });
    expect(await read('commas', ['a', 'b', 'a,b'])).toEqual([
      [1, 2, null],
      [null, null, 3],
    ]);
  });

  test('may be empty where everything has a default', async () => {
    expect(await insert({ table: 'orders', rows: [{}, {}] })).toMatchObject({ count: 2 });
  });

  test('of a table made elsewhere get its ids', async () => {
    const rows = [{ code: 'abc', b: '101', tags: '{1,2}' }, { code: 'x' }];
    expect(await insert({ table: 'Old Style', rows })).toEqual({ count: 2, ids: [1, 2] });
    expect(await read('Old Style', ['nr', 'code', 'b', 'tags'])).toEqual([
      [1, 'abc', '101', '{1,2}'],
      [2, 'x', null, null],
    ]);
    const keys = await insert({ table: 'double_key', rows: [{ a: 1, b: 'x' }] });
    expect(keys).toEqual({ count: 1, ids: [['x', 1]] });
  });
});

describe('a dry run', () => {
  test('checks everything and leaves nothing', async () => {
    const before = await countOf('customers');
    expect(await insert({ table: 'customers', rows: [{ name: 'Dry' }], dry_run: true })).toEqual({
      count: 1,
      dry_run: true,
    });
    expect(
      await errorOf({ table: 'customers', rows: [{ name: 'Dry' }, { name: 'Dry' }], dry_run: true }),
    ).toMatchObject({
      code: 'row/duplicate',
    });
    expect(await countOf('customers')).toBe(before);
  });

  test('does not use up an idempotency key', async () => {
    const args = { table: 'customers', rows: [{ name: 'Later' }], idempotency_key: 'dry-1' };
    await insert({ ...args, dry_run: true });
    expect(await insert(args)).not.toHaveProperty('replayed');
  });
});

describe('a row that will not do', () => {
  const missing = '0190f000-0000-7000-8000-00000000000a';
  test.each<[string, object[], string, RegExp, RegExp]>([
    [
      'customers',
      [{ nme: 'x' }],
      'table/no-such-column',
      /^`rows\[0\]\.nme`: no column `nme`; did you mean `name`\?$/,
      /./,
    ],
    [
      'customers',
      [{ name: 'x', id: missing }],
      'table/column-protected',
      /`rows\[0\]\.id`: `id` is kept/,
      /Leave it out/,
    ],
    ['customers', [{ name: 'x', created_at: null }], 'table/column-protected', /`created_at`/, /./],
    ['customers', [{ name: 'a' }, { mail: 'x' }], 'row/missing-value', /^`rows\[1\]\.name` is required\.$/, /`name`/],
    ['customers', [{ name: null }], 'row/missing-value', /^`rows\[0\]\.name` is required/, /./],
    ['orders', [{ total: null }], 'row/missing-value', /`rows\[0\]\.total`/, /./],
    [
      'orders',
      [{}, {}, { quantity: 2.5 }],
      'row/bad-value',
      /^`rows\[2\]\.quantity` must be a whole number/,
      /^undefined$/,
    ],
    ['orders', [{ quantity: 2147483648 }], 'row/bad-value', /between/, /./],
    ['orders', [{ note: 'a\0b' }], 'row/bad-value', /NUL/, /./],
    ['orders', [{ doc: { a: '\ud800' } }], 'row/bad-value', /JSON/, /./],
    ['orders', [{ total: Number.POSITIVE_INFINITY }], 'row/bad-value', /a number this large/, /./],
    ['orders', [{ total: '9e9999' }, { big: 2 ** 53 }], 'row/bad-value', /`rows\[1\]\.big`/, /./],
    ['orders', [{ quantity: -5 }], 'row/check-failed', /^`quantity` must be at least 0\.$/, /./],
    [
      'orders',
      [{ customer_id: missing }],
      'row/reference-missing',
      /`customer_id` names a row that `customers` does not/,
      /`customers`/,
    ],
    [
      'pairs',
      [
        { a: 1, b: 2 },
        { a: 1, b: 2 },
      ],
      'row/duplicate',
      /these values of `a` and `b`/,
      /select_rows/,
    ],
    ['Old Style', [{ code: 'abcd' }], 'row/bad-value', /too long/, /./],
    ['Old Style', [{ code: 'abc', b: 'x' }], 'row/bad-value', /does not fit/, /./],
    ['double_key', [{ a: 1 }], 'row/missing-value', /`rows\[0\]\.b`/, /./],
    ['cstomers', [{ name: 'x' }], 'table/not-found', /`cstomers`/, /`customers`/],
  ])('%s %j', async (table, rows, code, message, hint) => {
    const before = table === 'cstomers' ? 0 : await countOf(table);
    const error = await errorOf({ table, rows });
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(String(error.hint)).toMatch(hint.source === '.' ? /^/ : hint);
    expect(table === 'cstomers' ? 0 : await countOf(table)).toBe(before);
  });

  test('keeps the values of other rows to itself, also in our log', async () => {
    await insert({ table: 'customers', rows: [{ name: 'Top Secret' }] });
    const error = await errorOf({ table: 'customers', rows: [{ name: 'Top Secret' }] });
    expect(error).toMatchObject({ code: 'row/duplicate', message: 'Another row has this value of `name` already.' });
    expect(JSON.stringify([error.toPublic(), error.detail])).not.toContain('Secret');
  });

  test('takes all others with it', async () => {
    const before = await countOf('orders');
    const rows = [{ note: 'a' }, { quantity: 1 }, { quantity: -1, note: 'x' }];
    expect(await errorOf({ table: 'orders', rows })).toMatchObject({ code: 'row/check-failed' });
    expect(await countOf('orders')).toBe(before);
  });

  test('a very long value in a unique column is explained', async () => {
    const name = Array.from({ length: 400 }, () => crypto.randomUUID()).join('');
    expect(await errorOf({ table: 'customers', rows: [{ name }] })).toMatchObject({ code: 'row/bad-value' });
  });
});

describe('an idempotency key', () => {
  const keyed = (key: string, rows: object[]) => ({ table: 'pairs', rows, idempotency_key: key });

  test('gives the same answer to the same call, and changes nothing more', async () => {
    const first = await insert(keyed('k1', [{ a: 10 }]));
    const again = await insert(keyed('k1', [{ a: 10 }]));
    expect(again).toEqual({ ...first, replayed: true });
    expect(await read('pairs', ['a'], { a: 10 })).toHaveLength(1);
  });

  test('is refused to another call', async () => {
    await insert(keyed('k2', [{ a: 20 }]));
    expect(await errorOf(keyed('k2', [{ a: 21 }]))).toMatchObject({ code: 'row/key-reused' });
    expect(await errorOf({ ...keyed('k2', [{ name: 'k2' }]), table: 'customers' })).toMatchObject({
      code: 'row/key-reused',
    });
    expect(await read('pairs', ['a'], { a: 21 })).toHaveLength(0);
  });

  test('belongs to its caller', async () => {
    await insert(keyed('k3', [{ a: 30 }]));
    const person = { tenantId: 't', objectId: 'o', name: 'Eve', username: 'eve@axellc.com' };
    expect(await at.run(insertRows, keyed('k3', [{ a: 31 }]), { person })).not.toHaveProperty('replayed');
  });

  test('of a call that failed can be used again', async () => {
    await insert({ table: 'pairs', rows: [{ a: 40, b: 1 }] });
    expect(await errorOf(keyed('k4', [{ a: 40, b: 1 }]))).toMatchObject({ code: 'row/duplicate' });
    await at.asOwner('delete from $s.pairs where a = 40');
    expect(await insert(keyed('k4', [{ a: 40, b: 1 }]))).toMatchObject({ count: 1 });
  });

  test('fifty times at once writes once, and all get the one answer', async () => {
    const args = keyed('k5', [{ a: 50 }, { a: 51, b: 1 }]);
    const answers = await Promise.all(Array.from({ length: 50 }, () => insert(args)));
    expect(new Set(answers.map(({ ids }) => JSON.stringify(ids))).size).toBe(1);
    expect(answers.filter(({ replayed }) => replayed)).toHaveLength(49);
    expect(await read('pairs', ['a'], { a: [50, 51] })).toHaveLength(2);
  });

  test('two calls at once with one key: one is done, the other is refused', async () => {
    const calls = [[{ a: 60 }], [{ a: 61 }]].map(rows => insert(keyed('k6', rows)));
    const settled = await Promise.allSettled(calls);
    expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(settled.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'row/key-reused' } });
  });

  test('gives the kept answer also when the table does not take the rows any more', async () => {
    for (const text of tableOf('renamed', 'old int')) await at.design(text);
    const args = { table: 'renamed', rows: [{ old: 1 }], idempotency_key: 'k7' };
    const first = await insert(args);
    await at.design('alter table $s.renamed rename column old to new');
    expect(await insert(args)).toEqual({ ...first, replayed: true });
    expect(await errorOf({ ...args, rows: [{ old: 2 }] })).toMatchObject({ code: 'row/key-reused' });
    expect(await errorOf({ ...args, idempotency_key: 'k8' })).toMatchObject({ code: 'table/no-such-column' });
    const person = { tenantId: 't', objectId: 'o', name: 'Eve', username: 'eve@axellc.com' };
    await expect(at.run(insertRows, args, { person })).rejects.toMatchObject({ code: 'table/no-such-column' });
    const update = { table: 'renamed', where: { new: 1 }, set: { new: 2 }, idempotency_key: 'k7' };
    await expect(at.run(updateRows, update)).rejects.toMatchObject({ code: 'row/key-reused' });
    expect(await countOf('renamed')).toBe(1);
  });

  test.each(['', 'x'.repeat(201), 'a\0', 'ü'])('%j is no key', key => {
    expect(insertRows.input.safeParse(keyed(key, [{ a: 1 }])).success).toBe(false);
  });
});

test('a table that got a new column in another slot takes it at once', async () => {
  await insert({ table: 'pairs', rows: [{ a: 70 }] });
  const { forget } = at.catalog;
  at.catalog.forget = () => {};
  await at.design('alter table $s.pairs add column c int');
  at.catalog.forget = forget;
  at.clock.now += 2000;
  expect(await insert({ table: 'pairs', rows: [{ a: 71, c: 1 }] })).toMatchObject({ count: 1 });
});

test('the audit learns names and numbers, and no value', () => {
  const rows = [{ name: 'secret' }, { mail: 'secret', 'secret key': 1 }];
  expect(insertRows.summarize({ table: 'customers', rows, idempotency_key: 'secret' }, at.means)).toEqual({
    table: 'customers',
    columns: ['name', 'mail', '?'],
    rows: 2,
    dry_run: undefined,
    idempotency_key: true,
  });
});
