import { expect, test } from 'vitest';
import { describePlan } from '../../src/sql/plan-shape.ts';
import { shop } from './ordinary.ts';

const TABLES = shop({ invoices: { rows: 1_230_000 } });
const plan = (Plan: object) => JSON.stringify([{ Plan }]);

test('a plan is told in kinds of steps, tables of the query and numbers of rows, the largest first', () => {
  const explained = plan({
    'Node Type': 'Sort',
    'Sort Key': ["(name || 'secret')"],
    'Plan Rows': 40_000,
    Plans: [
      {
        'Node Type': 'Nested Loop',
        'Plan Rows': 61_500_000_000,
        Plans: [
          { 'Node Type': 'Seq Scan', 'Relation Name': 'invoices', Filter: "(notes = 'secret')", 'Plan Rows': 5 },
          { 'Node Type': 'Seq Scan', 'Relation Name': 'pg_authid', Alias: 'secret', 'Plan Rows': 50_000 },
          { 'Node Type': 'Index Scan', 'Relation Name': 'items', 'Index Name': 'secret', 'Plan Rows': 7 },
          { 'Node Type': 'Nested Loop', 'Plan Rows': 3 },
        ],
      },
    ],
  });
  expect(describePlan(explained, TABLES)).toBe(
    'Postgres plans: nested loop (about 62B rows), sequential scan on `invoices` (about 1.2M rows), sort (about 40K rows).',
  );
});

test.each(['', 'no json', '[]', 'null', '[{}]', plan({}), plan({ 'Node Type': 'Result' })])(
  'of %s there is nothing to say',
  text => {
    expect(describePlan(text, TABLES)).toBeUndefined();
  },
);
