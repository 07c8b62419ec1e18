import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Caller } from '../../../src/access/caller.ts';
import { findDatabaseGaps } from '../../../src/database/database-gaps.ts';
import { catalogLogin, loginOf } from '../../../src/database/place.ts';
import { applyPlan } from '../../../src/tables/schema/apply.ts';
import { Changes } from '../../../src/tables/schema/change.ts';
import { planChanges } from '../../../src/tables/schema/plan.ts';
import { purgeExpiredDrops } from '../../../src/tables/schema/soft-drop.ts';
import { insertRows } from '../../../src/tools/data/insert-rows.ts';
import { selectRows } from '../../../src/tools/data/select-rows.ts';
import { updateRows } from '../../../src/tools/data/update-rows.ts';
import { openSchemaPlace, type SchemaPlace } from './schema-place.ts';

let at: SchemaPlace;
/** A table of its own for every test, with three rows. */
let table: string;
let count = 0;

beforeAll(async () => {
  at = await openSchemaPlace();
});
afterAll(() => at?.remove());

beforeEach(async () => {
  table = `people_${++count}`;
  await at.change({
    create_table: {
      name: table,
      columns: [
        { name: 'mail', type: 'text', required: true },
        { name: 'phone', type: 'text' },
        { name: 'born', type: 'date' },
        { name: 'amount', type: 'integer' },
        { name: 'active', type: 'boolean' },
        { name: 'state', type: 'text', default: 'new', check: { one_of: ['new', 'old'] } },
      ],
    },
  });
  await at.run(insertRows, { table, rows: ROWS });
});

const ROWS = [
  { mail: 'ada@planted.example', phone: '+1 555 0100', born: '1990-01-02', amount: 1 },
  { mail: 'Bob@planted.example', phone: null, amount: 2 },
  { mail: '', phone: '\\x00 "quoted", {braces} ü\u{1F600}', amount: 3 },
];
const PLAIN: Partial<Caller> = { rights: new Set(['pii:read'] as const) };

const alter = (column: string, set: object) => ({ alter_column: { table, column, set } });
const seal = (column: string, pii: unknown = true, more: object = {}) => alter(column, { pii, ...more });
const raw = async (text: string) => (await at.asOwner(text.replaceAll('$t', `$s.${table}`))).rows;
const read = async (columns: string[], where?: object) => {
  const args = { table, columns, order_by: ['amount'], ...(where && { where }) };
  return (await at.run(selectRows, args, PLAIN)).rows;
};

