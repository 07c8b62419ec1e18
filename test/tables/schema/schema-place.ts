import { randomUUID } from 'node:crypto';
import { loginOf } from '../../../src/database/place.ts';
import { type Applied, applyPlan } from '../../../src/tables/schema/apply.ts';
import { Changes } from '../../../src/tables/schema/change.ts';
import { type Plan, planChanges } from '../../../src/tables/schema/plan.ts';
import type { Table } from '../../../src/tables/table.ts';
import { openTestPlace, type TestPlace } from '../test-place.ts';

/** A provisioned schema whose tables are changed through plans, as its developers do. */
export interface SchemaPlace extends TestPlace {
  plan(...changes: object[]): Promise<Plan>;
  apply(plan: Plan, author?: string): Promise<Applied>;
  /** Plans and applies. */
  change(...changes: object[]): Promise<Applied>;
  /** What the catalog says now, without what only time changes. */
  tables(): Promise<Table[]>;
  /** One statement on rows, as the login of editors; `$s` is the schema. */
  rows(text: string): Promise<unknown[][]>;
}

const CALLER = 'tenant/person';

export async function openSchemaPlace(): Promise<SchemaPlace> {
  const home = await openTestPlace();
  const parts = () => ({
    pools: home.pools,
    catalog: home.catalog,
    keys: home.means.dataKeys,
    mayUnseal: true,
    place: home.place,
    now: home.clock.now,
    softDropDays: 7,
    planMinutes: 10,
    signal: AbortSignal.timeout(20_000),
    caller: CALLER,
  });
  const opened: SchemaPlace = {
    ...home,
    plan: (...changes) => planChanges(parts(), Changes.parse(changes)),
    apply: (plan, author = `Ada (${randomUUID()})`) => applyPlan({ ...parts(), planId: plan.id, author }),
    change: async (...changes) => opened.apply(await opened.plan(...changes)),
    async tables() {
      home.catalog.forget(home.place);
      const { tables } = await home.catalog.tables(home.place);
      return tables.map(table => ({ ...table, rowEstimate: undefined }));
    },
    async rows(text) {
      const statement = text.replaceAll('$s', `"${home.place.schema}"`);
      return (await home.pools.query(loginOf(home.place, 'rw'), statement, [], { prepare: false })).rows;
    },
  };
  return opened;
}
