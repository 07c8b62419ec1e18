import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loginOf } from '../../../src/database/place.ts';
import { purgeExpiredDrops } from '../../../src/tables/schema/soft-drop.ts';
import { freshName } from '../../support/postgres.ts';
import { openSchemaPlace, type SchemaPlace } from './schema-place.ts';

const DAY_MS = 86_400_000;

let home: SchemaPlace;
/** A table of every test's own, with two rows, and the version in which it is as made. */
let bills: string;
let start: number;

beforeAll(async () => {
  home = await openSchemaPlace();
  await home.change({ create_table: { name: 'people', columns: [{ name: 'name', type: 'text' }] } });
  await home.rows(`insert into $s.people (name) values ('Ada'), ('Bob')`);
});
afterAll(() => home?.remove());

beforeEach(async () => {
  bills = freshName('bills');
  const made = await home.change({
    create_table: {
      name: bills,
      columns: [
        { name: 'person', type: 'reference', references: 'people' },
        { name: 'code', type: 'text', required: true, unique: true },
        { name: 'total', type: 'integer', required: true, default: 5, check: { min: 0 } },
      ],
    },
  });
  start = made.version;
  await home.rows(
    `insert into $s.${bills} (person, code, total) select id, name, 7 from $s.people where name in ('Ada', 'Bob')`,
  );
});

const drop = (column: string) => ({ drop_column: { table: bills, column } });
const restore = (version: number) => ({ restore_version: { version } });
const shape = async () => (await home.tables()).find(({ name }) => name === bills);

const UUID_91 = '0190163d-8694-739b-aea5-966c26f8ad91';

