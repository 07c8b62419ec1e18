import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openImportFile } from '../../src/operator/import/file.ts';
import { load } from '../../src/operator/import/load.ts';
import { survey } from '../../src/operator/import/survey.ts';
import { applyPlan } from '../../src/tables/schema/apply.ts';
import { selectRows } from '../../src/tools/data/select-rows.ts';
import type { DataKeys } from '../../src/vault/data-keys.ts';
import { openSchemaPlace, type SchemaPlace } from '../tables/schema/schema-place.ts';
import { databaseOf } from './place-database.ts';

/** An import meets somebody who changes its table at the same time. */
let at: SchemaPlace;
let folder: string;
let table: string;
let count = 0;

beforeAll(async () => {
  at = await openSchemaPlace();
  folder = await mkdtemp(join(tmpdir(), 'frame-import-'));
  await writeFile(join(folder, 'people.csv'), 'mail,team\nada@planted.example,a\nbob@planted.example,b\n');
});
afterAll(async () => {
  await at?.remove();
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  table = `people_${++count}`;
  const columns = [
    { name: 'mail', type: 'text' },
    { name: 'team', type: 'text' },
  ];
  await at.change({ create_table: { name: table, columns } });
  await at.rows(`insert into $s.${table} (mail) values ('first@planted.example')`);
});

async function importPeople(catalog = at.catalog) {
  const file = await openImportFile(join(folder, 'people.csv'), process.stdin);
  const found = await survey(
    file.rows(() => {}),
    () => {},
  );
  const onProgress = () => {};
  return await load({ database: databaseOf(at), catalog, place: at.place, table, file, survey: found, onProgress });
}

const seal = (pii: unknown = 'email') => ({ alter_column: { table, column: 'mail', set: { pii } } });
const stored = async () => (await at.asOwner(`select mail::text from $s.${table} order by id`)).rows.flat();

/** Applies changes up to where values are sealed or opened, with the table locked; `letGo` ends it. */
async function holdChange(...changes: object[]) {
  const { promise: isHeld, resolve: held } = Promise.withResolvers<void>();
  const { promise: gate, resolve: letGo } = Promise.withResolvers<void>();
  const keys: DataKeys = {
    ...at.means.dataKeys,
    async of(place, seals) {
      held();
      await gate;
      return await at.means.dataKeys.of(place, seals);
    },
  };
  const plan = await at.plan(...changes);
  const applied = applyPlan({
    pools: at.pools,
    catalog: at.catalog,
    keys,
    place: at.place,
    planId: plan.id,
    caller: 'tenant/person',
    author: 'Ada',
    now: at.clock.now,
    softDropDays: 7,
    mayUnseal: true,
    signal: AbortSignal.timeout(30_000),
  });
  await isHeld;
  return {
    async letGo() {
      letGo();
      await applied;
    },
  };
}

const waiting = async () =>
  (await at.asOwner(`select count(*)::int from pg_locks where not granted and relation = '$s.${table}'::regclass`))
    .rows[0]?.[0];

test('whose column was sealed while it waited loads nothing, and nothing in plain', async () => {
  const change = await holdChange(seal());
  const imported = importPeople().catch(thrown => thrown);
  await expect.poll(waiting).toBe(1);
  await change.letGo();
  expect(await imported).toMatchObject({
    code: 'plan/stale',
    message: `Somebody has just changed \`${table}\`.`,
    hint: 'Nothing was loaded. Run it again.',
  });
  const cells = await stored();
  expect(cells).toEqual([expect.stringMatching(/^\\x01/)]);

  await importPeople();
  const { rows } = await at.run(selectRows, { table, columns: ['mail'] }, { rights: new Set(['pii:read'] as const) });
  expect((rows as string[][]).flat().sort()).toEqual([
    'ada@planted.example',
    'bob@planted.example',
    'first@planted.example',
  ]);
  expect(JSON.stringify(await stored())).not.toContain('planted');
});

test('whose column was opened while it waited loads no cell as text', async () => {
  await at.change(seal());
  const change = await holdChange(seal(false));
  const imported = importPeople().catch(thrown => thrown);
  await expect.poll(waiting).toBe(1);
  await change.letGo();
  expect(await imported).toMatchObject({ code: 'plan/stale' });
  expect(await stored()).toEqual(['first@planted.example']);
});

test('whose column was opened and sealed anew since it was looked at loads no cell of the old seal', async () => {
  await at.change(seal());
  const known = await at.catalog.tables(at.place);
  await at.change(seal(false));
  await at.change(seal());
  const before = await stored();
  await expect(importPeople({ ...at.catalog, tables: async () => known })).rejects.toMatchObject({
    code: 'plan/stale',
  });
  expect(await stored()).toEqual(before);
});

test.each([
  ['is gone', 'drop table $s.$t'],
  ['has a column of another type', 'alter table $s.$t alter column team type varchar(3)'],
])('whose table %s since it was looked at loads nothing', async (_, text) => {
  const known = await at.catalog.tables(at.place);
  await at.asOwner(text.replace('$t', table));
  await expect(importPeople({ ...at.catalog, tables: async () => known })).rejects.toMatchObject({
    code: 'plan/stale',
  });
});

test('that waits for nobody loads all of it', async () => {
  expect(await importPeople()).toEqual({ created: false });
  expect(await stored()).toHaveLength(3);
});
