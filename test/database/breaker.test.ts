import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Breaker, createBreaker } from '../../src/database/breaker.ts';
import { ConnectionLost } from '../../src/database/lifeline.ts';
import type { Login } from '../../src/database/place.ts';
import type { Pools } from '../../src/database/pools.ts';
import type { Observation } from '../../src/observe.ts';
import { sendSignal } from '../support/data-folder.ts';
import { asOwner, freshLogin, type OwnPostgres, startOwnPostgres, testPools } from '../support/postgres.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const GIVEN_UP = {
  code: 'unavailable',
  retryAfterSeconds: 1,
  detail: 'the server was given up after failures in a row',
};

describe('F3: a breaker', () => {
  let breaker: Breaker;
  let at: number;
  let seen: Observation[];

  beforeEach(() => {
    at = 1_000_000;
    seen = [];
    breaker = createBreaker(
      observation => seen.push(observation),
      () => at,
    );
  });

  const failConnects = (times: number) => {
    for (let i = 0; i < times; i += 1) breaker.connectFailed(new ConnectionLost('ECONNREFUSED'));
  };
  const letsThrough = () => {
    try {
      breaker.requireServer();
      return true;
    } catch {
      return false;
    }
  };

  test('opens after five failures in a row, and says when to come again', () => {
    failConnects(4);
    expect([breaker.isOpen, letsThrough()]).toEqual([false, true]);
    failConnects(1);
    expect(() => breaker.requireServer()).toThrow(expect.objectContaining(GIVEN_UP));
    expect(seen).toEqual([{ kind: 'database-given-up', failures: 5 }]);
  });

  test('starts to count again after any answer', () => {
    for (let i = 0; i < 10; i += 1) {
      failConnects(4);
      breaker.answered();
    }
    expect(breaker.isOpen).toBe(false);
  });

  test('lets one through a second, and stays open while that one fails', () => {
    failConnects(5);
    for (let second = 1; second <= 60; second += 1) {
      at += 999;
      expect(letsThrough()).toBe(false);
      at += 1;
      expect([letsThrough(), letsThrough(), letsThrough()]).toEqual([true, false, false]);
      failConnects(1);
    }
    expect(seen).toHaveLength(1);
  });

  test('closes at the first success, for everybody', () => {
    failConnects(7);
    at += 1500;
    expect(letsThrough()).toBe(true);
    breaker.answered();
    expect([letsThrough(), letsThrough(), breaker.isOpen]).toEqual([true, true, false]);
    expect(seen.at(-1)).toEqual({ kind: 'database-back', milliseconds: 1500 });
    failConnects(4);
    expect(breaker.isOpen).toBe(false);
  });

  test('knows which idle connections are from before', () => {
    expect(breaker.openedAt).toBeLessThan(0);
    failConnects(5);
    expect(breaker.openedAt).toBe(at);
  });
});

