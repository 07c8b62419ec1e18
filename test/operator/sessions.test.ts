import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createAccessTokens } from '../../src/access/access-token.ts';
import { observeNothing } from '../../src/observe.ts';
import { sessionsCommand } from '../../src/operator/commands/sessions.ts';
import { Secret } from '../../src/secret.ts';
import { createKeyring } from '../../src/vault/keyring.ts';
import { sampleCustomer } from '../access/fixtures.ts';
import { ADA, audible, openSignInDatabase, type SignInDatabase } from '../access/sign-in-database.ts';
import { makeFolder, run } from './fixture.ts';

const KEY = Buffer.alloc(32, 9);
const BOB = { ...ADA.person, objectId: 'b0b', username: 'bob@axe.example', name: 'Bob' };
const CURSOR = { id: 'client-2', name: 'Cursor\u001b[2J\u202e\n', host: undefined };

let database: SignInDatabase;
let folder: Awaited<ReturnType<typeof makeFolder>>;

beforeAll(async () => {
  folder = await makeFolder();
  await writeFile(join(folder.path, 'master.key'), KEY.toString('base64'), { mode: 0o600 });
  database = await openSignInDatabase(createKeyring(new Secret(KEY)).rolePassword);
});
afterAll(async () => {
  await database.close();
  await folder[Symbol.asyncDispose]();
});
beforeEach(async () => {
  database.clock.now = Date.now();
  await database.run('delete from frame.oauth_sessions');
});

const sessions = (line: string, env: NodeJS.ProcessEnv = {}) =>
  run(sessionsCommand, folder.path, line, {
    FRAME_DATABASE_URL: database.postgres.url.reveal(),
    FRAME_MASTER_KEY_FILE: join(folder.path, 'master.key'),
    ...env,
  });

const listed = async (line = '') => {
  const { out } = await sessions(`list --json ${line}`);
  return JSON.parse(out).map(({ session }: { session: string }) => session);
};

async function recordedSince(count: number) {
  const root = await database.connectAsRoot();
  const { rows } = await root.query("select record from audit.log where customer in ('axe', 'zoo') order by position");
  return rows.slice(count).map(([record]) => JSON.parse(String(record)));
}

describe('sessions list', () => {
  test('when nobody is signed in', async () => {
    expect(await sessions('list')).toEqual({ exit: 0, out: '', err: 'Nobody is signed in.' });
    expect(await sessions('list --json')).toEqual({ exit: 0, out: '[]', err: '' });
  });

  test('says who, with which program, for what, since when and until when', async () => {
    const { id } = await database.signIn();
    const { out, exit } = await sessions('list');
    expect(exit).toBe(0);
    const [head, line, ...more] = out.split('\n');
    expect(head).toMatch(/^SESSION +CUSTOMER +PERSON +CLIENT +SCOPE +SINCE +LAST USED +UNTIL$/);
    expect(line).toMatch(
      new RegExp(
        `^${id}  axe +ada@axe.example +Claude \\(claude.ai\\) +frame:read frame:write( +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\dZ){3}$`,
      ),
    );
    expect(more).toEqual([]);
  });

  test('as JSON', async () => {
    const { id } = await database.signIn();
    const iso = (days: number) => new Date(database.clock.now + days * 86_400_000).toISOString();
    expect(JSON.parse((await sessions('list --json')).out)).toEqual([
      {
        session: id,
        customer: 'axe',
        username: 'ada@axe.example',
        name: 'Ada Axe',
        object_id: ADA.person.objectId,
        client: 'Claude',
        client_id: 'client-1',
        client_host: 'claude.ai',
        scopes: ['frame:read', 'frame:write'],
        since: iso(0),
        last_used: iso(0),
        idle_until: iso(30),
        until: iso(90),
      },
    ]);
  });

  test('lets no program write on the terminal', async () => {
    await database.signIn({ client: CURSOR });
    const { out } = await sessions('list');
    expect(out).toContain('Cursor\\x1b[2J\\u{202e}\\x0a (unverified)');
    expect(out.split('\n')).toHaveLength(2);
  });

  test('of one person, one program, one customer', async () => {
    const ada = await database.signIn();
    const bob = await database.signIn({ person: BOB, client: CURSOR });
    const zoo = await database.signIn({ customer: 'zoo' });
    expect(await listed('--person Bob@Axe.example')).toEqual([bob.id]);
    expect(await listed('--client client-2')).toEqual([bob.id]);
    expect(await listed('--customer zoo')).toEqual([zoo.id]);
    expect(await listed('--customer axe --client client-1')).toEqual([ada.id]);
    const pinned = await sessions('list --json', { FRAME_CUSTOMER: 'zoo' });
    expect(JSON.parse(pinned.out)).toMatchObject([{ session: zoo.id }]);
  });
});

