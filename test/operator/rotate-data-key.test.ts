import { afterAll, beforeAll, expect, test } from 'vitest';
import { rotateDataKey } from '../../src/operator/rotate-data-key.ts';
import { insertRows } from '../../src/tools/data/insert-rows.ts';
import { selectRows } from '../../src/tools/data/select-rows.ts';
import { onControl, readDataKeys } from '../../src/vault/data-key-table.ts';
import { openSchemaPlace, type SchemaPlace } from '../tables/schema/schema-place.ts';
import { databaseOf } from './place-database.ts';

let at: SchemaPlace;

beforeAll(async () => {
  at = await openSchemaPlace();
});
afterAll(() => at?.remove());

const rotate = () => rotateDataKey({ database: databaseOf(at), place: at.place, onCells: () => {} });
const cellKeys = async () =>
  (await readDataKeys(onControl(at.pools), at.place)).filter(({ purpose }) => purpose === 'cells');

test('a cell that does not open is named every time, and never stands in the way of a new key', async () => {
  await at.change({ create_table: { name: 'people', columns: [{ name: 'mail', type: 'text', pii: 'email' }] } });
  await at.run(insertRows, { table: 'people', rows: [{ mail: 'ada@axe.example' }, { mail: 'bob@axe.example' }] });
  const spoil = 'set mail = set_byte(mail, 20, get_byte(mail, 20) # 1)';
  const first = '(select id from $s.people order by id limit 1)';
  const { rows } = await at.asOwner(`update $s.people ${spoil} where id = ${first} returning id::text`);
  const broken = [`people.mail ${rows[0]?.[0]}`];

  expect(await rotate()).toEqual({ isNew: true, cells: 1, broken, retired: 1 });
  expect(await rotate()).toEqual({ isNew: true, cells: 1, broken, retired: 1 });
  expect((await cellKeys()).map(({ state }) => state)).toEqual(['retired', 'retired', 'current']);

  // Whoever mends the cell finds its key among the retired ones.
  await at.asOwner(`update $s.people ${spoil} where id = ${first}`);
  const read = await at.run(selectRows, { table: 'people', columns: ['mail'] }, { rights: new Set(['pii:read']) });
  expect((read.rows as string[][]).flat().sort()).toEqual(['ada@axe.example', 'bob@axe.example']);
}, 90_000);
