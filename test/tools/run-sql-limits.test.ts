import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Caller } from '../../src/access/caller.ts';
import { loginOf, type Place } from '../../src/database/place.ts';
import { createPools, type Pools } from '../../src/database/pools.ts';
import { createSqlSessions, type SqlSessions } from '../../src/database/sql-sessions.ts';
import type { FrameError } from '../../src/errors.ts';
import { observeNothing } from '../../src/observe.ts';
import { type Catalog, createCatalog } from '../../src/tables/catalog.ts';
import { runSql } from '../../src/tools/data/run-sql.ts';
import { selectRows } from '../../src/tools/data/select-rows.ts';
import type { Tool } from '../../src/tools/tool.ts';
import { SHOP_ROWS, SHOP_TABLES } from '../sql/ordinary.ts';
import { asOwner, type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';
import { connectAs, customerOf, passwordOf, placesOf, provisionAll } from '../support/tenants.ts';
import { callerOf, fakeMeans } from './fixture.ts';

const customers = [customerOf('axe', { axe: ['prod'], studio: ['prod'], calm: ['prod'], still: ['prod'] })];
const LIMITS = { own: 2, rw: 4, ro: 4, total: 20, acquireTimeoutMs: 5000, idleSeconds: 30, maxLifetimeMinutes: 30 };
const POOLS = { ...LIMITS, maxAnswerBytes: 8_000_000 };
const SQL = { perCaller: 1, perPlace: 3, total: 4, waitMs: 200, maxAnswerBytes: 2_000_000 };

let own: OwnPostgres;
let pools: Pools;
let sql: SqlSessions;
let catalog: Catalog;
let axe: Place;
let studio: Place;
/** Two where nothing ends by the clock, however slow this machine is. */
let calm: Place;
let still: Place;

beforeAll(async () => {
  own = await startOwnPostgres();
  await provisionAll(own.server, customers);
  const places = await placesOf(own.server);
  const placeOf = (entity: string) => places.find(place => place.entity === entity) as Place;
  [axe, studio, calm, still] = [placeOf('axe'), placeOf('studio'), placeOf('calm'), placeOf('still')];
  const parts = { server: own.server.address, passwordOf, observe: observeNothing };
  pools = createPools({ ...parts, limits: POOLS });
  sql = createSqlSessions({ ...parts, pools: POOLS, limits: SQL });
  catalog = createCatalog({ pools, now: Date.now, ttlMs: 60_000 });
  for (const place of places) await furnish(place);
  for (const { role } of [calm, still].map(place => loginOf(place, 'ro'))) {
    const patience = ['statement_timeout', 'transaction_timeout'].map(name => `alter role ${role} set ${name} = '60s'`);
    await asOwner(own.server, 'postgres', patience.join(';'));
  }
});
afterAll(async () => {
  await Promise.all([sql?.close(), pools?.close()]);
  await own?.remove();
});

async function furnish(place: Place): Promise<void> {
  const designer = connectAs(own.server, loginOf(place, 'own'));
  for (const [name, columns] of Object.entries(SHOP_TABLES)) {
    await designer.unsafe(
      `create table ${name} (id uuid primary key default gen_random_uuid(), created_at timestamptz default now(), ${columns})`,
    );
  }
  for (const text of SHOP_ROWS) await designer.unsafe(text.replaceAll('$s', place.schema));
  await designer.end();
}

function personOf(name: string): Caller {
  const caller = callerOf([]);
  return { ...caller, person: { ...caller.person, objectId: name } };
}

async function use<Input>(
  tool: Tool<Input>,
  who: string,
  place: Place,
  args: object,
  signal = AbortSignal.timeout(30_000),
) {
  const means = { ...fakeMeans(), pools, sql, catalog };
  return await tool.run({ caller: personOf(who), place, requestId: 'r', signal, means }, tool.input.parse(args));
}

const run = (who: string, text: string, { place = axe, signal = AbortSignal.timeout(30_000) } = {}) =>
  use(runSql, who, place, { sql: text }, signal);
const codeOf = (thrown: FrameError) => thrown.code;
const failing = (who: string, text: string) => run(who, text).then(() => 'ok', codeOf);

/** Runs for as long as it may. */
const ENDLESS =
  'select sum(length(a.body || b.body || c.body || d.notes || e.notes)) from events a, events b, events c, invoices d, invoices e';

/** On the server, not only on their way there. */
async function running(count: number): Promise<void> {
  const question = "select 1 from pg_stat_activity where state = 'active' and query like 'select sum(length%'";
  const owner = await own.server.connectAsOwner('postgres');
  await vi.waitFor(async () => expect((await owner.query(question)).rows.length).toBe(count), { timeout: 20_000 });
  await owner.close();
}

describe('at once', () => {
  test('a caller has one query; the next one waits for a moment, and is told when to come again', async () => {
    const stop = new AbortController();
    const first = run('ann', ENDLESS, { place: calm, signal: stop.signal }).catch(codeOf);
    await running(1);
    const second = run('ann', 'select 1', { place: calm });
    await expect(second).rejects.toMatchObject({ code: 'limit/requests', retryable: true, retryAfterSeconds: 5 });
    expect((await run('bob', 'select 1', { place: calm })).rows).toBe(1);
    stop.abort();
    expect(await first).toBe('limit/time');
    expect((await run('ann', 'select 1', { place: calm })).rows).toBe(1);
  });

  test('who waits gets the turn as soon as it is free', async () => {
    const both = await Promise.all([run('ann', 'select 1'), run('ann', 'select 2'), run('ann', 'select 3')]);
    expect(both.map(({ rows }) => rows)).toEqual([1, 1, 1]);
  });

  test('a place has three, and all places together have four', async () => {
    const stop = new AbortController();
    const { signal } = stop;
    const three = ['a', 'b', 'c'].map(who => run(who, ENDLESS, { place: calm, signal }).catch(codeOf));
    await running(3);
    await expect(run('d', 'select 1', { place: calm })).rejects.toMatchObject({ code: 'limit/requests' });
    expect((await run('d', 'select 1', { place: still })).rows).toBe(1);
    const fourth = run('e', ENDLESS, { place: still, signal }).catch(codeOf);
    await running(4);
    await expect(run('f', 'select 1', { place: still })).rejects.toMatchObject({ code: 'limit/requests' });
    expect((await use(selectRows, 'f', calm, { table: 'customers' })).rows).toBe(20);
    stop.abort();
    expect(await Promise.all([...three, fourth])).toEqual(Array(4).fill('limit/time'));
    expect((await run('d', 'select 1', { place: calm })).rows).toBe(1);
  });
});

describe('F6: a bomb', () => {
  const big = "string_agg(a.body || b.body || c.body, '')";
  test.each([
    [
      'recursion without an end',
      'with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t',
    ],
    [
      'recursion that doubles',
      "with recursive t(x) as (select 'x' union all select x || x from t) select max(length(x)) from t",
    ],
    ['a cross join', ENDLESS],
    ['a sort', `select '${'x'.repeat(1000)}' || g as w from generate_series(1, 500000) g order by g % 7 offset 400000`],
    ['one large value', `select ${big} from events a, events b, events c, generate_series(1, 100)`],
    ['many large values', `select ${big} from events a, events b, events c, generate_series(1, 9) g group by g`],
  ])(
    'is told its limit, and the memory of the gateway stays as it was: %s',
    async (_, text) => {
      await run('ann', 'select 1');
      const before = process.memoryUsage().rss;
      const code = await failing('ann', text);
      expect(code).toMatch(/^limit\/(time|bytes)$|^sql\/failed$/);
      expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
      expect((await run('ann', 'select 1')).rows).toBe(1);
    },
    20_000,
  );

  test('a hundred at once, of five callers: others read and ask all the while, and afterwards all is well', async () => {
    const before = process.memoryUsage().rss;
    let over = false;
    const bombs = Array.from({ length: 100 }, (_, i) => failing(`bomber ${i % 5}`, ENDLESS));
    const all = Promise.all(bombs).finally(() => {
      over = true;
    });
    let served = 0;
    while (!over) {
      expect((await use(selectRows, 'ann', axe, { table: 'customers', limit: 5 })).rows).toBe(5);
      expect((await use(selectRows, 'zoe', studio, { table: 'invoices', limit: 5 })).rows).toBe(5);
      expect((await run('zoe', 'select count(*) from invoices', { place: studio })).rows).toBe(1);
      served += 3;
    }
    const codes = Map.groupBy(await all, code => code);
    expect([...codes.keys()].sort()).toEqual(['limit/requests', 'limit/time']);
    expect(codes.get('limit/time')?.length).toBeGreaterThanOrEqual(3);
    expect(served).toBeGreaterThan(3);
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
    expect((await run('bomber 1', 'select 1')).rows).toBe(1);
    expect(sql.depth().busy).toBe(0);
  }, 60_000);

  test('F23: ends with its caller: nothing of it runs on', async () => {
    const stop = new AbortController();
    const asked = run('ann', ENDLESS, { place: calm, signal: stop.signal }).catch(codeOf);
    await running(1);
    stop.abort();
    expect(await asked).toBe('limit/time');
    await running(0);
  });
});

test('F3: a server that is frozen keeps nobody waiting for ever, and is asked again when it is back', async () => {
  await run('ann', 'select 1');
  await own.freeze();
  const asked = failing('ann', 'select 1');
  expect(await asked).toBe('unavailable');
  await own.thaw();
  await vi.waitFor(async () => expect((await run('ann', 'select 1')).rows).toBe(1), { timeout: 10_000 });
}, 30_000);

test('F6: what nothing can stop counts for its caller until it is over, and hurts nobody else', async () => {
  // Compares each of a million numbers with each of another million in one step, in which Postgres looks at no clock.
  const numbers = (sign: string) => `(select array_agg(${sign}i) as x from generate_series(1, 1000000) i)`;
  const text = `select a.x && b.x from ${numbers('')} a, ${numbers('-')} b`;
  expect(await run('ann', text).catch(({ code, message, hint }) => ({ code, message, hint }))).toEqual({
    code: 'limit/time',
    message: 'The query took too long and was cut off.',
    hint: expect.stringContaining('cannot ask another one'),
  });
  const others = async () => {
    expect((await run('bob', 'select 1')).rows).toBe(1);
    expect((await run('zoe', 'select 1', { place: studio })).rows).toBe(1);
    expect((await use(selectRows, 'ann', axe, { table: 'customers' })).rows).toBe(20);
  };
  for (let again = 0; again < 3; again++) {
    expect(await failing('ann', text)).toBe('limit/requests');
    await others();
  }
  expect(sql.depth().busy).toBe(1);
  // Three of them fill the place, and never more.
  const two = await Promise.all(['eve', 'mallory'].map(who => failing(who, text)));
  expect(two).toEqual(['limit/time', 'limit/time']);
  expect(await failing('bob', 'select 1')).toBe('limit/requests');
  expect((await run('zoe', 'select 1', { place: studio })).rows).toBe(1);
  expect((await use(selectRows, 'bob', axe, { table: 'customers' })).rows).toBe(20);
  const busy = await own.server.connectAsOwner('postgres');
  const atWork = await busy.query("select 1 from pg_stat_activity where state = 'active' and query ~ 'array_agg'");
  await busy.close();
  // The connection that asks says the word too.
  expect(atWork.count).toBe(4);
}, 60_000);
