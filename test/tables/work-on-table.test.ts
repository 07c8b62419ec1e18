import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { deleteRows } from '../../src/tools/data/delete-rows.ts';
import { insertRows } from '../../src/tools/data/insert-rows.ts';
import { updateRows } from '../../src/tools/data/update-rows.ts';
import { openSchemaPlace, type SchemaPlace } from './schema/schema-place.ts';

let at: SchemaPlace;
let table: string;
let count = 0;

beforeAll(async () => {
  at = await openSchemaPlace();
});
afterAll(() => at?.remove());

beforeEach(async () => {
  table = `people_${++count}`;
  await at.change({ create_table: { name: table, columns: [{ name: 'mail', type: 'text' }] } });
  await at.run(insertRows, { table, rows: [{ mail: 'ada@planted.example' }] });
});

const WRITES = [
  ['an insert', () => at.run(insertRows, { table, rows: [{ mail: 'late@planted.example' }] })],
  ['an insert with a key', () => at.run(insertRows, { table, rows: [{ mail: 'late' }], idempotency_key: `k${count}` })],
  ['an update', () => at.run(updateRows, { table, where: { mail: { is_null: false } }, set: { mail: 'late' } })],
  ['a delete', () => at.run(deleteRows, { table, where: { mail: 'ada@planted.example' } })],
] as const;

test.each(WRITES)('%s that waited while its column was sealed may be tried again', async (_, write) => {
  const plan = await at.plan({ alter_column: { table, column: 'mail', set: { pii: 'email' } } });
  const { dataKeys } = at.means;
  let late: Promise<unknown> | undefined;
  // Values are sealed while nobody else can use the table.
  at.means.dataKeys = {
    ...dataKeys,
    async of(...given) {
      if (!late) {
        late = write().catch(thrown => thrown);
        await untilOneWaits();
      }
      return dataKeys.of(...given);
    },
  };
  await at.apply(plan).finally(() => {
    at.means.dataKeys = dataKeys;
  });
  expect(await late).toMatchObject({
    code: 'table/no-such-column',
    message: `The table \`${table}\` has just been changed.`,
    retryable: true,
  });
  expect(await write()).toMatchObject({ count: 1 });
});

test('what never worked on a column is told as that, however old the catalog is', async () => {
  await at.asOwner(`alter table $s.${table} add column spot point`);
  await at.run(updateRows, { table, where: { mail: 'nobody' }, set: { mail: 'x' } });
  at.clock.now += 2000;
  const odd = at.run(updateRows, { table, where: { spot: '(1,2)' }, set: { mail: 'x' } });
  await expect(odd).rejects.toMatchObject({ code: 'args/invalid', retryable: false });
});

async function untilOneWaits(): Promise<void> {
  const owner = await at.postgres.server.connectAsOwner(at.place.database);
  const waits = "select count(*)::int from pg_stat_activity where wait_event_type = 'Lock'";
  await expect.poll(async () => (await owner.query(waits)).rows[0]?.[0]).toBe(1);
  await owner.close();
}
