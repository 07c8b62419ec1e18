import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Login, loginOf } from '../../../src/database/place.ts';
import type { Pools } from '../../../src/database/pools.ts';
import { applyPlan } from '../../../src/tables/schema/apply.ts';
import { createTableAsOperator } from '../../../src/tables/schema/create-table.ts';
import type { Plan } from '../../../src/tables/schema/plan.ts';
import { freshName } from '../../support/postgres.ts';
import { openSchemaPlace, type SchemaPlace } from './schema-place.ts';

let home: SchemaPlace;
let own: Login;

beforeAll(async () => {
  home = await openSchemaPlace();
  own = loginOf(home.place, 'own');
  await home.change({ create_table: { name: 'orders', columns: [{ name: 'code', type: 'text' }] } });
  await home.rows(`insert into $s.orders (code) values ('1'), ('2')`);
});
afterAll(() => home?.remove());

const noteNamed = (name: string) => ({ add_column: { table: 'orders', column: { name, type: 'text' } } });
const columns = async () =>
  (await home.tables()).find(({ name }) => name === 'orders')?.columns.map(({ name }) => name);
const latest = async () => (await home.design('select max(version) from $s._versions')).rows[0]?.[0];

describe('an applied plan', () => {
  test('is a version of the history with its author, its statements and the way back', async () => {
    const plan = await home.plan({ comment: { table: 'orders', text: "it's" } });
    const { version, done } = await home.apply(plan, 'Ada (42)');
    const { rows } = await home.design(
      `select author, summary, statements->>0, inverse->0, plan_id::text, at = now() from $s._versions where version = ${version}`,
    );
    expect(done).toEqual(['Commented `orders`.']);
    expect(rows).toEqual([
      [
        'Ada (42)',
        done[0],
        plan.statements[0],
        '{"key": "2.1", "comment": {"text": "", "table": "orders"}}',
        plan.id,
        false,
      ],
    ]);
  });

  test('is seen at once, although the catalog was remembered', async () => {
    await home.catalog.tables(home.place);
    await home.change(noteNamed('seen'));
    expect((await home.catalog.table(home.place, 'orders')).columns.map(({ name }) => name)).toContain('seen');
  });

  test('made a table with keys, times and rights of its own', async () => {
    await home.change({ create_table: { name: 'fresh', columns: [{ name: 'x', type: 'text' }] } });
    await home.rows(`insert into $s.fresh (x, created_at) values ('a', '2001-01-01')`);
    const { rows } = await home.pools.query(
      loginOf(home.place, 'ro'),
      `select id::text, created_at = updated_at and created_at > now() - interval '1 minute' from "${home.place.schema}".fresh`,
    );
    expect(rows).toEqual([[expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/), true]]);
  });
});