describe('a dropped column', () => {
  test('is out of the way of new rows, and comes back with the old values', async () => {
    const before = await shape();
    await home.change(drop('code'), drop('person'));
    await home.rows(`insert into $s.${bills} (total) values (1), (2)`);
    await home.rows(`delete from $s.${bills} where total = 1`);

    const plan = await home.plan(restore(start));
    expect(plan.warnings).toEqual([expect.stringMatching(/code` comes back as optional: 1 rows that came since/)]);
    await home.apply(plan);
    expect(await home.rows(`select code, person is null, total from $s.${bills} order by total, code`)).toEqual([
      [null, true, 2],
      ['Ada', false, 7],
      ['Bob', false, 7],
    ]);
    const optional = before?.columns.map(column => (column.name === 'code' ? { ...column, required: false } : column));
    expect(await shape()).toEqual({ ...before, columns: optional });
  });

  test('with a default fills the rows that came since', async () => {
    const before = await shape();
    await home.change(drop('total'));
    await home.rows(`insert into $s.${bills} (code) values ('C')`);
    await home.change(restore(start));
    expect(await home.rows(`select code, total from $s.${bills} order by code`)).toEqual([
      ['Ada', 7],
      ['Bob', 7],
      ['C', 5],
    ]);
    expect(await shape()).toEqual(before);
  });

  test.each([
    ['the same default', 'integer', 5],
    ['the moment as default', 'timestamp', { now: true }],
  ])('that was unique with %s comes back as optional: it would not be unique any more', async (_, type, fallback) => {
    const column = { name: 'rank', type, required: true, unique: true, default: fallback };
    const single = freshName('single');
    const { version } = await home.change({ create_table: { name: single, columns: [column] } });
    await home.rows(`insert into $s.${single} default values`);
    const [kept] = await home.rows(`select rank from $s.${single}`);
    await home.change({ drop_column: { table: single, column: 'rank' } });
    await home.rows(`insert into $s.${single} default values`);
    await home.rows(`insert into $s.${single} default values`);
    const plan = await home.plan(restore(version));
    expect(plan.warnings).toEqual([expect.stringMatching(/rank` comes back as optional: 2 rows that came since/)]);
    await home.apply(plan);
    expect(await home.rows(`select rank from $s.${single} order by rank`)).toEqual([kept, [null], [null]]);
    const back = (await home.tables()).find(({ name }) => name === single)?.columns.find(({ name }) => name === 'rank');
    expect(back).toMatchObject({ unique: true, required: false, default: expect.anything() });
  });

  test('that was unique with a uuid for each row comes back as it was', async () => {
    const column = { name: 'ticket', type: 'uuid', required: true, unique: true, default: { gen_uuid: true } };
    const single = freshName('single');
    const { version } = await home.change({ create_table: { name: single, columns: [column] } });
    await home.change({ drop_column: { table: single, column: 'ticket' } });
    for (const _ of 'ab') await home.rows(`insert into $s.${single} default values`);
    await home.change(restore(version));
    expect(await home.rows(`select count(distinct ticket) from $s.${single}`)).toEqual([['2']]);
  });

  test('is seen and read by nobody, and what is left is', async () => {
    await home.change(drop('total'));
    const hidden = `_dropped_${start + 1}_1`;
    const schema = home.place.schema;
    for (const mode of ['ro', 'rw'] as const) {
      const login = loginOf(home.place, mode);
      const read = (what: string) => home.pools.query(login, `select ${what} from "${schema}"."${bills}"`);
      await expect(read(`"${hidden}"`)).rejects.toMatchObject({ code: '42501' });
      await expect(read('code, person')).resolves.toMatchObject({ count: 2 });
      await expect(read('count(*)')).resolves.toMatchObject({ rows: [['2']] });
    }
    await expect(home.rows(`update $s.${bills} set "${hidden}" = 1`)).rejects.toMatchObject({ code: '42501' });
    await expect(home.rows(`insert into $s.${bills} ("${hidden}", code) values (1, 'x')`)).rejects.toMatchObject({
      code: '42501',
    });
    expect((await shape())?.columns.map(({ name }) => name)).not.toContain(hidden);
    await expect(home.plan({ rename_column: { table: bills, from: hidden, to: 'mine' } })).rejects.toMatchObject({
      code: 'table/no-such-column',
    });

    await home.change({ add_column: { table: bills, column: { name: 'late', type: 'text' } } });
    await home.rows(`update $s.${bills} set late = 'x'`);
    expect(await home.rows(`select late from $s.${bills} limit 1`)).toEqual([['x']]);

    await home.change(restore(start));
    await home.rows(`delete from $s.${bills} where total = 7 and code = 'Ada'`);
  });

  test('does not hold back rows that it referred to', async () => {
    await home.rows(`insert into $s.people (name) values ('Eve')`);
    await home.rows(`insert into $s.${bills} (person, code) select id, 'E' from $s.people where name = 'Eve'`);
    await home.change(drop('person'));
    await home.rows(`delete from $s.people where name = 'Eve'`);
    const plan = await home.plan(restore(start));
    expect(plan.warnings).toEqual([expect.stringMatching(/^1 rows of .* name rows of `people` that are gone/)]);
    await home.apply(plan);
    await expect(
      home.rows(`update $s.${bills} set person = gen_random_uuid() where code = 'Ada'`),
    ).rejects.toMatchObject({ code: '23503' });
  });
});

test('rights are given anew once, however many columns go', async () => {
  const { statements } = await home.plan(drop('code'), drop('total'), drop('person'));
  expect(statements.filter(text => text.startsWith('grant'))).toHaveLength(2);
});

