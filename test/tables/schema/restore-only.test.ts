import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { outlineChange } from '../../../src/tables/schema/change.ts';
import { freshName } from '../../support/postgres.ts';
import { openSchemaPlace, type SchemaPlace } from './schema-place.ts';

const DAY_MS = 86_400_000;

let home: SchemaPlace;
/** Tables of every test's own, the version in which they are as made, and what they were. */
let people: string;
let bills: string;
let start: number;

beforeAll(async () => {
  home = await openSchemaPlace();
});
afterAll(() => home?.remove());

beforeEach(async () => {
  people = freshName('people');
  bills = freshName('bills');
  const made = await home.change(
    { create_table: { name: people, columns: [{ name: 'name', type: 'text' }] } },
    {
      create_table: {
        name: bills,
        columns: [
          { name: 'person', type: 'reference', references: people },
          { name: 'code', type: 'text', required: true, unique: true, check: { max_length: 9 } },
          { name: 'total', type: 'text' },
          { name: 'note', type: 'text' },
        ],
      },
    },
    { create_index: { table: bills, columns: ['code', 'note'] } },
  );
  start = made.version;
  await home.rows(`insert into $s.${people} (name) values ('Ada'), ('Bob')`);
  await home.rows(`insert into $s.${bills} (person, code, total) select id, name, '007' from $s.${people}`);
});

const drop = (column: string) => home.change({ drop_column: { table: bills, column } });
const only = (column?: string, table = bills, version = start) => ({
  restore_version: { version, only: { table, ...(column !== undefined && { column }) } },
});
const shape = async (table = bills) => (await home.tables()).find(({ name }) => name === table);
/** A change that nothing takes back. */
const burn = () => home.change({ alter_column: { table: bills, column: 'total', set: { type: 'integer' } } });

