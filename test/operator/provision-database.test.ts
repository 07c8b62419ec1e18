import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseEnv } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openServer } from '../../src/database/server.ts';
import { observeNothing } from '../../src/observe.ts';
import type { Provisioning } from '../../src/operator/agent/protocol.ts';
import { Secret } from '../../src/secret.ts';
import { asOwner, type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';
import { makeMachine, type TestMachine } from './provision-machine.ts';

const PSQL = '/usr/bin/psql';
const title = (text: string) => (existsSync(PSQL) ? text : `${text} (skipped: there is no ${PSQL})`);
const describePsql = describe.skipIf(!existsSync(PSQL));

let own: OwnPostgres;
let machine: TestMachine;
beforeAll(async () => {
  own = await startOwnPostgres();
});
afterAll(() => own.remove());
beforeEach(async () => {
  machine = await makeMachine();
});
afterEach(async () => {
  await machine[Symbol.asyncDispose]();
  for (const name of ['frame_axe', 'frame_control']) await sql(`drop database if exists ${name} with (force)`);
  await sql('drop role if exists frame');
});

describePsql(title('a superuser that was named'), () => {
  test('makes a login of Frame and its databases; nobody else hears the password', async () => {
    const { exit, done, printed } = await machine.provision({ database: named() });
    expect(exit).toBe(0);
    expect(done).toEqual(expect.arrayContaining(['role frame  created', 'database frame_control  created']));
    expect(done).toEqual(expect.arrayContaining(['database frame_axe  created', 'FRAME_DATABASE_URL  set']));
    const url = new URL((await variables()).FRAME_DATABASE_URL ?? '');
    expect([url.username, url.port, url.pathname]).toEqual(['frame', port(), '/postgres']);
    const secrets = [url.password, new URL(own.url.reveal()).password];
    const history = await machine.read('state/history.ndjson');
    for (const secret of secrets) expect(printed + history).not.toContain(secret);

    const server = await openServer({
      databaseUrl: new Secret(url.href),
      dataFolder: 'unused',
      observe: observeNothing,
    });
    const owner = await server.connectAsOwner('frame_axe');
    const { rows } = await owner.query(`
      select rolsuper, rolpassword like 'SCRAM-SHA-256$4096:%', pg_encoding_to_char(encoding), pg_get_userbyid(datdba)
      from pg_authid, pg_database where rolname = current_user and datname = current_database()`);
    await owner.close().then(() => server.close());
    expect(rows).toEqual([[true, true, 'UTF8', 'frame']]);
  });

  test('stands in no argv, and neither does what was made', async () => {
    await machine.write('argv', '');
    await machine.write('psql', `#!/bin/sh\nprintf '%s\\n' "$@" >>'${machine.home}/argv'\nexec ${PSQL} "$@"\n`, 0o755);
    await machine.provision({ database: named() }, { programs: { psql: join(machine.home, 'psql') } });
    const { password } = new URL((await variables()).FRAME_DATABASE_URL ?? '');
    const argv = await machine.read('argv');
    expect(argv).toContain('ON_ERROR_STOP=1');
    for (const secret of [password, new URL(own.url.reveal()).password, 'SCRAM']) expect(argv).not.toContain(secret);
  });

  test('is not needed a second time, and changes nothing then', async () => {
    await machine.provision({ database: named() });
    const before = await machine.read('shared/env');
    expect(await machine.provision({ database: named() })).toMatchObject({ done: [] });
    expect(await machine.provision({ database: nobody() })).toMatchObject({ done: [] });
    expect(await machine.read('shared/env')).toBe(before);
    await sql('drop database frame_axe');
    expect((await machine.provision({ database: nobody() })).done).toEqual(['database frame_axe  created']);
  });

  test('a dry run says what it would do, and Postgres stays as it was', async () => {
    const { done, printed } = await machine.provision({ database: named() }, { dryRun: true });
    expect(done).toEqual(expect.arrayContaining(['role frame  created', 'database frame_axe  created']));
    expect(printed).not.toContain(new URL(own.url.reveal()).password);
    expect(await namesThere()).toEqual([]);
  });

  test('gives a role that is there a new password, for the old one is lost with shared/env', async () => {
    await machine.provision({ database: named() });
    const { FRAME_DATABASE_URL: old = '' } = await variables();
    await machine.write('shared/env', 'MINE=1\n');
    expect((await machine.provision({ database: named() })).done).toContain('role frame  given a new password');
    const { FRAME_DATABASE_URL: now = '', MINE } = await variables();
    expect({ MINE, isOther: now !== old, serves: await serves(now), served: await serves(old) }).toEqual({
      MINE: '1',
      isOther: true,
      serves: true,
      served: false,
    });
  });

  test('is of no use where another customer lives: their login keeps its password', async () => {
    await machine.provision({ database: named() });
    const { FRAME_DATABASE_URL: theirs = '' } = await variables();
    await machine.write('shared/env', '');
    const database = { ...named(), databases: ['frame_control', 'frame_nordwind'] };
    const { done, left } = await machine.provision({ database });
    expect(left.map(({ sentence }) => sentence).join()).toMatch(
      /databases that are not this customer's \(frame_axe\), so nothing was changed there/,
    );
    expect(done.join()).not.toMatch(/role|database|FRAME_DATABASE_URL/);
    expect(await serves(theirs)).toBe(true);
  });

  test.each([
    ['is no superuser', () => 'postgres://weak:weak@127.0.0.1', /weak is no superuser/],
    ['has another password', () => 'postgres://postgres:canary@127.0.0.1', /password authentication failed/],
    ['is on no server', () => 'postgres://postgres:canary@127.0.0.1:1', /Connection refused/],
    ['is no address at all', () => 'canary', /it is no postgres:/],
  ])('but %s: said, with what to type, and nobody else is tried', async (_, urlOf, reason) => {
    await sql("create role weak login password 'weak'");
    try {
      const superuserUrl = urlOf().replace(/127\.0\.0\.1$/, `127.0.0.1:${port()}`);
      const { exit, left, printed } = await machine.provision({ database: { ...named(), superuserUrl } });
      const chore = left.find(({ sentence }) => sentence.startsWith('No Postgres'));
      expect(exit).toBe(0);
      expect(chore?.sentence).toMatch(reason);
      expect(printed).not.toContain('canary');
      expect(await namesThere()).toEqual([]);
      expect(await machine.read('shared/env')).not.toContain('FRAME_DATABASE_URL');
    } finally {
      await sql('drop role weak');
    }
  });
});

describePsql(title('the machine’s own doors'), () => {
  test('its loopback address, where the server trusts postgres', async () => {
    await using _ = await withRules('host all postgres 127.0.0.1/32 trust');
    const { done } = await machine.provision({ database: { ...nobody(), port: Number(port()) } });
    expect(done).toEqual(expect.arrayContaining(['role frame  created', 'database frame_axe  created']));
    expect(await serves((await variables()).FRAME_DATABASE_URL ?? '')).toBe(true);
  });

  test('a server that keeps the new login out is told apart, with the line that lets it in', async () => {
    await using _ = await withRules('host all frame 127.0.0.1/32 reject\nhost all postgres 127.0.0.1/32 trust');
    const { left } = await machine.provision({ database: { ...nobody(), port: Number(port()) } });
    expect(left).toContainEqual({
      sentence: expect.stringMatching(/does not let frame in \(.*pg_hba\.conf rejects.*\)/),
      commands: ['host all frame 127.0.0.1/32 scram-sha-256'],
    });
    expect(await machine.read('shared/env')).not.toContain('FRAME_DATABASE_URL');
  });
});

describePsql(title('a FRAME_DATABASE_URL that is there'), () => {
  test.each([
    ['leads nowhere', () => 'postgres://frame:canary@127.0.0.1:1/postgres', /Connection refused/],
    ['has a wrong password', () => `postgres://postgres:canary@127.0.0.1:${port()}/postgres`, /authentication failed/],
    ['is no address', () => 'canary', /it is no postgres:/],
  ])('and %s: never replaced, though another server would do', async (_, urlOf, reason) => {
    const env = `FRAME_DATABASE_URL=${urlOf()}\nFRAME_CUSTOMER=axe\n`;
    await machine.write('shared/env', env);
    const { left, printed } = await machine.provision({ database: named() });
    expect(left.find(({ sentence }) => sentence.startsWith('FRAME_DATABASE_URL'))?.sentence).toMatch(reason);
    expect(await machine.read('shared/env')).toBe(env);
    expect(printed).not.toContain('canary');
    expect(await namesThere()).toEqual([]);
  });
});

test.each(['frame"; drop role postgres; --', 'Frame', '', 'a'.repeat(64)])(
  'a database called %j is refused before Postgres hears of it',
  async name => {
    const { exit } = await machine.provision({ database: { ...named(), databases: [name] } });
    expect({ exit, there: await namesThere() }).toEqual({ exit: 2, there: [] });
  },
);

function named(): Provisioning['database'] {
  return { ...nobody(), superuserUrl: own.url.reveal() };
}

/** Nobody listens on that port. */
function nobody(): Provisioning['database'] {
  return { port: 1, role: 'frame', databases: ['frame_control', 'frame_axe'] };
}

function port(): string {
  return new URL(own.url.reveal()).port;
}

function sql(statement: string): Promise<void> {
  return asOwner(own.server, 'postgres', statement);
}

async function namesThere(): Promise<unknown[]> {
  const owner = await own.server.connectAsOwner('postgres');
  const { rows } = await owner.query(`
    select rolname from pg_roles where rolname = 'frame'
    union all select datname from pg_database where starts_with(datname, 'frame_')`);
  await owner.close();
  return rows.flat();
}

async function variables(): Promise<NodeJS.Dict<string>> {
  return parseEnv(await machine.read('shared/env'));
}

async function serves(url: string): Promise<boolean> {
  return openServer({ databaseUrl: new Secret(url), dataFolder: 'unused', observe: observeNothing }).then(
    async server => {
      await server.close();
      return true;
    },
    () => false,
  );
}

/** These lines before all others of pg_hba.conf. */
async function withRules(lines: string): Promise<AsyncDisposable> {
  const owner = await own.server.connectAsOwner('postgres');
  const { rows } = await owner.query('show hba_file');
  await owner.close();
  const file = String(rows[0]?.[0]);
  const before = await readFile(file, 'utf8');
  await rewrite(`${lines}\n${before}`);
  return { [Symbol.asyncDispose]: () => rewrite(before) };

  /** Postgres reads it some time after it was asked to. */
  async function rewrite(text: string): Promise<void> {
    await writeFile(file, text);
    const loadedBefore = await loadTime();
    await sql('select pg_reload_conf()');
    while ((await loadTime()) === loadedBefore) await pause(20);
  }
}

async function loadTime(): Promise<unknown> {
  const owner = await own.server.connectAsOwner('postgres');
  const { rows } = await owner.query('select pg_conf_load_time()::text');
  await owner.close();
  return rows[0]?.[0];
}