describe('a plan is refused', () => {
  test('the second time, naming the version that it made', async () => {
    const plan = await home.plan(noteNamed('once'));
    const { version } = await home.apply(plan);
    const message = expect.stringContaining(`version ${version}`);
    await expect(home.apply(plan)).rejects.toMatchObject({ code: 'plan/used', message });
  });

  test('when it is somebody else’s, or nobody’s', async () => {
    const plan = await home.plan(noteNamed('mine'));
    const theirs = { ...parts(), planId: plan.id, caller: 'tenant/other', author: '' };
    await expect(applyPlan(theirs)).rejects.toMatchObject({ code: 'plan/invalid' });
    await expect(home.apply({ ...plan, id: randomUUID() })).rejects.toMatchObject({ code: 'plan/invalid' });
  });

  test('ten minutes later, and not a moment before', async () => {
    const [early, late] = [await home.plan(noteNamed('early')), await home.plan(noteNamed('late'))];
    home.clock.now += 10 * 60_000 - 1;
    await home.apply(early);
    home.clock.now += 1;
    await expect(home.apply(late)).rejects.toMatchObject({ code: 'plan/expired' });
    expect(await columns()).not.toContain('late');
  });

  test('after another change, also one that was taken back', async () => {
    const plan = await home.plan(noteNamed('stale'));
    const { version } = await home.change({ comment: { table: 'orders', text: 'other' } });
    await home.change({ restore_version: { version: version - 1 } });
    await expect(home.apply(plan)).rejects.toMatchObject({ code: 'plan/stale', nextTool: 'plan_change' });
  });

  test('after a change that went around Frame', async () => {
    const plan = await home.plan(noteNamed('stale'));
    await home.asOwner(`comment on column $s.orders.code is 'around'`);
    await expect(home.apply(plan)).rejects.toMatchObject({ code: 'plan/stale' });
  });

  test.each([
    ['dropped table', { drop_table: { name: 'orders' } }],
    ['dropped column', { drop_column: { table: 'orders', column: 'code' } }],
    ['converted column', { alter_column: { table: 'orders', column: 'code', set: { type: 'integer' } } }],
    ['filled column', { alter_column: { table: 'orders', column: 'code', set: { required: true } } }],
  ])('when a %s has other rows than were shown', async (_, change) => {
    const plan = await home.plan(change);
    await home.rows(`insert into $s.orders (code) values (null), ('3')`);
    await expect(home.apply(plan)).rejects.toMatchObject({
      code: 'plan/stale',
      message: expect.stringMatching(/Rows/),
    });
    await home.rows(`delete from $s.orders where code is null or code = '3'`);
    await expect(home.plan(change)).resolves.toBeDefined();
  });

  test('when a value that cannot be converted took the place of another', async () => {
    const plan = await home.plan({ alter_column: { table: 'orders', column: 'code', set: { type: 'integer' } } });
    await home.rows(`update $s.orders set code = 'x' where code = '2'`);
    await expect(home.apply(plan)).rejects.toMatchObject({ code: 'plan/stale' });
    await home.rows(`update $s.orders set code = '2' where code = 'x'`);
  });
});

describe('a plan that fails', () => {
  test('changed nothing, says why without a value, and can be applied when the reason is gone', async () => {
    const plan = await home.plan(noteNamed('tried'), {
      create_index: { table: 'orders', columns: ['code'], unique: true },
    });
    const before = await latest();
    await home.rows(`insert into $s.orders (code) values ('secret'), ('secret')`);
    const failure = home.apply(plan);
    await expect(failure).rejects.toMatchObject({
      code: 'plan/failed',
      message: 'Statement 2 of 2 cannot be done: values that must be unique occur more than once.',
      detail: expect.not.stringContaining('secret'),
    });
    expect(await latest()).toBe(before);
    expect(await columns()).not.toContain('tried');
    await home.rows(`delete from $s.orders where code = 'secret'`);
    await home.apply(plan);
    expect(await columns()).toContain('tried');
  });

  test('for a table in use says so, and that it may be tried again', async () => {
    const plan = await home.plan(noteNamed('busy'));
    await home.pools.transaction(loginOf(home.place, 'rw'), async session => {
      await session.query(`update "${home.place.schema}".orders set code = code`);
      await expect(home.apply(plan)).rejects.toMatchObject({ code: 'limit/lock', retryable: true });
    });
    await home.apply(plan);
    expect(await columns()).toContain('busy');
  });
});

describe('at the same time', () => {
  test('ten applies of one plan: one does it', async () => {
    const before = Number(await latest());
    const plan = await home.plan(noteNamed('race'));
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => home.apply(plan)));
    const refused = results.flatMap(result => (result.status === 'rejected' ? [result.reason.code] : []));
    expect(refused).toEqual(Array(9).fill('plan/used'));
    expect(await latest()).toBe(before + 1);
  });

  test('ten different plans: one does it, the others are stale', async () => {
    const before = Number(await latest());
    const plans: Plan[] = [];
    for (let i = 0; i < 10; i++) plans.push(await home.plan(noteNamed(`race_${i}`)));
    const results = await Promise.allSettled(plans.map(plan => home.apply(plan)));
    const refused = results.flatMap(result => (result.status === 'rejected' ? [result.reason.code] : []));
    expect(refused).toEqual(Array(9).fill('plan/stale'));
    expect(await latest()).toBe(before + 1);
    expect((await columns())?.filter(name => name.startsWith('race_'))).toHaveLength(1);
  });

  test('rows that come and go meanwhile lose nothing', async () => {
    const plan = await home.plan({
      alter_column: { table: 'orders', column: 'code', set: { check: { max_length: 9 } } },
    });
    const writes = Array.from({ length: 20 }, (_, i) => home.rows(`insert into $s.orders (code) values ('w${i}')`));
    await Promise.all([home.apply(plan), ...writes]);
    expect(await home.rows(`select count(*) from $s.orders where code like 'w%'`)).toEqual([['20']]);
    await home.rows(`delete from $s.orders where code like 'w%'`);
  });
});