describe('an existing column is sealed', () => {
  test('with all its values, in the order of columns, and rows are as old as they were', async () => {
    const before = await raw('select id, updated_at, created_at from $t order by id');
    const plan = await at.plan(seal('mail', 'email'), seal('phone', 'phone'), seal('born', 'birth_date'));
    expect(plan.rowsAffected).toBe(3 + 2 + 1);
    expect(plan.statements).toContainEqual(expect.stringMatching(/^-- the gateway seals every value of .*"mail"/));
    await at.apply(plan);

    expect(await read(['mail', 'phone', 'born'])).toEqual([
      ['ada@planted.example', '+1 555 0100', '1990-01-02'],
      ['Bob@planted.example', null, null],
      ['', ROWS[2]?.phone, null],
    ]);
    expect(await read(['amount'], { mail: 'BOB@planted.example' })).toEqual([[2]]);
    expect(await read(['amount'], { phone: '+15550100' })).toEqual([[1]]);
    expect(await raw('select id, updated_at, created_at from $t order by id')).toEqual(before);
    const names = (await at.tables()).find(({ name }) => name === table)?.columns.map(({ name }) => name);
    expect(names).toEqual([
      'id',
      'mail',
      'phone',
      'born',
      'amount',
      'active',
      'state',
      'created_at',
      'updated_at',
      'created_by',
    ]);
  });

  test('and no old value is left in the pages of the table or its indexes', async () => {
    await at.change({ create_index: { table, columns: ['mail', 'amount'] } });
    const pages = async () => {
      await raw('checkpoint');
      const files = await raw(`select encode(pg_read_binary_file(pg_relation_filepath(c.oid)), 'escape')
        from pg_class c where c.oid = '$t'::regclass or c.oid in (select indexrelid from pg_index where indrelid = '$t'::regclass)`);
      return JSON.stringify(files);
    };
    expect(await pages()).toContain('planted');
    await at.change(seal('mail', 'email'));
    expect(await pages()).not.toContain('planted');
    expect(await read(['amount'], { mail: 'ada@planted.example' })).toEqual([[1]]);
  });

  test('and statistics and kept answers say nothing of it', async () => {
    await at.run(updateRows, { table, where: { amount: 1 }, set: { amount: 1 }, idempotency_key: `k${table}` });
    await at.run(insertRows, { table, rows: [{ mail: 'x', amount: 4 }], idempotency_key: `i${table}` });
    await raw('analyze $t');
    await at.change(seal('mail', 'email'));
    expect(JSON.stringify(await raw('select answer from $s._requests'))).not.toContain('planted');
    expect(JSON.stringify(await raw(`select s::text from pg_stats s where tablename = '${table}'`))).not.toContain(
      'planted',
    );
    // An insert that is repeated must still not be made twice.
    const again = { table, rows: [{ mail: 'x', amount: 4 }], idempotency_key: `i${table}` };
    expect(await at.run(insertRows, again).catch(error => error.code)).toBe('row/key-reused');
  });

  test('that was unique stays so, in every spelling', async () => {
    await at.change(alter('mail', { unique: true }));
    await at.change(seal('mail', 'email'));
    await expect(at.run(insertRows, { table, rows: [{ mail: 'ADA@planted.example' }] })).rejects.toMatchObject({
      code: 'row/duplicate',
      message: expect.stringContaining('`mail`'),
    });
    expect(await at.tables()).toContainEqual(
      expect.objectContaining({
        name: table,
        indexes: expect.arrayContaining([
          { name: `${table}_mail_key`, columns: ['mail'], unique: true, isConstraint: false },
        ]),
      }),
    );
  });

  test('and made unique, unless two rows mean the same', async () => {
    await at.run(insertRows, { table, rows: [{ mail: 'ADA@planted.example' }] });
    await expect(at.plan(seal('mail', 'email', { unique: true }))).rejects.toMatchObject({
      code: 'plan/failed',
      message: expect.stringContaining('occur more than once'),
    });
    await expect(at.plan(seal('mail', true, { unique: true }))).resolves.toBeDefined();
  });

  test('in a table of no rows, with one index and no warning but of equality', async () => {
    await at.rows(`delete from $s.${table}`);
    const plan = await at.plan(seal('mail', 'email'));
    expect(plan.warnings).toEqual([expect.stringContaining('which rows have the same')]);
    await at.apply(plan);
    await at.run(insertRows, { table, rows: [{ mail: 'x', amount: 1 }] });
    expect(await read(['mail'])).toEqual([['x']]);
  });

  test('in more portions than one, values of any size', async () => {
    const rows = [
      { mail: 'm'.repeat(900_000), amount: 10 },
      { mail: 'n'.repeat(900_000), amount: 11 },
    ];
    for (const row of rows) await at.run(insertRows, { table, rows: [row] });
    await at.rows(`insert into $s.${table} (mail, amount) select 'many' || i, 100 + i from generate_series(1, 2500) i`);
    await at.change(seal('mail', 'email'));
    expect(await read(['mail'], { mail: 'many2500' })).toEqual([['many2500']]);
    expect(await raw('select count(*)::int from $t where octet_length(mail) > 900000')).toEqual([[2]]);
    await at.change(seal('mail', false));
    expect(await raw('select count(*)::int, sum(length(mail))::int from $t where amount in (10, 11)')).toEqual([
      [2, 1_800_000],
    ]);
    expect(await raw(`select count(*)::int from $t where mail = 'many' || amount - 100`)).toEqual([[2500]]);
  });

  test('and what it was warned of is said', async () => {
    const { warnings } = await at.plan(seal('mail', 'email'));
    expect(warnings).toEqual([
      expect.stringContaining('Nobody can use'),
      expect.stringMatching(/not from backups, .* log .* statistics/),
      expect.stringContaining('which rows have the same'),
    ]);
  });

  test('only while it holds no more than can be done in one call', async () => {
    await at.rows(`insert into $s.${table} (mail) select 'x' from generate_series(1, 200000)`);
    await expect(at.plan(seal('mail', 'email'))).rejects.toMatchObject({
      code: 'plan/failed',
      message: expect.stringContaining('at most 200000 values'),
    });
  });

  test('as the plan said, or not at all', async () => {
    const plan = await at.plan(seal('mail', 'email'));
    await at.run(insertRows, { table, rows: [{ mail: 'late' }] });
    await expect(at.apply(plan)).rejects.toMatchObject({ code: 'plan/stale' });
    expect(await raw(`select count(*)::int from $t where mail = 'late'`)).toEqual([[1]]);
  });
});

