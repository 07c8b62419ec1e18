import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { parseDatabaseUrl } from '../../src/database/database-url.ts';
import { openServer } from '../../src/database/server.ts';
import { SSL_MODES, type SslMode } from '../../src/database/socket.ts';
import { WrongConfiguration } from '../../src/errors.ts';
import { observeNothing } from '../../src/observe.ts';
import { Secret } from '../../src/secret.ts';
import { asOwner, freshDatabase, type OwnPostgres, sharedPostgres, startOwnPostgres } from '../support/postgres.ts';
import { selfSigned } from '../support/self-signed.ts';

const open = (url: string) =>
  openServer({ databaseUrl: new Secret(url), dataFolder: 'unused', observe: observeNothing });

/** The URL of the shared server with one part changed. */
function changed(change: (url: URL) => void): string {
  const url = new URL(inject('postgres').url);
  change(url);
  return url.href;
}

describe('the URL', () => {
  test('is read in all its parts', () => {
    const url = parseDatabaseUrl(new Secret('postgresql://ad%40min:p%2Fw@[::1]:3700/main?sslmode=verify-full'));
    expect(url).toMatchObject({
      address: { host: '::1', port: 3700, ssl: 'verify-full' },
      user: 'ad@min',
      database: 'main',
    });
    expect(url.password.reveal()).toBe('p/w');
  });

  test('has the defaults of libpq', () => {
    const { address, database } = parseDatabaseUrl(new Secret('postgres://admin@db.example'));
    expect([address, database]).toEqual([{ host: 'db.example', port: 5432, ssl: 'prefer' }, 'postgres']);
  });

  test.each([
    ['', 'must look like'],
    ['pa55word', 'must look like'],
    ['mysql://u:pa55word@h/d', 'must look like'],
    ['postgres://u:pa55word@/d', 'must look like'],
    ['postgres://:pa55word@h/d', 'must name a user'],
    ['postgres://u:pa55word@h/d?sslmode=maybe', 'sslmode must be one of'],
    ['postgres://u:pa55word@h/d?options=pa55word', 'not options'],
    ['postgres://u:pa55word%zz@h/d', 'written as %25'],
  ])('%j is refused with a sentence that does not repeat it', (text, sentence) => {
    const parse = () => parseDatabaseUrl(new Secret(text));
    expect(parse).toThrow(WrongConfiguration);
    expect(parse).toThrow(sentence);
    expect(parse).not.toThrow('pa55word');
  });
});

describe('a server by its URL', () => {
  test('gives sessions of its owner on any database, and is not ours to stop', async () => {
    const server = await sharedPostgres();
    expect(server.embedded).toBe(false);
    await server.close();
    const database = await freshDatabase(server);
    const owner = await server.connectAsOwner(database);
    const { rows } = await owner.query('select current_database(), usesuper from pg_user where usename = current_user');
    expect(rows).toEqual([[database, true]]);
    await owner.close();
  });

  test('an owner session keeps its transaction, runs scripts, and has no time limit', async () => {
    const server = await sharedPostgres();
    await asOwner(
      server,
      'postgres',
      `create role slow superuser login password 'slow';
      alter role slow set statement_timeout = '1s'`,
    );
    const slow = await open(changed(url => Object.assign(url, { username: 'slow', password: 'slow' })));
    const owner = await slow.connectAsOwner('postgres');
    await owner.script('begin; create table here (n int4); insert into here values (1), (2)');
    expect((await owner.query('select n from here where n > $1', [1])).rows).toEqual([[2]]);
    await owner.query('rollback');
    await expect(owner.query('select * from here')).rejects.toMatchObject({ code: '42P01' });
    expect((await owner.query('show statement_timeout')).rows).toEqual([['0']]);
    await owner.close();
    await asOwner(server, 'postgres', 'drop role slow');
  });

  test.each([
    ['a wrong password', (url: URL) => Object.assign(url, { password: 'pa55word' }), '28P01'],
    ['no such user', (url: URL) => Object.assign(url, { username: 'nobody', password: 'pa55word' }), '28P01'],
    ['no such database', (url: URL) => Object.assign(url, { pathname: '/nowhere' }), '3D000'],
  ])('%s is wrong configuration, said without the password', async (_, change, code) => {
    const thrown = await open(changed(change)).catch(error => error);
    expect(thrown).toBeInstanceOf(WrongConfiguration);
    expect(thrown.message).toContain(code);
    expect(`${thrown.message} ${thrown.stack}`).not.toContain(new URL(changed(change)).password);
  });

  test('nobody there is unavailable', async () => {
    const nobody = open(changed(url => Object.assign(url, { port: '1' })));
    await expect(nobody).rejects.toMatchObject({ code: 'unavailable', hint: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('TLS', () => {
  let own: OwnPostgres;

  beforeAll(async () => {
    own = await startOwnPostgres();
    const { key, cert } = selfSigned('localhost');
    for (const [file, pem] of Object.entries({ 'server.crt': cert, 'server.key': key })) {
      const lines = pem.trim().split('\n');
      const rows = lines.map(line => `('${line}')`).join(',');
      await asOwner(own.server, 'postgres', `copy (values ${rows}) to program 'umask 077; cat > ${file}'`);
    }
    await asOwner(own.server, 'postgres', 'alter system set ssl = on');
    await asOwner(own.server, 'postgres', 'select pg_reload_conf()');
  });

  afterAll(() => own.remove());

  /** Whether the session is encrypted, or why there is none. */
  async function encryption(url: string, ssl: SslMode): Promise<unknown> {
    try {
      const server = await open(url.replace(/sslmode=.*/, `sslmode=${ssl}`));
      const owner = await server.connectAsOwner('postgres');
      const { rows } = await owner.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
      await owner.close();
      return rows[0]?.[0];
    } catch (thrown) {
      return thrown instanceof Error && 'hint' in thrown ? thrown.hint : thrown;
    }
  }

  test('is used as the URL says, and an unknown certificate is refused where it says so', async () => {
    const found = await Promise.all(SSL_MODES.map(ssl => encryption(own.url.reveal(), ssl)));
    const refused = expect.stringContaining('DEPTH_ZERO_SELF_SIGNED_CERT');
    expect(found).toEqual([false, true, true, refused, refused]);
  });

  test('a server without it is accepted only where the URL says so', async () => {
    const found = await Promise.all(SSL_MODES.map(ssl => encryption(inject('postgres').url, ssl)));
    const refused = expect.stringContaining('offers no TLS');
    expect(found).toEqual([false, false, refused, refused, refused]);
  });
});