describe('one column alone', () => {
  test('comes back past a change that nothing takes back, and that change stays', async () => {
    const before = await shape();
    const dropped = await home.plan({ drop_column: { table: bills, column: 'code' } });
    expect(dropped.warnings).toContain(
      `What is dropped is kept aside for 7 days: until then restore_version ${start} with only: { table, column? } brings it back.`,
    );
    await home.apply(dropped);
    await burn();
    await expect(home.plan({ restore_version: { version: start } })).rejects.toMatchObject({
      code: 'plan/not-restorable',
    });
    const { restorable } = await home.plan({ comment: { table: bills, text: 'x' } });
    const [{ table, column, restore_version } = { table: '', restore_version: 0 }] = restorable;
    const { done } = await home.change(only(column, table, restore_version));
    expect(done).toEqual([`Brought back the column \`${bills}.code\`.`]);
    const wanted = before?.columns.find(({ name }) => name === 'code');
    const after = await shape();
    expect(after?.columns.find(({ name }) => name === 'code')).toEqual(wanted);
    expect(new Set(after?.indexes)).toEqual(new Set(before?.indexes));
    expect(after?.checks).toEqual(before?.checks);
    expect(await home.rows(`select code, total from $s.${bills} order by code`)).toEqual([
      ['Ada', 7],
      ['Bob', 7],
    ]);
    await expect(home.rows(`insert into $s.${bills} (code) values ('Ada')`)).rejects.toMatchObject({ code: '23505' });
    expect(
      (await home.plan({ comment: { table: bills, text: 'x' } })).restorable.map(({ table }) => table),
    ).not.toContain(bills);
  });

  test.each([
    ['in two plans', true],
    ['in one', false],
  ])('comes back with its reference when what it led to came back first, %s', async (_, inTwo) => {
    const before = await shape();
    await home.change({ drop_column: { table: bills, column: 'person' } }, { drop_table: { name: people } });
    const back = [only(undefined, people), only('person')];
    if (inTwo) for (const change of back) await home.change(change);
    else await home.change(...back);
    const byName = (columns = before?.columns) => new Map(columns?.map(column => [column.name, column]));
    expect(byName((await shape())?.columns)).toEqual(byName());
    expect((await shape())?.references.map(({ columns }) => columns)).toEqual(
      before?.references.map(({ columns }) => columns),
    );
    await home.change({ restore_version: { version: start } });
    expect(byName((await shape())?.columns)).toEqual(byName());
  });

  test('comes back into a table that is called otherwise now, by either name', async () => {
    await drop('code');
    await home.change({ rename_table: { from: bills, to: `${bills}_x` } });
    await expect(home.plan(only('code', `${bills}_x`))).resolves.toBeDefined();
    await home.change(only('code'));
    expect(await home.rows(`select code from $s.${bills}_x order by code`)).toEqual([['Ada'], ['Bob']]);
  });

  test('is part of the history: back before it, through it and forth again', async () => {
    const shapes = [await shape()];
    await drop('code');
    await home.change({ rename_column: { table: bills, from: 'total', to: 'sum' } });
    shapes.push(await shape());
    const { version } = await home.change(only('code'));
    const returned = await shape();
    for (const [to, wanted] of [
      [version - 1, shapes[1]],
      [start, shapes[0]],
      [version, returned],
      [start, shapes[0]],
      [version - 1, shapes[1]],
      [version, returned],
    ] as const) {
      await home.change({ restore_version: { version: to } });
      expect(await shape()).toEqual(wanted);
    }
    expect(await home.rows(`select code from $s.${bills} order by code`)).toEqual([['Ada'], ['Bob']]);
    // And dropped once more.
    await drop('code');
    await home.change(only('code'));
    expect(await home.rows(`select code from $s.${bills} order by code`)).toEqual([['Ada'], ['Bob']]);
  });

  test('of several with one name is the one that there was at that version', async () => {
    await drop('code');
    const { version } = await home.change({ add_column: { table: bills, column: { name: 'code', type: 'integer' } } });
    await home.rows(`update $s.${bills} set code = 1`);
    await expect(home.plan(only('code'))).rejects.toMatchObject({ code: 'table/column-exists' });
    await drop('code');
    await home.change(only('code'));
    expect(await home.rows(`select code from $s.${bills} order by code`)).toEqual([['Ada'], ['Bob']]);
    await drop('code');
    await home.change(only('code', bills, version));
    expect(await home.rows(`select code from $s.${bills}`)).toEqual([[1], [1]]);
  });

  test('two in one plan, after another change', async () => {
    await drop('code');
    await drop('note');
    await burn();
    const comment = { comment: { table: bills, text: 'x' } };
    await home.change(comment, only('code'), only('note'));
    expect((await shape())?.columns.map(({ name }) => name)).toEqual(expect.arrayContaining(['code', 'note', 'total']));
  });

  test('is sealed as it was', async () => {
    await home.change({ alter_column: { table: bills, column: 'note', set: { pii: true } } });
    const sealed = await shape();
    const { version } = await drop('note');
    await burn();
    await home.change(only('note', bills, version - 1));
    const seal = (table: typeof sealed) => table?.columns.find(({ name }) => name === 'note')?.seal;
    expect(seal(await shape())).toEqual(seal(sealed));
    expect(seal(sealed)).toBeDefined();
  });

  test('without a reference to a table that may be another one, and without an index over such columns', async () => {
    await drop('person');
    await drop('code');
    await home.change({ rename_table: { from: people, to: `${people}_x` } });
    await home.change({ create_table: { name: people, columns: [] } });
    await home.change({ rename_column: { table: bills, from: 'note', to: 'text' } });
    await home.change({ add_column: { table: bills, column: { name: 'note', type: 'text' } } });
    const plan = await home.plan(only('person'), only('code'));
    expect(plan.warnings).toEqual([
      `\`${bills}.person\` comes back without its reference: \`${people}\` is not what it was.`,
      `The index \`${bills}_code_note_idx\` on \`code\` and \`note\` does not come back: these are not what they were.`,
    ]);
    await home.apply(plan);
    expect(await shape()).toMatchObject({ references: [] });
    expect((await shape())?.indexes.map(({ columns }) => columns.join()).sort()).toEqual(['code', 'id']);
    expect(await home.rows(`select count(person) from $s.${bills}`)).toEqual([['2']]);
  });

  test('under names that others took since', async () => {
    await drop('code');
    await home.change({ create_index: { table: bills, columns: ['total'] } });
    await home.asOwner(`alter index $s."${bills}_total_idx" rename to "${bills}_code_key"`);
    await home.asOwner(`alter table $s."${bills}" add constraint "${bills}_code_check" check (total <> 'x')`);
    await home.change(only('code'));
    expect((await shape())?.columns.find(({ name }) => name === 'code')).toMatchObject({
      unique: true,
      check: { max_length: 9 },
    });
  });
});