describe('it is refused', () => {
  test.each([
    [() => seal('amount'), 'args/invalid', 'a column of type integer cannot be sealed'],
    [() => seal('active'), 'args/invalid', 'it has too few values to be hidden'],
    [() => seal('state', true, { default: null }), 'args/invalid', 'a few known values'],
    [() => seal('state', true, { check: null }), 'args/invalid', 'it would lie open in the table'],
    [() => seal('born', 'birth_date', { unique: true }), 'args/invalid', 'too few possible values'],
    [() => seal('mail', 'birth_date', { unique: true }), 'args/invalid', 'a sealed birth_date'],
    [() => seal('mail', 'email', { type: 'json' }), 'args/invalid', 'in plans of their own'],
    [() => seal('mail', 'email', { check: { min_length: 3 } }), 'args/invalid', 'cannot check what it cannot read'],
    [() => seal('id'), 'table/column-protected', 'kept by the database'],
    [() => seal('created_by'), 'table/column-protected', 'kept by the database'],
    [() => ({ add_column: { table, column: { name: 'x', type: 'boolean', pii: true } } }), 'args/invalid', 'boolean'],
    [
      () => ({ add_column: { table, column: { name: 'x', type: 'text', pii: true, default: 'y' } } }),
      'args/invalid',
      'open',
    ],
    [
      () => ({ add_column: { table, column: { name: 'x', type: 'date', pii: true, unique: true } } }),
      'args/invalid',
      'few',
    ],
    [
      () => ({ add_column: { table, column: { name: 'x', type: 'text', pii: true, check: { one_of: ['a'] } } } }),
      'args/invalid',
      'few known values',
    ],
  ])('%#', async (change, code, sentence) => {
    await expect(at.plan(change())).rejects.toMatchObject({ code, message: expect.stringContaining(sentence) });
  });

  test.each(['e-mail', 'ssn', 1, null, ['email'], {}])('a kind that there is not: %j', async pii => {
    expect(() => Changes.parse([seal('mail', pii)])).toThrow();
  });

  test('in a table that was not made here', async () => {
    await at.asOwner(`create table $s.odd_${table} (nr int primary key, mail text)`);
    await at.asOwner(`alter table $s.odd_${table} owner to own_${at.place.roleId}`);
    const change = { alter_column: { table: `odd_${table}`, column: 'mail', set: { pii: 'email' } } };
    await expect(at.plan(change)).rejects.toMatchObject({ message: expect.stringContaining('only tables made here') });
  });

  test('what a sealed column cannot have later either', async () => {
    await at.change(seal('mail', 'email'), seal('born', 'birth_date'));
    for (const [change, sentence] of [
      [alter('mail', { default: 'x' }), 'it would lie open'],
      [alter('mail', { check: { max_length: 3 } }), 'cannot check what it cannot read'],
      [alter('mail', { type: 'json' }), 'keeps its type'],
      [alter('mail', { pii: 'phone' }), 'it is sealed as email'],
      [alter('mail', { pii: true }), 'it is sealed as email'],
      [alter('born', { unique: true }), 'too few possible values'],
      [{ create_index: { table, columns: ['born'] } }, 'too few possible values'],
      [{ create_index: { table, columns: ['amount', 'born'] } }, 'too few possible values'],
    ] as const) {
      await expect(at.plan(change)).rejects.toMatchObject({ message: expect.stringContaining(sentence) });
    }
    await expect(at.plan(alter('mail', { pii: 'email' }))).rejects.toMatchObject({
      message: expect.stringContaining('nothing'),
    });
  });
});

