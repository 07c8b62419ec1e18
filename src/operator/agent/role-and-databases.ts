import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import type { Changes } from './changes.ts';
import { Refused } from './deed.ts';
import { findProgram } from './find-program.ts';
import type { Chore, Provisioning } from './protocol.ts';
import { askPsql, type Login, parseUrl, reasonIn, scramVerifier, toUrl } from './psql.ts';

/**
 * Frame's login and databases on this machine's Postgres, by psql. The login is a superuser, for only one can build the
 * walls between entities. Its password is made here and is in shared/env afterwards, nowhere else: SQL and passwords
 * never stand in an argv, and the server itself only ever sees what it keeps of a password.
 */
export interface DatabaseOutcome {
  /** A new FRAME_DATABASE_URL, where one was made. */
  url?: string;
  left: Chore[];
}

/**
 * `current`: FRAME_DATABASE_URL of shared/env. It is never replaced, not even when it does not serve: on another server
 * the customer would meet empty databases.
 */
export async function prepareDatabase(
  { customer, database: wish }: Pick<Provisioning, 'customer' | 'database'>,
  current: string | undefined,
  changes: Changes,
): Promise<DatabaseOutcome> {
  checkNames(wish);
  const psql = await findProgram('psql');
  if (!psql) return { left: [PSQL_MISSING] };
  if (current !== undefined) return { left: await useCurrent(psql, current, wish, changes) };

  const superuser = await findSuperuser(psql, wish);
  if ('refusals' in superuser) return { left: noWayIn(customer, wish, superuser.refusals) };
  const isThere = (await listNames(psql, superuser, 'select rolname from pg_roles')).has(wish.role);
  const others = isThere ? await databasesOfOthers(psql, superuser, wish) : [];
  if (others.length > 0) return { left: [servesOthers(superuser, wish.role, others)] };
  const login = await giveRole(psql, superuser, wish.role, { isThere, changes });
  const refusal = changes.dryRun ? undefined : await whyNoSuperuser(psql, login);
  if (refusal !== undefined) return { left: [notLetIn(login, refusal)] };
  // In a dry run there is no such login, and the superuser sees the same databases.
  await createDatabases(psql, changes.dryRun ? superuser : login, wish.databases, changes);
  return { url: toUrl(login), left: [] };
}

// Private

const LOOPBACK = '127.0.0.1';
/** As in src/database/server.ts. */
const OLDEST_VERSION = 15;

function checkNames({ role, databases }: Provisioning['database']): void {
  const odd = [role, ...databases].filter(name => !/^[a-z][a-z0-9_]{0,62}$/.test(name));
  if (odd.length === 0) return;
  throw new Refused({ code: 'deploy/refused', message: `\`${odd}\` cannot be a name in Postgres.`, exit: 2 });
}

async function useCurrent(psql: string, current: string, wish: Provisioning['database'], changes: Changes) {
  const login = parseUrl(current);
  const refusal = login ? await whyNoSuperuser(psql, login) : 'it is no postgres://user:password@host:port/database';
  if (login && refusal === undefined) {
    await createDatabases(psql, login, wish.databases, changes);
    return [];
  }
  const sentence = `FRAME_DATABASE_URL of shared/env does not serve (${refusal}). Mend that, or remove the line to have a new login made, and provision again.`;
  return [{ sentence, commands: [] }];
}

/** Who was named, and nobody else; else the machine's own doors, its socket and loopback, as who we are and as postgres. */
async function findSuperuser(psql: string, wish: Provisioning['database']): Promise<Login | { refusals: string[] }> {
  const refusals: string[] = [];
  for (const login of candidatesOf(wish)) {
    const refusal = await whyNoSuperuser(psql, login);
    if (refusal === undefined) return login;
    refusals.push(refusal);
  }
  return { refusals };
}

function candidatesOf({ superuserUrl, port }: Provisioning['database']): Login[] {
  if (superuserUrl !== undefined) {
    const given = parseUrl(superuserUrl);
    return given ? [given] : [];
  }
  const users = [...new Set([userInfo().username, 'postgres'])];
  return ['', LOOPBACK].flatMap(host => users.map(user => ({ host, port, user, database: 'postgres' })));
}

async function whyNoSuperuser(psql: string, login: Login): Promise<string | undefined> {
  const question = `select rolsuper, current_setting('server_version_num') from pg_roles where rolname = current_user`;
  const { exit, out, err } = await askPsql(psql, login, question);
  if (exit !== 0) return reasonIn(err);
  const [isSuperuser, version] = out.trim().split('|');
  if (isSuperuser !== 't') return `${login.user} is no superuser`;
  const major = Math.floor(Number(version) / 10_000);
  return major < OLDEST_VERSION ? `it is Postgres ${major}; Frame needs ${OLDEST_VERSION} or newer` : undefined;
}

