import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Connection, openConnection } from '../../src/database/connect.ts';
import { asOwner, freshLogin, sharedPostgres } from '../support/postgres.ts';

const LIMITS = { connectMs: 5000, graceMs: 1000, queryMs: 0, maxAnswerBytes: 1_000_000 };
const COPY = 'copy numbers from stdin';

let connection: Connection;
let cut: () => Promise<void>;

beforeEach(async () => {
  const server = await sharedPostgres();
  const { role, database } = await freshLogin(server);
  connection = await openConnection({ address: server.address, user: role, password: role, database, limits: LIMITS });
  onTestFinished(() => connection.close());
  await connection.script('create table numbers (n int primary key)');
  cut = () =>
    asOwner(server, database, `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role}'`);
});

async function* lines(...values: unknown[]): AsyncGenerator<string> {
  for (const value of values) yield `${value}\n`;
}

const count = async () => (await connection.query('select count(*)::int4 from numbers')).rows[0]?.[0];

describe('COPY', () => {
  test('loads everything', async () => {
    await connection.copyIn(COPY, lines(...Array.from({ length: 20_000 }, (_, n) => n)));
    expect(await count()).toBe(20_000);
  });

  test('of nothing loads nothing', async () => {
    await connection.copyIn(COPY, lines());
    expect(await count()).toBe(0);
  });

  test.each([
    ['in the first row', ['x', 1, 2], '22P02'],
    ['in the last row, after all was sent', [1, 2, 2], '23505'],
    ['far before the end', ['x', ...Array.from({ length: 100_000 }, (_, n) => n)], '22P02'],
  ])('a mistake %s is an error of Postgres, and nothing is loaded', async (_, values, code) => {
    await expect(connection.copyIn(COPY, lines(...values))).rejects.toMatchObject({ code });
    expect(await count()).toBe(0);
  });

  test('a source that fails stops it, and nothing is loaded', async () => {
    async function* failing() {
      yield '1\n';
      throw new Error('no more');
    }
    await expect(connection.copyIn(COPY, failing())).rejects.toThrow('no more');
    expect(await count()).toBe(0);
  });

  test('a table that is not there is an error of Postgres', async () => {
    await expect(connection.copyIn('copy nothing from stdin', lines(1))).rejects.toMatchObject({ code: '42P01' });
  });

  test('on a connection that is cut in the middle ends', async () => {
    async function* endless() {
      yield '1\n';
      await cut();
      for (let n = 2; ; n += 1) yield `${n}\n`;
    }
    await expect(connection.copyIn(COPY, endless())).rejects.toMatchObject({ code: 'unavailable' });
    expect(connection.broken).toBe(true);
  });
});