describe('the seal comes off', () => {
  test('and every value is as it was', async () => {
    const before = await raw('select to_jsonb(t) from $t t order by id');
    const tables = await at.tables();
    await at.change(seal('mail', 'email'), seal('phone', 'phone'), seal('born', 'birth_date'));
    const plan = await at.plan(seal('mail', false), seal('phone', false), seal('born', false));
    expect(plan.warnings).toContainEqual(expect.stringContaining('will lie open'));
    await at.apply(plan);
    expect(await raw('select to_jsonb(t) from $t t order by id')).toEqual(before);
    // But for the index that it was found by.
    const indexes = ({ name, ...rest }: (typeof tables)[number]) => ({ name, ...rest, indexes: [] });
    expect((await at.tables()).map(indexes)).toEqual(tables.map(indexes));
  });

  test('with a check, which the values must pass', async () => {
    await at.change(seal('mail', 'email'));
    const plan = await at.plan(seal('mail', false, { check: { min_length: 1 } }));
    expect(plan.warnings).toContainEqual(expect.stringContaining('Not tried out: whether the values'));
    await expect(at.apply(plan)).rejects.toMatchObject({ code: 'plan/failed' });
    await at.change(seal('mail', false, { check: { max_length: 100 } }));
  });

  test('with whatever else is asked of the column, tried out without its values', async () => {
    await at.change(seal('mail', 'email'), seal('phone', 'phone'));
    await at.run(updateRows, { table, where: { phone: null }, set: { phone: '0' }, max_rows: 5 });
    const rename = { rename_table: { from: table, to: `${table}_new` } };
    await at.change(seal('mail', false), seal('phone', false, { required: true, unique: true }), rename);
    table = `${table}_new`;
    const columns = (await at.tables()).find(({ name }) => name === table)?.columns;
    expect(columns).toContainEqual(expect.objectContaining({ name: 'mail', required: true, seal: undefined }));
    expect(columns).toContainEqual(expect.objectContaining({ name: 'phone', required: true, unique: true }));
    expect(await raw('select mail from $t where amount = 1')).toEqual([['ada@planted.example']]);
  });

  test('and a plan of it alone leaves no value in any file of the database', async () => {
    const name = `${table}_sealed`;
    const columns = [
      { name: 'mail', type: 'text', pii: 'email', required: true },
      { name: 'team', type: 'text' },
    ];
    await at.change({ create_table: { name, columns } });
    await at.run(insertRows, { table: name, rows: [{ mail: `${name}@only-planned.example`, team: `open-${name}` }] });
    const plan = await at.plan({ alter_column: { table: name, column: 'mail', set: { pii: false } } });
    expect(plan).toMatchObject({ rowsAffected: 1 });
    expect(JSON.stringify([...plan.warnings])).not.toContain('Not tried out');
    await raw('checkpoint');
    const [[data]] = (await raw('show data_directory')) as [[string]];
    expect(await filesWith(data, '@only-planned.example')).toEqual([]);
    // The search finds what lies open, in pages and in the log of writes.
    const open = await filesWith(data, `open-${name}`);
    expect(open).toContainEqual(expect.stringContaining('/base/'));
    expect(open).toContainEqual(expect.stringContaining('/pg_wal/'));
  });

  test('for nobody without the right to read it', async () => {
    await at.change(seal('mail', 'email'));
    const parts = {
      pools: at.pools,
      catalog: at.catalog,
      keys: at.means.dataKeys,
      place: at.place,
      now: at.clock.now,
      softDropDays: 7,
      planMinutes: 10,
      signal: AbortSignal.timeout(20_000),
      caller: 'tenant/person',
    };
    const changes = Changes.parse([seal('mail', false)]);
    const denied = { code: 'access/right-missing', hint: expect.stringContaining('pii:read') };
    await expect(planChanges({ ...parts, mayUnseal: false }, changes)).rejects.toMatchObject(denied);
    // Nor for somebody who had it when it was planned.
    const plan = await planChanges({ ...parts, mayUnseal: true }, changes);
    const applying = applyPlan({ ...parts, mayUnseal: false, planId: plan.id, author: 'Ada' });
    await expect(applying).rejects.toMatchObject(denied);
    expect(await raw(`select count(*)::int from $t where octet_length(mail) > 30`)).toEqual([[3]]);
    // And not by way of the history.
    const version = (await raw('select max(version) from $s._versions'))[0]?.[0] as number;
    const back = planChanges(
      { ...parts, mayUnseal: false },
      Changes.parse([{ restore_version: { version: version - 1 } }]),
    );
    await expect(back).rejects.toMatchObject({
      code: 'plan/not-restorable',
      message: expect.stringContaining('lies open'),
    });
  });

  test('not while a cell does not open: its value would be lost', async () => {
    await at.change(seal('mail', 'email'));
    await raw(`update $t set mail = set_byte(mail, 18, get_byte(mail, 18) # 1) where amount = 2`);
    await expect(at.plan(seal('mail', false))).rejects.toMatchObject({ code: 'row/sealed-broken' });
    await at.run(updateRows, { table, where: { amount: 2 }, set: { mail: 'bob@planted.example' } });
    await at.change(seal('mail', false));
    expect(await raw('select mail from $t where amount = 2')).toEqual([['bob@planted.example']]);
  });

  test('and a slot that has not heard of it writes no cell as text', async () => {
    // What has no index has a companion too, for exactly this.
    await at.change(seal('phone', 'birth_date'));
    const stale = await at.catalog.tables(at.place);
    await at.change(seal('phone', false));
    const means = {
      ...at.means,
      catalog: { ...at.catalog, table: async () => stale.tables.find(({ name }) => name === table) },
    };
    const call = {
      caller: { person: { username: 'ada@axe.example' } },
      place: at.place,
      requestId: 'r',
      signal: AbortSignal.timeout(9000),
      means,
    };
    const late = insertRows.run(call as never, { table, rows: [{ mail: 'late', phone: '1' }] });
    await expect(late).rejects.toMatchObject({ code: 'table/no-such-column' });
    expect(await raw(`select count(*)::int from $t where mail = 'late'`)).toEqual([[0]]);
  });

  test('and one that has not heard of the seal stores nothing in plain', async () => {
    const stale = await at.catalog.tables(at.place);
    await at.change(seal('mail', 'email'));
    const means = {
      ...at.means,
      catalog: { ...at.catalog, table: async () => stale.tables.find(({ name }) => name === table) },
    };
    const call = {
      caller: { person: { username: 'ada@axe.example' } },
      place: at.place,
      requestId: 'r',
      signal: AbortSignal.timeout(9000),
      means,
    };
    await expect(insertRows.run(call as never, { table, rows: [{ mail: 'late' }] })).rejects.toMatchObject({
      code: 'args/invalid',
    });
    expect(await raw('select count(*)::int from $t')).toEqual([[3]]);
  });
});

