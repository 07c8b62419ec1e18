import { expect, test } from 'vitest';
import { planInsert } from '../../src/tables/insert.ts';
import type { Privacy } from '../../src/tables/privacy.ts';
import { sampleColumn, sampleTable } from './sample-table.ts';

const COLUMNS = 300;
const ROWS = 20;

test('the names of a row are not looked for among all columns, each time anew', async () => {
  let looks = 0;
  const columns = Array.from({ length: COLUMNS }, (_, i) => {
    const column = sampleColumn(`c${i}`, 'integer');
    return Object.defineProperty(column, 'name', {
      enumerable: true,
      get() {
        looks += 1;
        return `c${i}`;
      },
    });
  });
  const rows = Array.from({ length: ROWS }, () => Object.fromEntries(columns.map((_, i) => [`c${i}`, i])));
  const facts = { ids: rows.map((_, i) => `id-${i}`), createdBy: 'ada' };
  const plan = await planInsert(sampleTable(columns), rows, facts, {} as Privacy);
  expect(plan.statements).toHaveLength(1);
  expect(looks).toBeLessThan(10 * ROWS * COLUMNS);
});
