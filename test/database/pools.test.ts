import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Login } from '../../src/database/place.ts';
import type { Pools } from '../../src/database/pools.ts';
import type { DatabaseServer } from '../../src/database/server.ts';
import type { Observation } from '../../src/observe.ts';
import { asOwner, freshLogin, sharedPostgres, testPools } from '../support/postgres.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

let server: DatabaseServer;
let rw: Login;
let ro: Login;

beforeAll(async () => {
  server = await sharedPostgres();
  [rw, ro] = await Promise.all([freshLogin(server), freshLogin(server, { prefix: 'ro' })]);
  await asOwner(
    server,
    rw.database,
    `create table public.items (id int primary key, name text unique deferrable);
    insert into items values (1, 'one'); alter table items owner to ${rw.role}`,
  );
});

afterAll(() => server.close());

/** Pools of this test alone, closed at its end. */
function open(options: Parameters<typeof testPools>[1] = {}): Pools {
  const pools = testPools(server, options);
  onTestFinished(() => pools.close());
  return pools;
}

const PID = 'select pg_backend_pid()';

async function only(pools: Pools, login: Login, text: string, params?: readonly unknown[]): Promise<unknown> {
  const { rows } = await pools.query(login, text, params);
  return rows[0]?.[0];
}

/** Connections as the server counts them, from a login that is not counted. */
async function connectionsOf(...logins: Login[]): Promise<number> {
  const owner = await server.connectAsOwner('postgres');
  const roles = logins.map(({ role }) => `'${role}'`);
  const { rows } = await owner.query(`select count(*)::int4 from pg_stat_activity where usename in (${roles})`);
  await owner.close();
  return Number(rows[0]?.[0]);
}

/** What a backend waits for. Between two messages of one statement it is idle still, and ignores a cancel. */
async function waitOf(pid: unknown): Promise<unknown> {
  const owner = await server.connectAsOwner('postgres');
  const { rows } = await owner.query('select wait_event from pg_stat_activity where pid = $1', [pid]);
  await owner.close();
  return rows[0]?.[0];
}

describe('values', () => {
  test('truth and small numbers are values, everything else is the text of Postgres', async () => {
    const { columns, rows, count } = await open().query(
      rw,
      `select true, 1::int2, 2::int4, 1.5::float8, 9007199254740993::int8, 1.10::numeric, '{"a": 1}'::jsonb, null,
         '2026-02-03'::date, '2026-02-03 04:05:06+02'::timestamptz, '\\x00ff'::bytea, array[1, 2], 5::oid as last`,
    );
    expect(columns.at(-1)).toBe('last');
    expect(count).toBe(1);
    expect(rows).toEqual([
      [
        ...[true, 1, 2, 1.5, '9007199254740993', '1.10', '{"a": 1}', null],
        ...['2026-02-03', '2026-02-03 02:05:06+00', '\\x00ff', '{1,2}', '5'],
      ],
    ]);
  });

  test.each([
    ['text for jsonb', '$1::jsonb', '{"a": [1]}', '{"a": [1]}'],
    ['a text for jsonb that is one', '$1::jsonb', '"a"', '"a"'],
    ['true', '$1::bool', true, true],
    ['the text true', '$1::bool', 'true', true],
    ['false', '$1::bool', false, false],
    ['a number', '$1::int4 + 1', 41, 42],
    ['a number for text', '$1::text', 41, '41'],
    ['a number for bigint', '$1::int8', 12n, '12'],
    ['a date', '$1::date', '2026-02-03', '2026-02-03'],
    ['a moment', '$1::timestamptz', '2026-02-03T04:05:06Z', '2026-02-03 04:05:06+00'],
    ['bytes', '$1::bytea', '\\x00ff', '\\x00ff'],
    ['null', '$1::text', null, null],
    ['a text with everything', '$1::text', `'"\\$1;--\n😀`, `'"\\$1;--\n😀`],
  ])('a parameter arrives as it is: %s', async (_, expression, given, expected) => {
    const pools = open();
    for (const prepare of [true, false]) {
      const { rows } = await pools.query(rw, `select ${expression}`, [given], { prepare });
      expect(rows).toEqual([[expected]]);
    }
  });

  test.each([[{}], [[1]], [undefined], [new Date(0)]])('a parameter of another kind is refused: %j', async given => {
    await expect(open().query(rw, 'select $1::text', [given])).rejects.toThrow(TypeError);
  });

  test('sessions count time in UTC and hide who they are, whatever the login was told', async () => {
    const told = await freshLogin(server, { settings: { timezone: 'Asia/Tokyo', datestyle: 'German' } });
    const { rows } = await open().query(
      told,
      `select current_setting('timezone'), '2026-02-03'::date, current_setting('application_name')`,
    );
    expect(rows).toEqual([['UTC', '2026-02-03', 'frame']]);
  });

  test('rows changed are counted', async () => {
    const { count } = await open().query(rw, 'update items set name = name where id = $1', [1]);
    expect(count).toBe(1);
  });
});