describe('a dropped table', () => {
  test('comes back with its rows, its keys and its rights, although another took its name', async () => {
    const before = await shape();
    await home.change({ drop_table: { name: bills } });
    await home.change({ create_table: { name: bills, columns: [{ name: 'code', type: 'integer', unique: true }] } });
    await home.rows(`insert into $s.${bills} (code) values (1)`);
    await home.change(restore(start));
    expect(await shape()).toEqual(before);
    expect(await home.rows(`select code from $s.${bills} order by code`)).toEqual([['Ada'], ['Bob']]);
    await expect(home.rows(`insert into $s.${bills} (code) values ('Ada')`)).rejects.toMatchObject({ code: '23505' });
  });

  test('is read by nobody and named by nobody', async () => {
    await home.change({ drop_table: { name: bills } });
    const hidden = `_dropped_${start + 1}_1`;
    for (const mode of ['ro', 'rw'] as const) {
      const read = home.pools.query(loginOf(home.place, mode), `select code from "${home.place.schema}"."${hidden}"`);
      await expect(read).rejects.toMatchObject({ code: '42501' });
    }
    await expect(home.plan({ rename_table: { from: hidden, to: 'mine' } })).rejects.toMatchObject({
      code: 'table/not-found',
    });
    await expect(home.catalog.table(home.place, hidden)).rejects.toMatchObject({ code: 'table/not-found' });
  });

  test('does not hold back the table that it referred to', async () => {
    const parent = freshName('parent');
    await home.change({ create_table: { name: parent, columns: [] } });
    const move = { alter_column: { table: bills, column: 'person', set: { references: parent } } };
    await expect(home.plan(move)).rejects.toMatchObject({
      code: 'row/reference-missing',
      message: expect.stringMatching(/2 rows/),
    });
    await home.rows(`update $s.${bills} set person = null`);
    const { version } = await home.change(move);
    await home.change({ drop_table: { name: bills } });
    await home.change({ drop_table: { name: parent } });
    await home.change(restore(version));
    expect((await shape())?.references.map(({ table }) => table)).toEqual([parent]);
  });
});

