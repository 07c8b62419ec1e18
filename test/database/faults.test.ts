import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Login } from '../../src/database/place.ts';
import type { Pools } from '../../src/database/pools.ts';
import {
  asOwner,
  freshLogin,
  type OwnPostgres,
  sharedPostgres,
  startOwnPostgres,
  testPools,
} from '../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

// What is not asserted here, vitest does: an unhandled rejection or an uncaught error fails the run.

let own: OwnPostgres;
let rw: Login;
let ro: Login;

const TIMES = { connectMs: 5000, graceMs: 200, queryMs: 20_000 };
/** For answers that never come. What must work first is tried until it does. */
const HASTY = { ...TIMES, queryMs: 400 };
/** For connections that never come. */
const HASTIEST = { ...HASTY, connectMs: 300 };
const PID = 'select pg_backend_pid()';

beforeAll(async () => {
  own = await startOwnPostgres();
  [rw, ro] = await Promise.all([freshLogin(own.server), freshLogin(own.server, { prefix: 'ro' })]);
  await asOwner(
    own.server,
    rw.database,
    `create table public.items (id int primary key);
    alter table items owner to ${rw.role}`,
  );
});

afterAll(() => own.remove());

function open({ port = own.server.address.port, times = TIMES } = {}): Pools {
  const pools = testPools({ ...own.server, address: { ...own.server.address, port } }, { times });
  onTestFinished(() => pools.close());
  return pools;
}

async function openProxy(): Promise<TcpProxy> {
  const proxy = await startTcpProxy(own.server.address.port);
  onTestFinished(() => proxy.close());
  return proxy;
}

const one = async (pools: Pools, login: Login) => (await pools.query(login, 'select 1::int4')).rows[0]?.[0];
const works = (pools: Pools, login: Login) =>
  expect.poll(() => one(pools, login).catch(thrown => thrown), { interval: 20 }).toBe(1);

/** Resolves when the statement runs on the server. */
async function isRunning(text: string): Promise<void> {
  const owner = await own.server.connectAsOwner('postgres');
  const question = `select 1 from pg_stat_activity where state = 'active' and query like $1 and pid <> pg_backend_pid()`;
  await expect.poll(async () => (await owner.query(question, [`${text}%`])).rows).toHaveLength(1);
  await owner.close();
}

async function countItems(id: number): Promise<unknown> {
  const { rows } = await open().query(rw, 'select count(*)::int4 from items where id = $1', [id]);
  return rows[0]?.[0];
}

describe('F1: Postgres is killed', () => {
  test('in the middle of queries: reads are unavailable, writes unknown, and it recovers by itself', async () => {
    const pools = open();
    await one(pools, rw);
    const reads = [1, 2, 3].map(() => pools.query(ro, 'select pg_sleep(30)'));
    const write = pools.query(rw, 'insert into items select 1 from pg_sleep(30)');
    const settled = Promise.allSettled([...reads, write]);
    await isRunning('insert into items select 1');
    await own.kill();
    const codes = (await settled).map(result => result.status === 'rejected' && result.reason.code);
    expect(codes).toEqual(['unavailable', 'unavailable', 'unavailable', 'outcome-unknown']);
    await expect(one(pools, ro)).rejects.toMatchObject({ code: 'unavailable', retryAfterSeconds: 1 });
    await own.start();
    await works(pools, ro);
    await works(pools, rw);
  });

  test('between two statements of a transaction: unavailable, and nothing was changed', async () => {
    const pools = open();
    const work = pools.transaction(rw, async session => {
      await session.query('insert into items values (2)');
      await own.kill();
      await session.query('select 1');
    });
    await expect(work).rejects.toMatchObject({ code: 'unavailable' });
    await own.start();
    await works(pools, rw);
    expect(await countItems(2)).toBe(0);
  });

  test('while connections are idle: the next ones are new', async () => {
    const pools = open();
    await Promise.all([one(pools, rw), one(pools, rw), one(pools, ro)]);
    await own.kill();
    await own.start();
    await works(pools, rw);
    await works(pools, ro);
  });

  test('and stays away: every call says so at once', async () => {
    const pools = open();
    await own.kill();
    const calls = await Promise.allSettled(Array.from({ length: 50 }, () => one(pools, ro)));
    expect(calls.every(call => call.status === 'rejected' && call.reason.code === 'unavailable')).toBe(true);
    await own.start();
    await works(pools, ro);
  });

  test('one backend only: its call fails, and only its call', async () => {
    const pools = open();
    const slow = pools.query(ro, 'select pg_sleep(30)').catch(thrown => thrown);
    await isRunning('select pg_sleep');
    await asOwner(
      own.server,
      'postgres',
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${ro.role}'`,
    );
    expect(await slow).toMatchObject({ code: 'unavailable' });
    expect(await one(pools, ro)).toBe(1);
  });
});