describe('one statement', () => {
  test('a second one is refused, with and without parameters', async () => {
    const pools = open();
    await expect(pools.query(rw, 'select 1; drop table items')).rejects.toMatchObject({ code: '42601' });
    await expect(pools.query(rw, 'select $1::int; drop table items', [1])).rejects.toMatchObject({ code: '42601' });
    expect(await only(pools, rw, 'select count(*)::int4 from items')).toBe(1);
  });

  test('an error of Postgres comes raw, and the connection is as good as before', async () => {
    const pools = open({ limits: { rw: 1 } });
    const pid = await only(pools, rw, PID);
    const thrown = await pools.query(rw, `insert into items values (1, 'again')`).catch(error => error);
    expect(thrown).toBeInstanceOf(postgres.PostgresError);
    expect(thrown).toMatchObject({ code: '23505', constraint_name: 'items_pkey' });
    expect(await only(pools, rw, PID)).toBe(pid);
  });

  test('a plan is kept for a text that comes again, and only if wanted', async () => {
    const pools = open({ limits: { rw: 1 } });
    const kept = `select count(*)::int4 from pg_prepared_statements where statement like '%items%'`;
    await pools.query(rw, 'select name from items where id = $1', [1], { prepare: false });
    expect(await only(pools, rw, kept)).toBe(1);
    await pools.query(rw, 'select name from items where id = $1', [1]);
    expect(await only(pools, rw, kept)).toBe(2);
  });

  test('a known text is one round trip', async () => {
    const proxy = await startTcpProxy(server.address.port);
    const pools = testPools({ ...server, address: { ...server.address, port: proxy.port } });
    const ask = () => pools.query(rw, 'select name from items where id = $1', [1]);
    await ask();
    const before = proxy.turns;
    await ask();
    expect(proxy.turns - before).toBe(1);
    await pools.close();
    await proxy.close();
  });

  test('the statement_timeout of the login ends it on the server, with its own error', async () => {
    const hasty = await freshLogin(server, { settings: { statement_timeout: '50ms' } });
    await expect(open().query(hasty, 'select pg_sleep(10)')).rejects.toMatchObject({ code: '57014' });
  });
});

