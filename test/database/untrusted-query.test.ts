import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Login } from '../../src/database/place.ts';
import type { Pools, UntrustedOptions } from '../../src/database/pools.ts';
import type { DatabaseServer } from '../../src/database/server.ts';
import { sendSignal } from '../support/data-folder.ts';
import { asOwner, freshLogin, sharedPostgres, startOwnPostgres, testPools } from '../support/postgres.ts';

// A login with every right that Postgres gives by default: no wall of ours helps here.

let server: DatabaseServer;
let login: Login;
/** Has the time to be frozen in. */
let patient: Login;

beforeAll(async () => {
  server = await sharedPostgres();
  login = await freshLogin(server, { prefix: 'ro', settings: { statement_timeout: '2s' } });
  patient = await freshLogin(server, { prefix: 'ro', settings: { statement_timeout: '6s' } });
  await asOwner(
    server,
    login.database,
    `create table public.items (id int primary key); insert into items select generate_series(1, 100);
    alter table items owner to ${login.role}; create role ${login.role}_friend; grant ${login.role}_friend to ${login.role}`,
  );
});
afterAll(() => server.close());

/** One connection, so that whoever comes next meets what was left. */
function open(options: Parameters<typeof testPools>[1] = {}): Pools {
  const pools = testPools(server, { ...options, limits: { ro: 1, ...options.limits } });
  onTestFinished(() => pools.close());
  return pools;
}

const read = (pools: Pools, text: string, options: Partial<UntrustedOptions> = {}, who = login) =>
  pools.readUntrusted(who, text, { maxRows: 10, ...options });
const only = async (pools: Pools, text: string, who = login) => (await read(pools, text, {}, who)).rows[0]?.[0];
const PID = 'select pg_backend_pid()';

/** As in the middle of one long computation: it hears neither a cancel, nor its timeout, nor that nobody listens. */
function freeze(pid: number): void {
  sendSignal(pid, 'SIGSTOP');
  onTestFinished(() => sendSignal(pid, 'SIGCONT'));
}

/** Whoever is at this text, and what they wait for. */
async function backendsAt(text: string): Promise<{ pid: number; wait: unknown }[]> {
  const owner = await server.connectAsOwner('postgres');
  const question = `select pid, wait_event from pg_stat_activity where state = 'active' and query = $1`;
  const { rows } = await owner.query(question, [text]).finally(() => owner.close());
  return rows.map(([pid, wait]) => ({ pid: Number(pid), wait }));
}

/** The one that is asleep in this text, as soon as it is. Between two messages of one statement a cancel is ignored. */
async function sleeperIn(text: string): Promise<number> {
  const look = async () => {
    const asleep = (await backendsAt(text)).find(({ wait }) => wait === 'PgSleep');
    if (!asleep) throw new Error(`Nobody is asleep in ${text}.`);
    return asleep.pid;
  };
  return await vi.waitFor(look, { timeout: 20_000 });
}

describe('rows', () => {
  test('come with the types that the server names, also when names come twice', async () => {
    const { fields, rows } = await read(open(), `select 1 as a, 2::int8 as a, 'x' as "?", null::jsonb, now() as t`);
    expect(fields.map(({ name, type }) => [name, type])).toEqual([
      ['a', 23],
      ['a', 20],
      ['?', 25],
      ['jsonb', 3802],
      ['t', 1184],
    ]);
    expect(rows[0]?.slice(0, 4)).toEqual([1, '2', 'x', null]);
  });

  test.each([0, 1, 9, 10, 11, 1_000_000])('of %d there are at most ten', async count => {
    const { fields, rows } = await read(open(), `select i from generate_series(1, ${count}) i`);
    expect(fields).toHaveLength(1);
    expect(rows.map(([i]) => i)).toEqual(Array.from({ length: Math.min(count, 10) }, (_, i) => i + 1));
  });

  test('may have no column at all', async () => {
    expect(await read(open(), 'select from items')).toEqual({ fields: [], rows: Array(10).fill([]) });
  });
});

describe('one statement', () => {
  test.each([
    'select 1; select 2',
    'commit; select 1',
    'rollback; delete from items',
    'select 1; commit; delete from items',
  ])('%s is refused as a whole', async text => {
    await expect(read(open(), text)).rejects.toMatchObject({ code: '42601' });
    expect(await only(open(), 'select count(*)::int4 from items')).toBe(100);
  });

  test.each([
    ['delete from items', '25006'],
    ['with gone as (delete from items returning *) select * from gone', '25006'],
    ['create table mine (id int)', '25006'],
    ['set transaction read write', '25001'],
    ["alter role current_user set work_mem = '1GB'", '25006'],
    ['$$', '42601'],
  ])('%s fails, for it can only read', async (text, code) => {
    await expect(read(open(), text)).rejects.toMatchObject({ code });
  });

  test.each([
    'copy items to stdout',
    'copy items from stdin',
    'copy (select i from generate_series(1, 1000000) i) to stdout',
  ])('%s fails, and so does nobody after it', async text => {
    const pools = open({ times: { connectMs: 5000, graceMs: 100, queryMs: 1000 } });
    await expect(read(pools, text)).rejects.toThrow();
    expect(await only(pools, 'select 1')).toBe(1);
  });
});