describe('a backend that dies in the middle', () => {
  test.each([1, 2, 3, 4, 5, 6])('at statement %i leaves all or nothing', async at => {
    const name = freshName('dying');
    const plan = await home.plan({ create_table: { name, columns: [{ name: 'x', type: 'text' }] } }, noteNamed(name));
    const before = Number(await latest());
    const pools = dyingPools(home.pools, at, pid => home.asOwner(`select pg_terminate_backend(${pid})`));
    const failure = await applyPlan({ ...parts(), pools, planId: plan.id, author: '' }).catch(thrown => thrown);
    expect(failure).toMatchObject({ code: 'unavailable' });
    expect(await latest()).toBe(before);
    expect((await home.tables()).map(table => table.name)).not.toContain(name);
    expect(await columns()).not.toContain(name);
    expect((await home.apply(plan)).version).toBe(before + 1);
  });
});

describe('the operator creates a table', () => {
  const create = (name: string, work = async () => {}) =>
    home.pools.transaction(own, async session => {
      const made = await createTableAsOperator(
        parts(),
        session,
        { name, columns: [{ name: 'x', type: 'integer' }] },
        home.clock.now,
      );
      await session.query(`insert into "${home.place.schema}"."${name}" (x) values (1)`);
      await work();
      return made;
    });

  test('as a version like any other, in one transaction with its rows', async () => {
    const { version } = await create('imported');
    expect(await home.rows('select x from $s.imported')).toEqual([[1]]);
    const { rows } = await home.design(`select author, summary from $s._versions where version = ${version}`);
    expect(rows).toEqual([['operator', 'Created the table `imported`.']]);
    await home.change({ restore_version: { version: version - 1 } });
    expect((await home.tables()).map(({ name }) => name)).not.toContain('imported');
  });

  test('or not at all', async () => {
    const before = await latest();
    const fail = () => Promise.reject(new Error('a bad row'));
    await expect(create('broken', fail)).rejects.toThrow('a bad row');
    expect(await latest()).toBe(before);
    expect((await home.tables()).map(({ name }) => name)).not.toContain('broken');
  });

  test('unless it is there', async () => {
    await expect(create('orders')).rejects.toMatchObject({ code: 'table/exists' });
  });
});

function parts() {
  const { pools, catalog, place, clock, means } = home;
  return {
    pools,
    catalog,
    keys: means.dataKeys,
    place,
    mayUnseal: true,
    caller: 'tenant/person',
    now: clock.now,
    softDropDays: 7,
    signal: AbortSignal.timeout(20_000),
  };
}

/** Ends the backend of a transaction right before its `at`-th statement. */
function dyingPools(pools: Pools, at: number, end: (pid: unknown) => Promise<unknown>): Pools {
  return {
    ...pools,
    transaction: (login, work, options) =>
      pools.transaction(
        login,
        async session => {
          let count = 0;
          return work({
            async query(text, params, queryOptions) {
              count += 1;
              if (count === at) await end(await backendInTransaction());
              return session.query(text, params, queryOptions);
            },
          });
        },
        options,
      ),
  };
}

/** As soon as it has its BEGIN, for which nobody waits. */
async function backendInTransaction(): Promise<unknown> {
  const question = `select pid from pg_stat_activity where usename like 'own_%' and state like 'idle in transaction%'`;
  let pid: unknown;
  while (pid === undefined) pid = (await home.asOwner(question)).rows[0]?.[0];
  return pid;
}