/** A new password also for a role that is there: whoever lost shared/env has lost the old one. */
async function giveRole(
  psql: string,
  superuser: Login,
  role: string,
  { isThere, changes }: { isThere: boolean; changes: Changes },
): Promise<Login> {
  const password = randomBytes(24).toString('base64url');
  changes.note(`role ${role}`, isThere ? 'given a new password' : 'created');
  const deed = `${isThere ? 'alter' : 'create'} role "${role}" superuser login password '${scramVerifier(password)}'`;
  if (!changes.dryRun) await mustRun(psql, superuser, deed, `The role ${role} could not be made`);
  return { ...superuser, host: superuser.host || LOOPBACK, user: role, password, database: 'postgres' };
}

/** Where the gateway of another customer lives, a new password of the role would shut that one out. */
async function databasesOfOthers(psql: string, superuser: Login, { role, databases }: Provisioning['database']) {
  const names = await listNames(psql, superuser, 'select datname from pg_database');
  return [...names].filter(name => name.startsWith(`${role}_`) && !databases.includes(name));
}

/** As `frame migrate` would create them, which does the rest. */
async function createDatabases(psql: string, login: Login, names: readonly string[], changes: Changes): Promise<void> {
  const existing = await listNames(psql, login, 'select datname from pg_database');
  for (const name of names.filter(name => !existing.has(name))) {
    changes.note(`database ${name}`, 'created');
    if (changes.dryRun) continue;
    const deed = `create database "${name}" template template0 encoding 'UTF8'`;
    await mustRun(psql, login, deed, `The database ${name} could not be created`);
  }
}

async function listNames(psql: string, login: Login, query: string): Promise<Set<string>> {
  const { out } = await mustRun(psql, login, query, 'Postgres could not be asked what is there');
  return new Set(out.split('\n'));
}

async function mustRun(psql: string, login: Login, sql: string, failure: string) {
  const ended = await askPsql(psql, login, sql);
  if (ended.exit === 0) return ended;
  throw new Refused({ code: 'deploy/failed', message: `${failure}: ${reasonIn(ended.err)}.`, exit: 1 });
}

const PSQL_MISSING: Chore = {
  sentence: 'psql is not on this machine, so Postgres was not looked at. Install it, then provision again:',
  commands: [process.platform === 'darwin' ? 'brew install postgresql@18' : 'sudo apt-get install -y postgresql'],
};

function noWayIn(
  customer: string,
  { port, superuserUrl }: Provisioning['database'],
  refusals: readonly string[],
): Chore[] {
  const tried =
    superuserUrl === undefined ? `the socket and port ${port} of this machine` : 'FRAME_DATABASE_URL as given';
  const reasons = [...new Set(refusals)].join('; ') || 'it is no postgres://user:password@host:port/database';
  const nameOne = {
    sentence: `No Postgres lets us in as a superuser; tried was ${tried} (${reasons}). Start it, or name a superuser as this machine reaches it, and provision again:`,
    commands: [`FRAME_DATABASE_URL=postgres://postgres:…@127.0.0.1:${port}/postgres frame provision ${customer}`],
  };
  return superuserUrl === undefined && process.platform === 'linux' ? [nameOne, takeDebians(port)] : [nameOne];
}

function takeDebians(port: number): Chore {
  return {
    sentence: `If it is the package of Debian, which listens on port 5432 and lets in nobody but its own user: this brings it to port ${port} and makes a superuser of us. Then provision again:`,
    commands: [
      `sudo sed -i 's/^port = .*/port = ${port}/' /etc/postgresql/*/main/postgresql.conf`,
      'sudo systemctl restart postgresql',
      `sudo -u postgres createuser --superuser --port=${port} ${userInfo().username}`,
    ],
  };
}

function servesOthers({ port }: Login, role: string, others: readonly string[]): Chore {
  const sentence = `The Postgres on port ${port} has the role ${role} and databases that are not this customer's (${others.join(', ')}), so nothing was changed there. Every customer needs a Postgres of their own: name one, and provision again. If these databases are left over from before, drop them first.`;
  return { sentence, commands: [] };
}

function notLetIn({ user, host, port }: Login, refusal: string): Chore {
  return {
    sentence: `Postgres (port ${port}) does not let ${user} in (${refusal}). Put this line first in its pg_hba.conf, reload it, and provision again:`,
    commands: [`host all ${user} ${host}/32 scram-sha-256`],
  };
}
