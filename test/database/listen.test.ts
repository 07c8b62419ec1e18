import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { openConnection } from '../../src/database/connect.ts';
import { startListening } from '../../src/database/listen.ts';
import type { Login } from '../../src/database/place.ts';
import type { Pools } from '../../src/database/pools.ts';
import type { DatabaseServer } from '../../src/database/server.ts';
import type { Observation } from '../../src/observe.ts';
import { asOwner, freshLogin, freshName, sharedPostgres, testPools } from '../support/postgres.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

let server: DatabaseServer;
let pools: Pools;
let login: Login;
const facts: Observation[] = [];

beforeAll(async () => {
  server = await sharedPostgres();
  login = await freshLogin(server);
  pools = testPools(server, { observe: fact => facts.push(fact) });
});

afterAll(() => pools.close());

const notify = (channel: string, payload: string) =>
  pools.query({ ...login }, 'select pg_notify($1, $2)', [channel, payload]);

const cutAll = () =>
  asOwner(
    server,
    'postgres',
    `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${login.role}' and query like 'listen%'`,
  );

/** Listens with a spy for each callback. */
async function tune(channel: string) {
  const onNotify = vi.fn<(payload: string) => void>();
  const onGap = vi.fn<() => void>();
  const stop = await pools.listen(login, channel, onNotify, onGap);
  return { onNotify, onGap, stop };
}

test('hears its channel and no other', async () => {
  const channel = `Odd "name" ${freshName()}`;
  const { onNotify, onGap, stop } = await tune(channel);
  await notify('another', 'no');
  await notify(channel, 'yes');
  await expect.poll(() => onNotify.mock.calls).toEqual([['yes']]);
  expect(onGap).not.toHaveBeenCalled();
  await stop();
});

test('comes back after a loss, says that it missed something, and hears again', async () => {
  const channel = freshName();
  const { onNotify, onGap, stop } = await tune(channel);
  await cutAll();
  await expect.poll(() => onGap.mock.calls).toHaveLength(1);
  await notify(channel, 'after');
  await expect.poll(() => onNotify.mock.calls).toEqual([['after']]);
  await stop();
});

test('a callback that throws is reported, and the next one is heard', async () => {
  const channel = freshName();
  const { onNotify, stop } = await tune(channel);
  onNotify.mockImplementationOnce(() => {
    throw new Error('no');
  });
  await notify(channel, 'first');
  await notify(channel, 'second');
  await expect.poll(() => onNotify.mock.calls).toEqual([['first'], ['second']]);
  expect(facts).toContainEqual({
    kind: 'crash-averted',
    where: `notifications of ${channel}`,
    error: expect.any(Error),
  });
  await stop();
});

test('is silent when it was stopped, and leaves no connection', async () => {
  const channel = freshName();
  const { onNotify, onGap, stop } = await tune(channel);
  await stop();
  await stop();
  await notify(channel, 'late');
  const left = `select 1 from pg_stat_activity where query like 'listen%${channel}%'`;
  await expect.poll(async () => (await pools.query(login, left)).rows).toEqual([]);
  expect([onNotify.mock.calls, onGap.mock.calls]).toEqual([[], []]);
});

test('says at once when it cannot begin', async () => {
  const { role } = login;
  const nowhere = pools.listen({ role, database: 'nowhere' }, 'channel', vi.fn(), vi.fn());
  await expect(nowhere).rejects.toMatchObject({ code: 'unavailable' });
});

test('finds out by itself that nothing passes any more', async () => {
  const proxy = await startTcpProxy(server.address.port);
  onTestFinished(() => proxy.close());
  const limits = { connectMs: 5000, graceMs: 100, queryMs: 1000, maxAnswerBytes: 1_000_000 };
  const { promise: missed, resolve: onGap } = Promise.withResolvers<void>();
  let port = proxy.port;
  const stop = await startListening({
    open: onNotify =>
      openConnection({
        address: { ...server.address, port },
        user: login.role,
        password: login.role,
        database: login.database,
        limits,
        onNotify,
      }),
    channel: freshName(),
    onNotify() {},
    onGap,
    onCrash() {},
    heartbeatMs: 20,
  });
  port = server.address.port;
  proxy.mute();
  await missed;
  await stop();
});
