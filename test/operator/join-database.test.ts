import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TWO_CUSTOMERS } from '../customers/fixture.ts';
import { type FrameHome, makeFrameHome } from '../support/frame-process.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';

// A database that is not Frame's yet, that another master key opens, or that is away: three things to mend.

let postgres: OwnPostgres;
let home: FrameHome;
let env: Record<string, string>;

beforeAll(async () => {
  [postgres, home] = await Promise.all([startOwnPostgres(), makeFrameHome(TWO_CUSTOMERS)]);
  const keyFile = await home.writeFile('master.key', `${randomBytes(32).toString('base64')}\n`, 0o600);
  env = { FRAME_DATABASE_URL: postgres.url.reveal(), FRAME_MASTER_KEY_FILE: keyFile, AXE_ENTRA_CLIENT_SECRET: 'x' };
});
afterAll(async () => {
  await home?.remove();
  await postgres?.remove();
});

const COMMANDS = [
  ['keys', 'list'],
  ['sessions', 'list'],
  ['pii', 'status'],
  ['audit', 'verify'],
];

const run = (args: string[], more = {}) => home.run(args, { env: { ...env, ...more } });

test.each(COMMANDS)('before `migrate`, `%s %s` says that there is nothing yet', async (...words) => {
  const { exit, err } = await run(words);
  expect([exit, err]).toEqual([2, 'FRAME_DATABASE_URL  has nothing of Frame yet; run `frame migrate`\n']);
});

test.each(COMMANDS)('with another master key, `%s %s` says so', async (...words) => {
  expect(await run(['migrate'])).toMatchObject({ exit: 0 });
  const other = await home.writeFile('other.key', `${randomBytes(32).toString('base64')}\n`, 0o600);
  const { exit, err } = await run(words, { FRAME_MASTER_KEY_FILE: other });
  expect([exit, err]).toEqual([2, expect.stringContaining('the master key is not the one')]);
});

test('what fails behind right words is a document for machines too', async () => {
  const { exit, out, err } = await run(['keys', 'revoke', 'AAAAAAAAAA', '--json']);
  expect(exit).toBe(1);
  expect(JSON.parse(out)).toEqual({
    failure: expect.objectContaining({ message: expect.stringContaining('AAAAAAAAAA') }),
  });
  expect(err).toContain('AAAAAAAAAA');
});

test('a server that is away is another matter', async () => {
  await postgres.kill();
  const { exit, out } = await run(['keys', 'list', '--json']);
  expect(exit).toBe(1);
  expect(JSON.parse(out)).toMatchObject({ failure: { code: 'unavailable' } });
});