describe('a sealed column lives on', () => {
  beforeEach(() => at.change(seal('mail', 'email', { unique: true })));

  test('under another name, in a table of another name', async () => {
    await at.change(
      { rename_column: { table, from: 'mail', to: 'address' } },
      { rename_table: { from: table, to: `${table}_x` } },
    );
    table = `${table}_x`;
    expect(await read(['address'], { address: 'ada@planted.example' })).toEqual([['ada@planted.example']]);
    await expect(at.run(insertRows, { table, rows: [{ address: 'ADA@planted.example' }] })).rejects.toMatchObject({
      message: 'Another row has this value of `address` already.',
    });
  });

  test('dropped and brought back, also with its table, and found as before', async () => {
    const { version } = await at.change({ drop_column: { table, column: 'mail' } });
    await at.run(insertRows, { table, rows: [{ amount: 9 }] });
    await at.change({ restore_version: { version: version - 1 } });
    expect(await read(['amount'], { mail: 'ada@planted.example' })).toEqual([[1]]);
    const { version: dropped } = await at.change({ drop_table: { name: table } });
    await at.change({ restore_version: { version: dropped - 1 } });
    expect(await read(['amount'], { mail: 'ada@planted.example' })).toEqual([[1]]);
    expect(await gaps()).toEqual([]);
  });

  test('and is gone for good, with what stood beside it, when its days are over', async () => {
    await at.change({ drop_column: { table, column: 'mail' } });
    await purgeExpiredDrops(at.pools, at.place, { now: at.clock.now + 8 * 86_400_000, softDropDays: 7 });
    expect(
      await raw(
        `select attname from pg_attribute where attrelid = '$t'::regclass and attname ~ '^_'  and not attisdropped`,
      ),
    ).toEqual([]);
    at.catalog.forget(at.place);
    await at.run(insertRows, { table, rows: [{ amount: 9 }] });
  });

  test('with a comment, and the mark stays behind it', async () => {
    await at.change({ comment: { table, column: 'mail', text: 'where the bill goes\n[pii]' } });
    expect(await read(['mail'], { mail: 'ada@planted.example' })).toHaveLength(1);
    const column = (await at.tables()).find(({ name }) => name === table)?.columns.find(({ name }) => name === 'mail');
    expect(column).toMatchObject({ comment: 'where the bill goes', pii: 'email', seal: expect.any(Object) });
  });

  test('in an index with other columns', async () => {
    await at.change({ create_index: { table, columns: ['mail', 'amount'], unique: true } });
    await expect(at.plan({ create_index: { table, columns: ['mail'] } })).rejects.toMatchObject({
      code: 'table/exists',
    });
    await at.change({ drop_index: { table, index: `${table}_mail_key` } });
    await at.run(insertRows, { table, rows: [{ mail: 'ADA@planted.example', amount: 7 }] });
    await expect(
      at.run(insertRows, { table, rows: [{ mail: 'Ada@planted.example', amount: 7 }] }),
    ).rejects.toMatchObject({
      message: 'Another row has these values of `mail` and `amount` already.',
    });
    await expect(at.plan(alter('mail', { unique: true }))).rejects.toMatchObject({ code: 'row/duplicate' });
  });

  test('beside another one with ids of its own, and the same of the table', async () => {
    await at.change(seal('phone', 'phone'), {
      add_column: { table, column: { name: 'iban', type: 'text', pii: 'iban' } },
    });
    const columns =
      (await at.tables()).find(({ name }) => name === table)?.columns.flatMap(({ seal }) => seal ?? []) ?? [];
    expect(columns).toHaveLength(3);
    expect(new Set(columns.map(({ tableId }) => tableId)).size).toBe(1);
    expect(new Set(columns.map(({ columnId }) => columnId)).size).toBe(3);
  });
});

