import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrateCommand } from '../../src/operator/commands/migrate.ts';
import { changed } from '../customers/fixture.ts';
import { asOwner, type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';
import { makeFolder, run } from './fixture.ts';

let own: OwnPostgres;
let folder: Awaited<ReturnType<typeof makeFolder>>;
let env: NodeJS.ProcessEnv;
beforeAll(async () => {
  own = await startOwnPostgres();
  folder = await makeFolder();
  const keyFile = join(folder.path, 'key');
  await writeFile(keyFile, Buffer.alloc(32, 7).toString('base64'), { mode: 0o600 });
  env = { FRAME_DATABASE_URL: own.url.reveal(), FRAME_MASTER_KEY_FILE: keyFile };
});
afterAll(async () => {
  await own.remove();
  await folder[Symbol.asyncDispose]();
});

const migrate = (line = '', more: NodeJS.ProcessEnv = {}) =>
  run(migrateCommand, folder.path, line, { ...env, ...more });

test('one customer, then all, then nothing to do', async () => {
  const first = await migrate('--customer nordwind');
  expect(first).toMatchObject({ exit: 0, err: '' });
  expect(first.out).toMatch(
    /^nordwind: created nordwind\/nordwind:prod; \d+ walls built or mended; 2 migrations applied\nserver: \d+ walls built or mended$/,
  );
  const second = await migrate();
  expect(second.out).toMatch(
    /^axe: created axe\/axe:prod, axe\/axe:dev, axe\/studio:prod; .*\nnordwind: up to date\nserver: /,
  );
  expect(await migrate()).toEqual({ exit: 0, out: 'axe: up to date\nnordwind: up to date', err: '' });
});

test('prints JSON', async () => {
  const { exit, out } = await migrate('--json');
  expect(exit).toBe(0);
  expect(JSON.parse(out)).toEqual({
    customers: [
      { customer: 'axe', database: 'frame_axe', created: [], mended: [], migrated: [] },
      { customer: 'nordwind', database: 'frame_nordwind', created: [], mended: [], migrated: [] },
    ],
    mended: [],
    absent: [],
    warnings: [],
  });
});

test('says what is not in customers.yaml any more, but only of those it was asked about', async () => {
  await writeFile(join(folder.path, 'fewer.yaml'), changed('      studio: { name: AXE Studio }\n', ''));
  const gone = 'axe/studio:prod is not in customers.yaml any more; its data was left alone';
  expect((await migrate('--customers fewer.yaml')).out).toContain(gone);
  expect((await migrate('--customers fewer.yaml --customer axe')).out).toContain(gone);
  expect((await migrate('--customers fewer.yaml --customer nordwind')).out).toBe('nordwind: up to date');
});

test('says what it mended on a server that was whole', async () => {
  await asOwner(own.server, 'frame_axe', 'grant connect on database frame_axe to public; create schema public');
  expect(await migrate()).toEqual({
    exit: 0,
    out: `axe: 1 wall built or mended
nordwind: up to date
server: 1 wall built or mended
  database frame_axe is open to everyone
  schema public should not be there`,
    err: '',
  });
});

test('another master key is wrong configuration', async () => {
  const keyFile = join(folder.path, 'other-key');
  await writeFile(keyFile, Buffer.alloc(32, 8).toString('base64'), { mode: 0o600 });
  const { exit, out, err } = await migrate('', { FRAME_MASTER_KEY_FILE: keyFile });
  expect({ exit, out }).toEqual({ exit: 2, out: '' });
  expect(err).toMatch(/^database {2}the master key is not the one that this installation began with/);
});

test('a key that others can read is wrong configuration', async () => {
  await writeFile(join(folder.path, 'open-key'), Buffer.alloc(32, 7).toString('base64'), { mode: 0o644 });
  const { exit, err } = await migrate('', { FRAME_MASTER_KEY_FILE: join(folder.path, 'open-key') });
  expect(exit).toBe(2);
  expect(err).toMatch(/^open-key {2}can be read by others; run: chmod 600/);
});

test('a customer that there is not', async () => {
  expect(await migrate('--customer nordwnd')).toMatchObject({ exit: 2, err: expect.stringContaining('nordwind') });
});

test('another one that does not come to its end: 75', async () => {
  const other = await own.server.connectAsOwner('postgres');
  await other.query("select pg_advisory_lock(x'6672616d65'::bigint)");
  const late = await migrate('--wait 1');
  await other.close();
  expect(late).toEqual({
    exit: 75,
    out: '',
    err: 'Another `frame migrate` is still at work on this server. Try again when it is done.',
  });
  expect(await migrate()).toMatchObject({ exit: 0 });
});

test.each(['0', '-1', 'x', '1e9', ''])('wrong usage: --wait=%s', async wait => {
  expect(await migrate(`--wait=${wait}`)).toMatchObject({ exit: 2, err: expect.stringContaining('number of seconds') });
});
