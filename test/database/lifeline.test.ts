import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openConnection } from '../../src/database/connect.ts';
import { ConnectionLost } from '../../src/database/lifeline.ts';
import { freshLogin, sharedPostgres } from '../support/postgres.ts';

async function connect(limits: { queryMs: number; graceMs: number }) {
  const server = await sharedPostgres();
  const { role, database } = await freshLogin(server);
  const connection = await openConnection({
    address: server.address,
    user: role,
    password: role,
    database,
    limits: { connectMs: 20_000, maxAnswerBytes: 1_000_000, ...limits },
  });
  onTestFinished(() => connection.close());
  return connection;
}

/** As a machine does that slept, or a computation that does not let go. */
function stall(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

test('an answer that came while this process stood still is no lost one', async () => {
  const connection = await connect({ queryMs: 250, graceMs: 250 });
  const answer = connection.query('select 7');
  // It is on its way.
  await nextTurn();
  await nextTurn();
  stall(600);
  expect((await answer).rows).toEqual([[7]]);
  expect(connection.broken).toBe(false);
});

test('without one the connection is given up all the same', async () => {
  const connection = await connect({ queryMs: 250, graceMs: 250 });
  const answer = connection.query('select pg_sleep(20)');
  await nextTurn();
  stall(600);
  await expect(answer).rejects.toThrow(ConnectionLost);
  expect(connection.broken).toBe(true);
});