describe('the wall around it', () => {
  test('stands after every change, for the one login that runs what members write', async () => {
    await at.change(seal('mail', 'email'));
    await at.change({ add_column: { table, column: { name: 'open', type: 'text' } } });
    await at.change({ add_column: { table, column: { name: 'hidden', type: 'text', pii: true } } });
    await at.change({ drop_column: { table, column: 'open' } });
    expect(await gaps()).toEqual([]);
    const readable = await raw(`select attname from pg_attribute where attrelid = '$t'::regclass and attnum > 0
      and not attisdropped and has_column_privilege('${loginOf(at.place, 'ro').role}', attrelid, attnum, 'select') order by attnum`);
    expect(readable.flat()).toEqual([
      'id',
      'phone',
      'born',
      'amount',
      'active',
      'state',
      'created_at',
      'updated_at',
      'created_by',
    ]);
    await at.change(seal('mail', false), seal('hidden', false));
    expect(
      (await at.pools.query(loginOf(at.place, 'ro'), `select mail, hidden from ${at.place.schema}.${table}`)).rows,
    ).toHaveLength(3);
  });

  test.each([
    ['the whole table', () => `grant select on $t to ${loginOf(at.place, 'ro').role}`],
    ['a cell', () => `grant select (mail) on $t to ${loginOf(at.place, 'ro').role}`],
    ['everybody', () => 'grant select on $t to public'],
  ])('that was opened for %s is found, and mended by what frame migrate does', async (_, grant) => {
    await at.change(seal('mail', 'email'));
    await raw(grant());
    const found = await gaps();
    expect(found).toEqual([
      expect.objectContaining({
        thing: `table ${at.place.schema}.${table}`,
        lack: expect.stringContaining('sealed columns'),
      }),
    ]);
    await mendAll(found.map(({ mend }) => mend));
    expect(await gaps()).toEqual([]);
    const ro = (column: string) =>
      at.pools.query(loginOf(at.place, 'ro'), `select ${column} from ${at.place.schema}.${table}`);
    await expect(ro('mail')).rejects.toMatchObject({ code: '42501' });
    expect((await ro('amount')).rows).toHaveLength(3);
  });

  test('a mark that somebody writes by hand seals nothing', async () => {
    const id = '6f0c0000-0000-4000-8000-00000000000a';
    await raw(`comment on column $t.phone is '[pii phone text ${id} ${id}]'`);
    expect(await read(['phone'])).toEqual(ROWS.map(({ phone }) => [phone]));
    const column = (await at.tables()).find(({ name }) => name === table)?.columns.find(({ name }) => name === 'phone');
    expect(column).toMatchObject({ pii: 'phone', seal: undefined });
    await at.change(seal('phone', 'phone'));
    expect(await read(['phone'])).toEqual(ROWS.map(({ phone }) => [phone]));
  });
});