describe('the size of a pool', () => {
  test('a fresh pool under load answers everybody', async () => {
    const pools = open({ limits: { acquireTimeoutMs: 10_000 } });
    const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => only(pools, rw, 'select $1::int4', [n])));
    expect(answers).toEqual(Array.from({ length: 100 }, (_, n) => n));
  });

  test('a fresh pool can begin with a transaction', async () => {
    const pools = open();
    expect(await pools.transaction(rw, session => session.query('select 1::int4'))).toMatchObject({ rows: [[1]] });
  });

  test('no more than its connections are ever inside', async () => {
    // Of a login that others use too, a backend may still be on its way out.
    const login = await freshLogin(server);
    const pools = open({ limits: { rw: 2, acquireTimeoutMs: 10_000 } });
    const busy = `select count(*)::int4 from pg_stat_activity, pg_sleep(0.005) where usename = current_user`;
    const seen = await Promise.all(Array.from({ length: 40 }, () => only(pools, login, busy)));
    expect(Math.max(...seen.map(Number))).toBe(2);
  });

  test('each kind of login has its own size', async () => {
    const pools = open({ limits: { rw: 3, ro: 1, acquireTimeoutMs: 10_000 } });
    const pids = (login: Login) =>
      Promise.all(Array.from({ length: 6 }, () => only(pools, login, `${PID}, pg_sleep(0.01)`)));
    expect(new Set(await pids(rw)).size).toBe(3);
    expect(new Set(await pids(ro)).size).toBe(1);
  });

  test('F5: who finds it full for too long is turned away, and another login is not', async () => {
    const seen: Observation[] = [];
    const pools = open({ limits: { rw: 1, acquireTimeoutMs: 20 }, observe: fact => seen.push(fact) });
    const leaving = new AbortController();
    const slow = pools.query(rw, 'select pg_sleep(10)', [], { signal: leaving.signal });
    await expect(pools.query(rw, 'select 1')).rejects.toMatchObject({ code: 'unavailable', retryAfterSeconds: 1 });
    expect(await only(pools, ro, 'select 1::int4')).toBe(1);
    expect(seen).toEqual([{ kind: 'database-busy', role: rw.role }]);
    leaving.abort();
    // It may not have begun.
    await expect(slow).rejects.toMatchObject({ code: expect.stringMatching(/^(57014|limit\/time)$/) });
  });

  test('over all logins there are at most `total`: the one unused for longest makes way', async () => {
    const logins = await Promise.all([1, 2, 3].map(() => freshLogin(server)));
    const [first, second, third] = logins as [Login, Login, Login];
    const pools = open({ limits: { total: 2 } });
    const pid = await only(pools, second, PID);
    await only(pools, first, PID);
    expect(await only(pools, second, PID)).toBe(pid);
    await only(pools, third, PID);
    await expect.poll(() => connectionsOf(first)).toBe(0);
    expect(await only(pools, second, PID)).toBe(pid);
  });

  test('F5: when all of `total` are in use, another login waits its turn', async () => {
    const pools = open({ limits: { total: 1, acquireTimeoutMs: 10_000 } });
    const answers = await Promise.all(
      [rw, ro, rw, ro].map(login => only(pools, login, `select 1::int4, pg_sleep(0.01)`)),
    );
    expect(answers).toEqual([1, 1, 1, 1]);
  });

  test('an unused connection is closed after a while', async () => {
    const login = await freshLogin(server);
    const pools = open({ limits: { idleSeconds: 0.01 } });
    // Asked from inside: once it is unused, it may be gone before anybody looks.
    const ours = 'select count(*)::int4 from pg_stat_activity where usename = current_user';
    expect(await only(pools, login, ours)).toBe(1);
    await expect.poll(() => connectionsOf(login)).toBe(0);
  });

  test('no connection is used beyond its lifetime', async () => {
    const pools = open({ limits: { rw: 1, maxLifetimeMinutes: 0 } });
    expect(await only(pools, rw, PID)).not.toBe(await only(pools, rw, PID));
  });

  test('closing lets what runs end, and refuses the rest', async () => {
    const login = await freshLogin(server);
    const pools = testPools(server);
    const running = only(pools, login, 'select 1::int4, pg_sleep(0.1)');
    await expect.poll(() => connectionsOf(login)).toBe(1);
    await pools.close();
    expect(await running).toBe(1);
    await expect.poll(() => connectionsOf(login)).toBe(0);
    await expect(pools.query(login, 'select 1')).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('F6: an answer that is too large', () => {
  const enough = { maxAnswerBytes: 1_000_000 };

  test.each([
    ['one value of 300 MB', `select repeat('x', 300000000)`],
    ['many rows', `select repeat('x', 100000) from generate_series(1, 3000)`],
  ])('is cut off before it is in memory: %s', async (_, text) => {
    const pools = open({ limits: { ...enough, ro: 1 } });
    const pid = await only(pools, ro, PID);
    const before = process.memoryUsage().rss;
    await expect(pools.query(ro, text)).rejects.toMatchObject({ code: 'limit/bytes' });
    expect(process.memoryUsage().rss - before).toBeLessThan(60_000_000);
    expect(await only(pools, ro, PID)).not.toBe(pid);
  });

  test('in a transaction changes nothing', async () => {
    const pools = open({ limits: enough });
    const work = pools.transaction(rw, async session => {
      await session.query(`insert into items values (2, 'two')`);
      await session.query(`select repeat('x', 2000000)`);
    });
    await expect(work).rejects.toMatchObject({ code: 'limit/bytes' });
    expect(await only(pools, rw, 'select count(*)::int4 from items where id = 2')).toBe(0);
  });

  test('is measured for each answer, not for the connection', async () => {
    const pools = open({ limits: { ...enough, ro: 1 } });
    for (let n = 0; n < 5; n += 1) {
      expect(await only(pools, ro, `select length(repeat('x', 900000)), repeat('x', 900000)`)).toBe(900_000);
    }
  });
});

describe('F23: a caller who goes away', () => {
  test('stops the statement on the server, and its connection is not used again', async () => {
    const pools = open({ limits: { rw: 1 } });
    const pid = await only(pools, rw, PID);
    const leaving = new AbortController();
    const slow = pools.query(rw, 'select pg_sleep(30)', [], { signal: leaving.signal });
    await expect.poll(() => waitOf(pid)).toBe('PgSleep');
    leaving.abort();
    await expect(slow).rejects.toMatchObject({ code: '57014' });
    expect(await only(pools, rw, PID)).not.toBe(pid);
  });

  test('while waiting for a connection, never reaches the database', async () => {
    const pools = open({ limits: { rw: 1, acquireTimeoutMs: 10_000 } });
    const slow = pools.query(rw, 'select pg_sleep(0.2)');
    const leaving = new AbortController();
    const waiting = pools.query(rw, `insert into items values (3, 'three')`, [], { signal: leaving.signal });
    leaving.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'limit/time' });
    await slow;
    expect(await only(pools, rw, 'select count(*)::int4 from items where id = 3')).toBe(0);
  });

  test('in the middle of a transaction leaves nothing behind', async () => {
    const pools = open();
    const leaving = new AbortController();
    const work = pools.transaction(
      rw,
      async session => {
        await session.query(`insert into items values (4, 'four')`);
        leaving.abort();
        await session.query('select 1');
      },
      { signal: leaving.signal },
    );
    await expect(work).rejects.toMatchObject({ code: 'limit/time' });
    expect(await only(pools, rw, 'select count(*)::int4 from items where id = 4')).toBe(0);
  });

  test('as the transaction begins, never lets a statement run outside it', async () => {
    const pools = open({ limits: { rw: 1 } });
    for (let n = 0; n < 20; n += 1) {
      const leaving = new AbortController();
      const work = pools.transaction(
        rw,
        async session => {
          const first = session.query(`insert into items values (5, 'five')`);
          leaving.abort();
          await first;
          throw new Error('no');
        },
        { signal: leaving.signal },
      );
      await expect(work).rejects.toThrow();
    }
    expect(await only(pools, rw, 'select count(*)::int4 from items where id = 5')).toBe(0);
  });
});