describe('sessions revoke', () => {
  test('ends one session on a running gateway, and records it', async () => {
    const { id, accessToken } = await database.signIn();
    const bystander = await database.signIn({ person: BOB });
    const gateway = audible(database.openPools());
    const { clock } = database;
    const parts = { now: () => clock.now, observe: observeNothing, limits: { rememberTokens: 10 } };
    const tokens = await createAccessTokens({ ...parts, pools: gateway.pools });
    onTestFinished(() => tokens.close());
    const customers = [sampleCustomer({ signIn: 'broker' })];
    const site = { origin: 'https://axe.example', customers, from: '127.0.0.1' };
    expect(await tokens.find(accessToken, site)).toHaveProperty('person');

    const heard = gateway.nextNotification();
    const before = (await recordedSince(0)).length;
    expect(await sessions(`revoke ${id}`)).toEqual({ exit: 0, out: `revoked ${id}  ada@axe.example  Claude`, err: '' });
    expect(await heard).toBe(id);
    expect(await tokens.find(accessToken, site)).toEqual({ refused: 'revoked' });
    expect(await listed()).toEqual([bystander.id]);
    expect(await recordedSince(before)).toMatchObject([
      {
        customer: 'axe',
        actor: { system: 'operator' },
        client: 'Claude',
        tool: 'sign_in.revoke',
        outcome: 'ok',
        arguments: { session: id, client_id: 'client-1', object_id: ADA.person.objectId },
      },
    ]);
  });

  test('of a person, of a program, of a whole customer', async () => {
    const [ada, bob] = [await database.signIn(), await database.signIn({ person: BOB })];
    const cursor = await database.signIn({ person: BOB, client: CURSOR });
    const zoo = await database.signIn({ customer: 'zoo' });
    expect(JSON.parse((await sessions('revoke --client client-2 --json')).out)).toEqual([cursor.id]);
    expect(JSON.parse((await sessions('revoke --person BOB@axe.example --json')).out)).toEqual([bob.id]);
    expect(JSON.parse((await sessions('revoke --person ada@axe.example --customer zoo --json')).out)).toEqual([zoo.id]);
    expect(await listed()).toEqual([ada.id]);
    expect(JSON.parse((await sessions('revoke --all --customer axe --json')).out)).toEqual([ada.id]);
    expect(await listed()).toEqual([]);
  });

  test('stays with the customer that the process is pinned to', async () => {
    const { id } = await database.signIn();
    expect(await sessions(`revoke ${id}`, { FRAME_CUSTOMER: 'zoo' })).toMatchObject({ exit: 1 });
    expect(await listed()).toEqual([id]);
  });

  test('of nobody fails, and so does a second time', async () => {
    const { id } = await database.signIn();
    expect(await sessions('revoke --person eve@axe.example')).toEqual({
      exit: 1,
      out: '',
      err: 'Nobody is signed in like that.',
    });
    await sessions(`revoke ${id}`);
    expect(await sessions(`revoke ${id} --json`)).toMatchObject({ exit: 1, out: '[]' });
  });

  test.each([
    ['nothing at all', '', 'A word is missing'],
    ['another verb', 'end', '`sessions end`'],
    ['a session to list', 'list 019a', '`sessions list`'],
    ['nobody', 'revoke', 'Name one session'],
    ['everybody of no customer', 'revoke --all', '--all goes with --customer'],
    ['two ways at once', 'revoke --person a@b.example --client c', 'Name one session'],
    ['all and one', 'revoke --all --customer axe --client c', 'Name one session'],
    ['a session that is none', "revoke 1'or'1", 'is no session'],
    ['too many words', 'revoke a b', 'one word too many'],
    ['a misspelt option', 'revoke --persn a@b.example', '--person'],
  ])('wrong usage: %s', async (_, line, sentence) => {
    await database.signIn();
    expect(await sessions(line)).toMatchObject({ exit: 2, out: '', err: expect.stringContaining(sentence) });
    expect(await listed()).toHaveLength(1);
  });

  test('everybody of the customer that a machine is pinned to needs the flag too', async () => {
    expect(await sessions('revoke --all', { FRAME_CUSTOMER: 'axe' })).toMatchObject({ exit: 2 });
  });

  test('a database that does not answer is a failure', async () => {
    const env = { FRAME_DATABASE_URL: 'postgres://postgres:x@127.0.0.1:1/postgres' };
    await expect(sessions('revoke --client c', env)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