describe('F3: the pools of a server', () => {
  const TIMES = { connectMs: 5000, graceMs: 200, queryMs: 400 };
  let own: OwnPostgres;
  let breaker: Breaker;
  let seen: Observation[];

  const timesOf = (kind: Observation['kind']) => seen.filter(observation => observation.kind === kind).length;
  const one = async (pools: Pools, login: Login) => (await pools.query(login, 'select 1::int4')).rows[0]?.[0];
  const eventually = (look: () => unknown) => expect.poll(look, { interval: 20 });
  const codesOf = async (calls: readonly Promise<unknown>[]) =>
    (await Promise.allSettled(calls)).map(result => (result.status === 'rejected' ? result.reason.code : 'ok'));
  const backendOf = async (pools: Pools, login: Login) =>
    Number((await pools.query(login, 'select pg_backend_pid()')).rows[0]?.[0]);

  beforeEach(async () => {
    own = await startOwnPostgres();
    onTestFinished(() => own.remove());
    seen = [];
    breaker = createBreaker(
      observation => seen.push(observation),
      () => performance.now(),
    );
  });

  function open({ port = own.server.address.port, times = TIMES } = {}): Pools {
    const server = { ...own.server, address: { ...own.server.address, port } };
    const pools = testPools(server, { times, observe: observation => seen.push(observation), breaker });
    onTestFinished(() => pools.close());
    return pools;
  }

  test('killed: five find out, the others are told at once, and soon after its return all is well', async () => {
    const login = await freshLogin(own.server);
    const [pools, others] = [open(), open()];
    await one(pools, login);
    await own.kill();
    for (let i = 0; i < 5; i += 1) await expect(one(pools, login)).rejects.toMatchObject({ code: 'unavailable' });
    const attempts = timesOf('database-lost');
    expect(new Set(await codesOf(Array.from({ length: 200 }, () => one(others, login))))).toEqual(
      new Set(['unavailable']),
    );
    expect([breaker.isOpen, timesOf('database-given-up')]).toEqual([true, 1]);
    // A second may have passed.
    expect(timesOf('database-lost') - attempts).toBeLessThanOrEqual(1);
    await own.start();
    await eventually(() => one(others, login).catch(() => undefined)).toBe(1);
    expect([breaker.isOpen, timesOf('database-back')]).toEqual([false, 1]);
    expect(await one(pools, login)).toBe(1);
  });

  test('frozen: given up, and nobody meets a connection that lay there before', async () => {
    const logins = await Promise.all(Array.from({ length: 6 }, () => freshLogin(own.server)));
    const [idle = { role: '', database: '' }, ...asking] = logins;
    const pools = open();
    await Promise.all(logins.map(login => one(pools, login)));
    const before = await backendOf(pools, idle);
    await own.freeze();
    expect(new Set(await codesOf(asking.map(login => one(pools, login))))).toEqual(new Set(['outcome-unknown']));
    await expect(one(pools, idle)).rejects.toMatchObject(GIVEN_UP);
    await own.thaw();
    await eventually(() => one(pools, idle).catch(() => undefined)).toBe(1);
    expect(await backendOf(pools, idle)).not.toBe(before);
    for (const login of asking) expect(await one(pools, login)).toBe(1);
  });

  test('a network that swallows everything: given up, one tries in a second, and it is found again', async () => {
    const login = await freshLogin(own.server);
    const proxy = await startTcpProxy(own.server.address.port);
    onTestFinished(() => proxy.close());
    const pools = open({ port: proxy.port, times: { ...TIMES, connectMs: 300 } });
    await eventually(() => one(pools, login).catch(() => undefined)).toBe(1);
    proxy.mute();
    await eventually(async () => {
      await one(pools, login).catch(() => {});
      return breaker.isOpen;
    }).toBe(true);
    await expect(one(pools, login)).rejects.toMatchObject(GIVEN_UP);
    proxy.heal();
    await eventually(() => one(pools, login).catch(() => undefined)).toBe(1);
  });

  describe('one tenant never shuts out another', () => {
    let theirs: Login;
    let pools: Pools;

    beforeEach(async () => {
      theirs = await freshLogin(own.server, { prefix: 'ro', settings: { statement_timeout: '100ms' } });
      pools = open();
    });

    const many = (work: () => Promise<unknown>) => Array.from({ length: 12 }, work);

    test.each<[string, () => Promise<unknown>, string]>([
      ['errors of SQL', () => pools.query(theirs, 'select 1 / 0'), '22012'],
      ['statements that take too long', () => pools.query(theirs, 'select pg_sleep(60)'), '57014'],
      ['queries of their own that take too long', () => bomb('select pg_sleep(60)'), '57014'],
      ['a database that is gone', () => one(pools, { ...theirs, database: 'nowhere' }), 'unavailable'],
      ['a login that is gone', () => one(pools, { ...theirs, role: 'nobody' }), 'unavailable'],
    ])('by %s', async (_, work, code) => {
      const codes = new Set<string>();
      for (let i = 0; i < 3; i += 1) for (const found of await codesOf(many(work))) codes.add(found);
      expect(codes).toContain(code);
      expect([breaker.isOpen, timesOf('database-given-up')]).toEqual([false, 0]);
    });

    test('by connections too many', async () => {
      await asOwner(own.server, 'postgres', `alter role ${theirs.role} connection limit 0`);
      expect(new Set(await codesOf(many(() => one(pools, theirs))))).toEqual(new Set(['unavailable']));
      expect(breaker.isOpen).toBe(false);
    });

    test('by statements that hang for ever on the server', async () => {
      await Promise.all(Array.from({ length: 4 }, () => pools.query(theirs, 'select pg_sleep(0)')));
      await stopBackendsOf(theirs);
      expect(await codesOf(Array.from({ length: 4 }, () => one(pools, theirs)))).toEqual(Array(4).fill('unavailable'));
      expect([breaker.isOpen, await one(pools, theirs)]).toEqual([false, 1]);
    });

    test('by queries of their own that hang for ever on the server', async () => {
      const patient = await freshLogin(own.server, { prefix: 'ro', settings: { statement_timeout: '6s' } });
      const bombs = Array.from({ length: 4 }, () => bomb('select pg_sleep(60)', patient));
      await eventually(async () => (await backendsOf(patient)).length).toBe(4);
      const stopped = await stopBackendsOf(patient);
      expect(await codesOf(bombs)).toEqual(Array(4).fill('limit/time'));
      // They still count, so one more of this login has no place; whoever else there is has.
      expect(await codesOf([one(pools, patient)])).toEqual(['unavailable']);
      expect([breaker.isOpen, await one(pools, theirs)]).toEqual([false, 1]);
      for (const pid of stopped) sendSignal(pid, 'SIGCONT');
      await eventually(() => one(pools, patient).catch(() => undefined)).toBe(1);
    });

    const bomb = (text: string, login = theirs) => pools.readUntrusted(login, text, { maxRows: 10 });

    async function stopBackendsOf(login: Login): Promise<number[]> {
      const pids = await backendsOf(login);
      expect(pids).toHaveLength(4);
      for (const pid of pids) sendSignal(pid, 'SIGSTOP');
      return pids;
    }

    async function backendsOf({ role }: Login): Promise<number[]> {
      const owner = await own.server.connectAsOwner('postgres');
      const slow = `select pid from pg_stat_activity where usename = $1 and query like '%pg_sleep%'`;
      const { rows } = await owner.query(slow, [role]);
      await owner.close();
      return rows.map(([pid]) => Number(pid));
    }
  });
});