describe('one table alone', () => {
  test('comes back past a change that nothing takes back', async () => {
    const before = await shape(people);
    await drop('person');
    await home.change({ drop_table: { name: people } });
    await burn();
    const { done } = await home.change(only(undefined, people));
    expect(done).toEqual([`Brought back the table \`${people}\`.`]);
    expect(await shape(people)).toEqual(before);
    expect(await home.rows(`select name from $s.${people} order by name`)).toEqual([['Ada'], ['Bob']]);
    await home.change(only('person'));
    expect((await shape())?.references).toEqual([]);
  });

  test('is part of the history too', async () => {
    const shapes = [await shape(), await shape(people)];
    await drop('person');
    await home.change({ drop_table: { name: people } });
    await home.change({ rename_column: { table: bills, from: 'total', to: 'sum' } });
    await home.change(only(undefined, people));
    const { version } = await home.change({ rename_column: { table: people, from: 'name', to: 'title' } });
    const later = [await shape(), await shape(people)];
    for (const [to, wanted] of [
      [start, shapes],
      [version, later],
      [start, shapes],
    ] as const) {
      await home.change({ restore_version: { version: to } });
      expect([await shape(), await shape(people)]).toEqual(wanted);
    }
    expect(
      await home.rows(`select p.name from $s.${bills} b join $s.${people} p on p.id = b.person order by 1`),
    ).toEqual([['Ada'], ['Bob']]);
  });

  test('with its references where these tables are, and without where they are not', async () => {
    await home.change({ drop_table: { name: bills } });
    const before = await home.plan(only(undefined, bills));
    expect(before.warnings).toEqual([]);
    await home.change({ rename_table: { from: people, to: `${people}_x` } });
    const plan = await home.plan(only(undefined, bills));
    expect(plan.warnings).toEqual([expect.stringMatching(/person` comes back without its reference/)]);
    await home.apply(plan);
    expect(await shape()).toMatchObject({ references: [] });
    expect(await home.rows(`select code from $s.${bills} order by code`)).toEqual([['Ada'], ['Bob']]);
  });
});

describe('is refused', () => {
  const refused = (change: object) => home.plan(change);

  test('where nothing of this name was dropped', async () => {
    await home.change({ comment: { table: bills, text: 'x' } });
    for (const change of [only('code'), only(undefined), only('code', 'nothing'), only('id')]) {
      await expect(refused(change)).rejects.toMatchObject({
        code: 'plan/not-restorable',
        message: expect.stringMatching(/was not dropped after this version/),
        hint: expect.stringContaining('restorable'),
      });
    }
    await expect(refused(only('code', bills, start + 1))).rejects.toMatchObject({ code: 'args/invalid' });
  });

  test('where its name is taken', async () => {
    await drop('note');
    await home.change({ rename_column: { table: bills, from: 'total', to: 'note' } });
    await expect(refused(only('note'))).rejects.toMatchObject({ code: 'table/column-exists' });
    await home.change({ drop_table: { name: people } }).catch(() => {});
    await drop('person');
    await home.change({ drop_table: { name: people } });
    await home.change({ create_table: { name: people, columns: [] } });
    await expect(refused(only(undefined, people))).rejects.toMatchObject({ code: 'table/exists' });
  });

  test('where its table is dropped too, until that is back', async () => {
    await drop('note');
    await home.change({ drop_table: { name: bills } });
    await expect(refused(only('note'))).rejects.toMatchObject({
      code: 'plan/not-restorable',
      message: expect.stringMatching(/is dropped too/),
    });
    await home.change(only(undefined), only('note'));
    expect((await shape())?.columns.map(({ name }) => name)).toContain('note');
  });

  test('where it came back already, and where its days are over', async () => {
    await drop('note');
    await home.change(only('note'));
    await expect(refused(only('note'))).rejects.toMatchObject({ code: 'table/column-exists' });
    const { version } = await drop('note');
    home.clock.now += 7 * DAY_MS;
    await home.change({ comment: { table: bills, text: 'gone' } });
    await expect(refused(only('note', bills, version - 1))).rejects.toMatchObject({
      code: 'plan/not-restorable',
      message: expect.stringMatching(/dropped for good/),
    });
  });
});

test('the audit learns its name', () => {
  const change = { restore_version: { version: 3, only: { table: 'orders', column: 'total' } } };
  expect(outlineChange(change)).toBe('restore_version orders.total');
});