describe('a transaction', () => {
  test('is kept when work returns, and gives its value', async () => {
    const pools = open();
    const value = await pools.transaction(rw, async session => {
      await session.query(`insert into items values ($1, $2)`, [10, 'ten']);
      return 'done';
    });
    expect(value).toBe('done');
    expect(await only(pools, rw, 'select name from items where id = 10')).toBe('ten');
  });

  test('is undone when work throws, and the connection is as good as before', async () => {
    const pools = open({ limits: { rw: 1 } });
    const pid = await only(pools, rw, PID);
    const work = pools.transaction(rw, async session => {
      await session.query(`insert into items values (11, 'eleven')`);
      throw new Error('I changed my mind');
    });
    await expect(work).rejects.toThrow('I changed my mind');
    expect(await only(pools, rw, 'select count(*)::int4 from items where id = 11')).toBe(0);
    expect(await only(pools, rw, PID)).toBe(pid);
  });

  test('in which an error was overlooked is not reported as kept', async () => {
    const pools = open();
    const work = pools.transaction(rw, async session => {
      await session.query(`insert into items values (12, 'twelve')`);
      await session.query(`insert into items values (1, 'again')`).catch(() => {});
    });
    await expect(work).rejects.toMatchObject({ code: '23505' });
    expect(await only(pools, rw, 'select count(*)::int4 from items where id = 12')).toBe(0);
  });

  test('that COMMIT itself refuses is an error of Postgres', async () => {
    const pools = open();
    const work = pools.transaction(rw, async session => {
      await session.query('set constraints all deferred');
      await session.query(`insert into items values (13, 'one')`);
    });
    await expect(work).rejects.toMatchObject({ code: '23505' });
    expect(await only(pools, rw, 'select count(*)::int4 from items where id = 13')).toBe(0);
  });

  test('for reading refuses to write', async () => {
    const write = open().transaction(rw, session => session.query(`insert into items values (14, '')`), {
      readOnly: true,
    });
    await expect(write).rejects.toMatchObject({ code: '25006' });
  });

  test('begins together with its first statement', async () => {
    const proxy = await startTcpProxy(server.address.port);
    const pools = testPools({ ...server, address: { ...server.address, port: proxy.port } });
    const read = () =>
      pools.transaction(rw, session => session.query('select count(*) from items'), { readOnly: true });
    await read();
    const before = proxy.turns;
    await read();
    expect(proxy.turns - before).toBe(2);
    await pools.close();
    await proxy.close();
  });

  test('may send its statements together', async () => {
    const answers = await open().transaction(rw, session =>
      Promise.all(Array.from({ length: 50 }, (_, n) => session.query('select $1::int4', [n]))),
    );
    expect(answers.map(({ rows }) => rows[0]?.[0])).toEqual(Array.from({ length: 50 }, (_, n) => n));
  });

  test('cannot be used when it is over', async () => {
    const pools = open();
    const leaked = await pools.transaction(rw, async session => session);
    await expect(leaked.query('select 1')).rejects.toThrow('over');
  });

  test('that meets a column of another type says: try again', async () => {
    const pools = open({ limits: { rw: 1 } });
    await pools.query(rw, 'create table changing (a int4); ');
    const read = () => pools.transaction(rw, session => session.query('select a from changing'));
    await read();
    await pools.query(rw, 'alter table changing alter a type text');
    await expect(read()).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    expect((await read()).rows).toEqual([]);
  });

  test('of a slow thinker is ended by the server', async () => {
    const login = await freshLogin(server, { settings: { idle_in_transaction_session_timeout: '50ms' } });
    const pools = open();
    const work = pools.transaction(login, async session => {
      await session.query('select 1');
      await pause(300);
      await session.query('select 1');
    });
    await expect(work).rejects.toMatchObject({ code: 'unavailable' });
    expect(await only(pools, login, 'select 1::int4')).toBe(1);
  });
});
