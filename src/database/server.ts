import { FrameError, unavailable } from '../errors.ts';
import type { Observe } from '../observe.ts';
import type { Secret } from '../secret.ts';
import { openConnection, type Params, type Result } from './connect.ts';
import { type DatabaseUrl, parseDatabaseUrl, wrongDatabaseUrl } from './database-url.ts';
import { openEmbedded } from './embedded.ts';
import type { ServerAddress } from './socket.ts';

/** The Postgres that everything lives in: the operator's own, or the embedded one. */
export interface DatabaseServer {
  address: ServerAddress;
  embedded: boolean;
  /** A session as superuser or owner, without time limits: for provisioning, never for a caller. */
  connectAsOwner(database: string): Promise<OwnerConnection>;
  /** Leaves the embedded server, which stops with its last user. */
  close(): Promise<void>;
}

/** One session. When it is lost every later query rejects: it does not come back without its locks and transaction. */
export interface OwnerConnection {
  query(text: string, params?: Params): Promise<Result>;
  /** Several statements, simple protocol. */
  script(text: string): Promise<void>;
  close(): Promise<void>;
}

export interface ServerOptions {
  databaseUrl?: Secret | undefined;
  dataFolder: string;
  observe: Observe;
}

/** Rejects with WrongConfiguration when the URL cannot be used, `unavailable` when the server does not answer. */
export async function openServer({ databaseUrl, dataFolder, observe }: ServerOptions): Promise<DatabaseServer> {
  if (databaseUrl) return await openNamed(parseDatabaseUrl(databaseUrl));
  const { close, ...login } = await openEmbedded(dataFolder, observe);
  return { address: login.address, embedded: true, connectAsOwner: database => connectAsOwner(login, database), close };
}

// Private

const LIMITS = {
  connectMs: 10_000,
  graceMs: 1000,
  queryMs: 0,
  maxAnswerBytes: 64_000_000,
};
const OLDEST_VERSION = 15;

async function openNamed(url: DatabaseUrl): Promise<DatabaseServer> {
  const owner = await connectAsOwner(url, url.database).catch(explain);
  const { rows } = await owner.query('show server_version_num');
  await owner.close();
  const version = Math.floor(Number(rows[0]?.[0]) / 10_000);
  if (version < OLDEST_VERSION) {
    throw wrongDatabaseUrl(`It names a Postgres ${version}; Frame needs ${OLDEST_VERSION} or newer.`);
  }
  return {
    address: url.address,
    embedded: false,
    connectAsOwner: database => connectAsOwner(url, database),
    close: async () => {},
  };
}

function explain(thrown: unknown): never {
  const detail = thrown instanceof FrameError ? (thrown.detail ?? '') : '';
  // Wrong password or no such user, no such database: waiting mends neither.
  if (/^(28|3D)/.test(detail)) throw wrongDatabaseUrl(`The server refuses the connection: ${detail}.`);
  throw unavailable('The database of FRAME_DATABASE_URL cannot be reached.', { hint: `${detail}.`, cause: thrown });
}

function connectAsOwner(login: Pick<DatabaseUrl, 'address' | 'user' | 'password'>, database: string) {
  const { address, user } = login;
  const settings = { statement_timeout: '0', lock_timeout: '0', idle_in_transaction_session_timeout: '0' };
  return openConnection({ address, user, password: login.password.reveal(), database, settings, limits: LIMITS });
}