test('the catalog is read by a login that sees no cell', async () => {
  await at.change(seal('mail', 'email'));
  const reading = at.pools.query(catalogLogin(at.place.database), `select mail from ${at.place.schema}.${table}`);
  await expect(reading).rejects.toMatchObject({ code: '42501' });
});

test('updated_at still says when somebody changed a row', async () => {
  const [[before]] = (await raw('select updated_at from $t where amount = 1')) as [[string]];
  await at.run(updateRows, { table, where: { amount: 1 }, set: { phone: '1' } });
  const [[after]] = (await raw('select updated_at from $t where amount = 1')) as [[string]];
  expect(after > before).toBe(true);
  // A default that a change of the tables writes into rows is such a change too.
  await at.change(alter('phone', { required: true, default: '0' }));
  const touched = await raw(
    'select count(*)::int from $t where updated_at > $1::text::timestamptz'.replace('$1', `'${after}'`),
  );
  expect(touched).toEqual([[1]]);
  for (const name of ['rw', 'ro'] as const) {
    const login = loginOf(at.place, name);
    const text = `update ${at.place.schema}.${table} set updated_at = '2000-01-01'`;
    await at.pools.query(login, text).catch(() => {});
  }
  expect(await raw(`select count(*)::int from $t where updated_at < '2001-01-01'`)).toEqual([[0]]);
});

async function mendAll(scripts: readonly string[]) {
  const owner = await at.postgres.server.connectAsOwner(at.place.database);
  await owner.script(scripts.join(';')).finally(() => owner.close());
}

async function gaps() {
  const owner = await at.postgres.server.connectAsOwner(at.place.database);
  return await findDatabaseGaps(owner.query, [at.place]).finally(() => owner.close());
}

/** Those that hold the mark as it is. */
async function filesWith(folder: string, mark: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  const found: string[] = [];
  for (const file of files) {
    // Files come and go while the server works.
    const bytes = await readFile(file).catch(() => Buffer.alloc(0));
    if (bytes.includes(mark)) found.push(file);
  }
  return found;
}