describe('F2: the answer to COMMIT is lost', () => {
  test('nobody says that it failed: it is unknown, and here it was done', async () => {
    const proxy = await openProxy();
    const pools = open({ port: proxy.port });
    await one(pools, rw);
    proxy.cutAfterAnswerTo('commit');
    const work = pools.transaction(rw, session => session.query('insert into items values (3)'));
    await expect(work).rejects.toMatchObject({ code: 'outcome-unknown', retryable: false });
    expect(await countItems(3)).toBe(1);
  });

  test('of a transaction that only read, it is no more than unavailable', async () => {
    const proxy = await openProxy();
    const pools = open({ port: proxy.port });
    await one(pools, rw);
    proxy.cutAfterAnswerTo('commit');
    const work = pools.transaction(rw, session => session.query('select 1'), { readOnly: true });
    await expect(work).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('the answer to a single statement: unknown too', async () => {
    const proxy = await openProxy();
    const pools = open({ port: proxy.port });
    await one(pools, rw);
    proxy.cutAfterAnswerTo('insert');
    await expect(pools.query(rw, 'insert into items values (4)')).rejects.toMatchObject({ code: 'outcome-unknown' });
    await expect.poll(() => countItems(4)).toBe(1);
  });
});

describe('F3: Postgres is frozen', () => {
  test('calls end with the time of their login, nothing piles up, and it recovers by itself', async () => {
    const hasty = await freshLogin(own.server, { prefix: 'ro', settings: { statement_timeout: '100ms' } });
    const pools = open({ times: HASTIEST });
    await Promise.all([works(pools, hasty), works(pools, rw)]);
    await own.freeze();
    try {
      await expect(one(pools, hasty)).rejects.toMatchObject({ detail: 'no answer within 300 ms' });
      await expect(one(pools, rw)).rejects.toMatchObject({ code: 'outcome-unknown' });
      const calls = await Promise.allSettled(Array.from({ length: 20 }, () => one(pools, hasty)));
      expect(calls.every(call => call.status === 'rejected' && call.reason.code === 'unavailable')).toBe(true);
    } finally {
      await own.thaw();
    }
    await works(pools, hasty);
    await works(pools, rw);
  });

  test('a new connection does not wait for it', async () => {
    const pools = open({ times: HASTIEST });
    await own.freeze();
    try {
      await expect(one(pools, ro)).rejects.toMatchObject({ detail: 'no connection within 300 ms' });
    } finally {
      await own.thaw();
    }
    await works(pools, ro);
  });

  test('a caller who goes away does not wait for it', async () => {
    const pools = open({ times: { ...TIMES, queryMs: 60_000 } });
    await one(pools, ro);
    await own.freeze();
    try {
      const call = pools.query(ro, 'select 1', [], { signal: AbortSignal.timeout(50) });
      await expect(call).rejects.toMatchObject({ detail: 'no answer to a cancel' });
    } finally {
      await own.thaw();
    }
  });

  test('in the middle of a transaction: unavailable, and nothing was changed', async () => {
    const pools = open({ times: HASTY });
    await works(pools, rw);
    const work = pools.transaction(rw, async session => {
      await session.query('insert into items values (5)');
      await own.freeze();
      await session.query('select 1');
    });
    await expect(work).rejects.toMatchObject({ code: 'unavailable' });
    await own.thaw();
    await works(pools, rw);
    expect(await countItems(5)).toBe(0);
  });
});

describe('the network', () => {
  test('F3: a socket on which nothing passes any more is given up', async () => {
    const proxy = await openProxy();
    const pools = open({ port: proxy.port, times: HASTY });
    await works(pools, ro);
    proxy.mute();
    await expect(one(pools, ro)).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('F1: resets everything: reads are unavailable, a write is unknown, and it recovers by itself', async () => {
    const proxy = await openProxy();
    const pools = open({ port: proxy.port });
    const calls = Promise.allSettled([
      pools.query(ro, 'select pg_sleep(30)'),
      pools.query(rw, 'insert into items select 6 from pg_sleep(30)'),
    ]);
    await isRunning('insert into items select 6');
    proxy.reset();
    const codes = (await calls).map(result => result.status === 'rejected' && result.reason.code);
    expect(codes).toEqual(['unavailable', 'outcome-unknown']);
    await expect(one(pools, ro)).rejects.toMatchObject({ code: 'unavailable' });
    proxy.heal();
    await works(pools, ro);
    expect(await countItems(6)).toBe(0);
  });

  test('F1: breaks off in the middle of an answer: unavailable, and nothing of it is believed', async () => {
    const proxy = await openProxy();
    const pools = open({ port: proxy.port });
    await one(pools, ro);
    proxy.limit(100_000);
    const call = pools.query(ro, 'select g from generate_series(1, 100000) g');
    await expect(call).rejects.toMatchObject({ code: 'unavailable' });
    proxy.heal();
    await works(pools, ro);
  });

  test('a server that is not Postgres is unavailable', async () => {
    const web = createServer().listen(0, '127.0.0.1');
    await once(web, 'listening');
    const address = web.address();
    const pools = open({ port: typeof address === 'object' && address ? address.port : 0 });
    await expect(one(pools, ro)).rejects.toMatchObject({ code: 'unavailable' });
    web.close();
  });
});

describe('Postgres refuses', () => {
  test('F5: a connection too many: unavailable, and those that are open go on', async () => {
    const few = await freshLogin(own.server);
    await asOwner(own.server, 'postgres', `alter role ${few.role} connection limit 1`);
    const pools = open();
    const pid = (await pools.query(few, PID)).rows;
    const answers = await Promise.allSettled([pools.query(few, `${PID}, pg_sleep(0.1)`), pools.query(few, PID)]);
    expect(answers).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'unavailable', detail: expect.stringContaining('53300') } },
    ]);
    expect((await pools.query(few, PID)).rows).toEqual(pid);
  });

  test('a password: unavailable, and nothing tells the password', async () => {
    await asOwner(own.server, 'postgres', `alter role ${ro.role} password 'another'`);
    const call = one(open(), ro);
    await expect(call).rejects.toMatchObject({
      code: 'unavailable',
      message: 'The database cannot be reached now.',
      detail: `28P01 password authentication failed for user "${ro.role}"`,
    });
    await asOwner(own.server, 'postgres', `alter role ${ro.role} password '${ro.role}'`);
  });

  test('a database that is not there: unavailable', async () => {
    await expect(one(open(), { ...rw, database: 'nowhere' })).rejects.toMatchObject({ code: 'unavailable' });
  });
});

test('an owner session that is lost rejects what comes later, and does not come back', async () => {
  const server = await sharedPostgres();
  const owner = await server.connectAsOwner('postgres');
  await owner.query('begin');
  const { rows } = await owner.query(PID);
  await asOwner(server, 'postgres', `select pg_terminate_backend(${rows[0]?.[0]})`);
  await expect(owner.query('select 1')).rejects.toMatchObject({ code: 'unavailable' });
  await expect(owner.script('select 1; select 2')).rejects.toMatchObject({ code: 'unavailable' });
  await owner.close();
});
