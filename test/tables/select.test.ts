import { expect, test } from 'vitest';
import type { Pools } from '../../src/database/pools.ts';
import type { Privacy } from '../../src/tables/privacy.ts';
import { type Selection, selectPage } from '../../src/tables/select.ts';
import { sampleColumn, sampleTable } from './sample-table.ts';

const table = sampleTable([sampleColumn('name', 'text'), sampleColumn('total', 'numeric')]);
const place = { customer: '', entity: '', environment: 'prod', database: '', schema: '', roleId: '' } as const;
/** Nothing is sealed, so nobody asks for a key. */
const privacy: Privacy = { keys: {} as Privacy['keys'], place, mayRead: false };
const pools = { query: async () => ({ rows: [], count: 0 }) } as unknown as Pools;
const select = (selection: Partial<Selection>) => selectPage(pools, place, table, { limit: 1, ...selection }, privacy);

/** A list of names that counts how often one of them is read. */
function countingNames(names: string[]) {
  const counting = { reads: 0, names: [] as string[] };
  counting.names = new Proxy(names, {
    get(target, key) {
      if (typeof key === 'string' && /^\d+$/.test(key)) counting.reads += 1;
      return Reflect.get(target, key);
    },
  });
  return counting;
}

const DIFFERENT = Array.from({ length: 2000 }, (_, i) => `n${i}`);

test.each([
  ['all different', DIFFERENT, 'table/no-such-column'],
  ['the same again and again', Array(2000).fill('name'), 'args/invalid'],
  ['those that there are, and then others', ['name', 'total', ...DIFFERENT], 'table/no-such-column'],
])('very many names end at the first that is wrong: %s', async (_, names, code) => {
  for (const argument of ['columns', 'orderBy']) {
    const counting = countingNames(names);
    await expect(select({ [argument]: counting.names })).rejects.toMatchObject({ code });
    expect(counting.reads).toBeLessThanOrEqual(3);
  }
});

test.each([
  [['name', 'total', 'name'], 'args/invalid', '`columns[2]`: `name` stands there already.'],
  [['name', 'x', 'x'], 'table/no-such-column', '`columns[1]`: no column `x` in `orders`.'],
  [[], 'args/invalid', '`columns`: name at least one, or leave it out for all.'],
])('%j is refused', async (columns, code, message) => {
  await expect(select({ columns })).rejects.toMatchObject({ code, message });
});

test('columns come in the order in which they were named', async () => {
  expect((await select({ columns: ['total', 'id', 'name'] })).columns).toEqual(['total', 'id', 'name']);
});