describe('the way back', () => {
  test('goes through many versions, and forth again', async () => {
    const shapes = [await shape()];
    for (const change of [
      { rename_column: { table: bills, from: 'total', to: 'sum' } },
      drop('code'),
      { add_column: { table: bills, column: { name: 'code', type: 'integer', required: true, default: 1 } } },
      { alter_column: { table: bills, column: 'code', set: { type: 'text' } } },
      drop('code'),
      { drop_column: { table: bills, column: 'sum' } },
    ]) {
      await home.change(change);
      shapes.push(await shape());
    }
    for (const step of [3, 0, 6, 2, 5, 1, 4, 0, 1, 2, 3, 4, 5, 6, 5, 3, 1, 0]) {
      await home.change(restore(start + step));
      expect(await shape()).toEqual(shapes[step]);
    }
    // However long the way was: there is no detour in it.
    expect((await home.plan(restore(start + 1))).statements).toHaveLength(1);
    expect(await home.rows(`select code, total from $s.${bills} order by code`)).toEqual([
      ['Ada', 7],
      ['Bob', 7],
    ]);
  });

  test('ends where values lost detail, and says where', async () => {
    await home.rows(`update $s.${bills} set code = case code when 'Ada' then '007' else '8' end`);
    await home.change({ alter_column: { table: bills, column: 'code', set: { type: 'integer' } } });
    const failure = home.plan(restore(start));
    await expect(failure).rejects.toMatchObject({
      code: 'plan/not-restorable',
      message: expect.stringMatching(/restore_version`: there is no way back.*lost detail of 1 values\.$/),
    });
  });

  test.each([
    ['json', '{"b":1,"a":2,"a":3}', '{"a": 1}', '{"a": 3, "b": 1}'],
    ['boolean', 'yes', 'false', 'true'],
    ['uuid', '0190163D-8694-739B-AEA5-966C26F8AD91', 'a190163d-8694-739b-aea5-966c26f8ad92', UUID_91],
    ['timestamp', '2026-01-31T10:00:00+02:00', '2026-02-28 10:00:00+00', '2026-01-31 08:00:00+00'],
  ])('where texts became %s, tells beforehand which come back written otherwise', async (type, other, same, back) => {
    await home.rows(`update $s.${bills} set code = case code when 'Ada' then '${other}' else '${same}' end`);
    const plan = await home.plan({ alter_column: { table: bills, column: 'code', set: { type } } });
    const warning = `1 values of \`${bills}.code\` are written otherwise from then on, as Postgres writes ${type}; restoring keeps that.`;
    expect(plan.warnings).toEqual([warning]);
    await home.apply(plan);
    await home.change(restore(start));
    expect((await home.rows(`select code from $s.${bills}`)).flat().sort()).toEqual([back, same].sort());
  });

  test('says nothing where they were spelled as they come back', async () => {
    await home.rows(
      `update $s.${bills} set code = case code when 'Ada' then '2026-01-31 10:00:00+00' else '2026-01-31' end`,
    );
    await home.rows(`delete from $s.${bills} where code = '2026-01-31'`);
    const plan = await home.plan({ alter_column: { table: bills, column: 'code', set: { type: 'timestamp' } } });
    expect(plan.warnings).toEqual([]);
    await home.apply(plan);
    await home.change(restore(start));
    expect(await home.rows(`select code from $s.${bills}`)).toEqual([['2026-01-31 10:00:00+00']]);
  });

  test('is told beforehand where times say no zone', async () => {
    await home.rows(
      `update $s.${bills} set code = case code when 'Ada' then '2026-01-31 10:00' else '2026-01-31T10:00+02' end`,
    );
    const plan = await home.plan({ alter_column: { table: bills, column: 'code', set: { type: 'timestamp' } } });
    expect(plan.warnings).toContain(`1 values of \`${bills}.code\` say no time zone and are taken for times in UTC.`);
    await home.apply(plan);
    expect(await home.rows(`select code = '2026-01-31 10:00Z' from $s.${bills} order by code`)).toEqual([
      [false],
      [true],
    ]);
  });

  test('ends where rows do not allow it, and says why', async () => {
    await home.change({ alter_column: { table: bills, column: 'code', set: { required: false, unique: false } } });
    await home.rows(`insert into $s.${bills} (code) values (null), ('Ada')`);
    const failure = home.plan(restore(start));
    await expect(failure).rejects.toMatchObject({
      code: 'plan/not-restorable',
      message: expect.stringMatching(/1 rows have no value/),
    });
  });

  test('is listed with every plan, until it ends', async () => {
    await home.change(drop('total'));
    await home.change({ drop_table: { name: bills } });
    const { restorable } = await home.plan({ comment: { table: 'people', text: 'x' } });
    expect(restorable.slice(0, 2)).toEqual([
      {
        table: bills,
        dropped_at: new Date(home.clock.now).toISOString(),
        kept_until: new Date(home.clock.now + 7 * DAY_MS).toISOString(),
        restore_version: start + 1,
      },
      expect.objectContaining({ table: bills, column: 'total', restore_version: start }),
    ]);
  });
});

describe('after seven days', () => {
  const purge = () => purgeExpiredDrops(home.pools, home.place, { now: home.clock.now, softDropDays: 7 });
  const left = async () =>
    (
      await home.asOwner(`select count(*) from pg_attribute a join pg_class c on c.oid = a.attrelid
        where not attisdropped and (relname like '\\_dropped\\_%' or attname like '\\_dropped\\_%')
        and relnamespace = '$s'::regnamespace and relkind = 'r'`)
    ).rows[0]?.[0];

  test('what was dropped is gone for good with the next change, and not before', async () => {
    const other = freshName('other');
    await home.change({ create_table: { name: other, columns: [{ name: 'x', type: 'text' }] } });
    const { version } = await home.change(drop('total'), { drop_table: { name: other } });
    // It moved since: what is hidden is found wherever it went.
    await home.change({ rename_table: { from: bills, to: `${bills}_x` } });
    home.clock.now += 7 * DAY_MS - 1;
    await home.change({ comment: { table: 'people', text: 'still' } });
    await expect(home.plan(restore(version - 1))).resolves.toBeDefined();

    home.clock.now += 1;
    await home.change({ comment: { table: 'people', text: 'gone' } });
    expect(await left()).toBe('0');
    await expect(home.plan(restore(version - 1))).rejects.toMatchObject({
      code: 'plan/not-restorable',
      message: expect.stringMatching(/dropped for good/),
    });
    expect((await home.plan({ comment: { table: 'people', text: '' } })).restorable).toEqual([]);
    await home.change(restore(version));
    expect((await shape())?.columns.map(({ name }) => name)).not.toContain('total');
  });

  test('purging twice, also at once, is purging once', async () => {
    await home.change(drop('total'), { drop_table: { name: bills } });
    home.clock.now += 8 * DAY_MS;
    await Promise.all([purge(), purge(), purge()]);
    expect(await left()).toBe('0');
    expect(await purge()).toBe(0);
  });
});