describe('nothing is left for the next one', () => {
  test.each([
    ["select set_config('statement_timeout', '0', false)", 'show statement_timeout', '2s'],
    ['set statement_timeout = 0', 'show statement_timeout', '2s'],
    ["set search_path = 'pg_catalog'", 'show search_path', '"$user", public'],
    ["set timezone = 'Asia/Seoul'", 'show timezone', 'UTC'],
    ['prepare mine as select 1', 'select count(*)::int4 from pg_prepared_statements', 0],
    [
      'declare mine cursor with hold for select 1',
      'select string_agg(name, $$,$$) from pg_cursors where is_holdable',
      null,
    ],
    [
      'select pg_advisory_lock(7)',
      'select count(*)::int4 from pg_locks where locktype = $$advisory$$ and pid = pg_backend_pid()',
      0,
    ],
    ['listen mine', 'select count(*)::int4 from pg_listening_channels()', 0],
    ['commit', 'show transaction_read_only', 'on'],
    ['commit and chain', 'show transaction_read_only', 'on'],
    ['rollback', 'show transaction_read_only', 'on'],
    ['set session characteristics as transaction read write', 'show transaction_read_only', 'on'],
    ['discard plans', 'select 1', 1],
  ])('of %s', async (text, question, answer) => {
    const pools = open();
    const before = await only(pools, PID);
    await read(pools, text);
    expect(await only(pools, question)).toBe(answer);
    expect(await only(pools, PID)).toBe(before);
  });

  test('of a role that was taken on', async () => {
    for (const text of [`set role ${login.role}_friend`, `select set_config('role', '${login.role}_friend', false)`]) {
      const pools = open();
      await read(pools, text);
      expect(await only(pools, 'select current_user::text')).toBe(login.role);
    }
  });
});

describe('a connection on which something failed', () => {
  test.each([
    ['an error', 'select 1 / 0', '22012'],
    ['an error after rows', 'select 1 / (5 - i) from generate_series(1, 9) i', '22012'],
    ['its time', 'select pg_sleep(30)', '57014'],
    ['bytes', "select repeat('x', 200000)", 'limit/bytes'],
    ['its end by itself', 'select pg_terminate_backend(pg_backend_pid())', 'unavailable'],
  ])('is never used again: %s', async (_, text, code) => {
    const pools = open({ limits: { maxAnswerBytes: 100_000 } });
    const before = await only(pools, PID);
    await expect(read(pools, text)).rejects.toMatchObject({ code });
    expect(await only(pools, PID)).not.toBe(before);
  });

  test('F23: is stopped on the server when nobody waits any more', async () => {
    const pools = open();
    const leaving = new AbortController();
    const text = 'select pg_sleep(29)';
    const reading = read(pools, text, { signal: leaving.signal }).catch(thrown => thrown);
    await sleeperIn(text);
    leaving.abort();
    expect(await reading).toMatchObject({ code: '57014' });
    expect(await backendsAt(text)).toEqual([]);
    expect(await only(pools, 'select 1')).toBe(1);
  });

  test.each([
    ['its time is over', false],
    ['its caller is gone', true],
  ])('counts for as long as the server cannot stop it, when %s', async (_, isLeaving) => {
    const pools = open({
      limits: { acquireTimeoutMs: 200 },
      times: { connectMs: 5000, graceMs: 100, queryMs: 1000 },
    });
    const text = `select pg_sleep(${isLeaving ? 27 : 28})`;
    const leaving = new AbortController();
    const { promise: stays, resolve: stay } = Promise.withResolvers<Promise<unknown>>();
    const reading = read(pools, text, { signal: leaving.signal, stay }, patient).catch(thrown => thrown);
    const pid = await sleeperIn(text);
    freeze(pid);
    if (isLeaving) leaving.abort();
    expect(await reading).toMatchObject({ code: 'limit/time', hint: expect.stringContaining('cannot ask another') });
    expect(pools.depth().busy).toBe(1);
    await expect(only(pools, 'select 1', patient)).rejects.toMatchObject({ code: 'unavailable' });

    sendSignal(pid, 'SIGCONT');
    await await stays;
    expect(await only(pools, 'select 1', patient)).toBe(1);
    expect(pools.depth().busy).toBe(0);
    await expect.poll(() => backendsAt(text)).toEqual([]);
  });

  test('that counts still keeps nobody from closing', async () => {
    const pools = testPools(server, { times: { connectMs: 5000, graceMs: 100, queryMs: 1000 } });
    const text = 'select pg_sleep(26)';
    const reading = read(pools, text, {}, patient).catch(thrown => thrown);
    freeze(await sleeperIn(text));
    expect(await reading).toMatchObject({ code: 'limit/time' });
    await pools.close();
    expect(pools.depth().busy).toBe(0);
  });

  test('F3: that is frozen keeps nobody waiting for ever, and later all is well', async () => {
    const own = await startOwnPostgres();
    onTestFinished(() => own.remove());
    const reader = await freshLogin(own.server, { prefix: 'ro', settings: { statement_timeout: '300ms' } });
    const pools = testPools(own.server, { times: { connectMs: 5000, graceMs: 200, queryMs: 1000 } });
    onTestFinished(() => pools.close());
    const ask = () => pools.readUntrusted(reader, 'select 1', { maxRows: 1 });
    await expect.poll(() => ask().catch(thrown => thrown)).toMatchObject({ rows: [[1]] });
    await own.freeze();
    await expect(ask()).rejects.toMatchObject({ code: 'unavailable' });
    await own.thaw();
    await expect.poll(() => ask().catch(thrown => thrown)).toMatchObject({ rows: [[1]] });
  });

  test('does not begin for somebody who is gone', async () => {
    await expect(read(open(), PID, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'limit/time' });
  });
});
