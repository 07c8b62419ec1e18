import { setTimeout as pause } from 'node:timers/promises';
import { type Connection, openConnection } from './connect.ts';
import { type Cluster, SUPERUSER } from './embedded-cluster.ts';
import { readPostmaster } from './embedded-postmaster.ts';
import { isAlive } from './embedded-process.ts';
import type { ServerAddress } from './socket.ts';

/**
 * One user of the embedded server, known to the others by a shared advisory lock on a connection of its own. The kernel
 * ends that connection with the process, so a kill -9 leaves no stale user behind.
 */
export interface Presence {
  address: ServerAddress;
  connection: Connection;
}

/** Undefined when no server of this cluster answers. What is recorded counts only after a real login. */
export async function tryJoin(cluster: Cluster): Promise<Presence | undefined> {
  const found = await readPostmaster(cluster);
  if (!found?.isReady) return undefined;
  const address: ServerAddress = { host: '127.0.0.1', port: found.port, ssl: 'disable' };
  const connection = await openConnection({
    address,
    user: SUPERUSER,
    password: cluster.password.reveal(),
    database: 'postgres',
    settings: { application_name: `${NAME} ${process.pid}` },
    limits: LIMITS,
  }).catch(() => undefined);
  const joined = await connection?.query(JOIN, [USERS]).catch(() => undefined);
  // A copy of a data folder has the same password, and the recorded port may be the original's by now.
  if (connection && joined?.rows[0]?.[0] === cluster.data) return { address, connection };
  await connection?.close();
  return undefined;
}

/** Comes back when its connection is cut but the server lives on. */
export function keepPresence(cluster: Cluster, first: Presence): { end(): Promise<Presence | undefined> } {
  let current: Presence | undefined = first;
  let ended = false;

  async function watch({ connection }: Presence): Promise<void> {
    await connection.closed;
    current = undefined;
    while (!ended && !current) {
      await pause(RETRY_MS, undefined, { ref: false });
      const again = await tryJoin(cluster);
      if (ended) await again?.connection.close();
      else current = again;
    }
    if (current) void watch(current);
  }

  void watch(first);
  return {
    async end() {
      ended = true;
      return current ?? (await tryJoin(cluster));
    },
  };
}

/** Gives up the presence. True: nobody else uses the server, and nobody can join any more. */
export async function isLastUser(connection: Connection): Promise<boolean> {
  await connection.query('select pg_advisory_unlock_shared($1)', [USERS]);
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const { rows } = await connection.query('select pg_try_advisory_lock($1)', [USERS]);
    if (rows[0]?.[0] === true) return true;
    const others = await connection.query(OTHERS, [USERS]);
    if (others.rows.some(([name]) => isAlive(Number(String(name).slice(NAME.length))))) return false;
    // Killed a moment ago: the server has not noticed yet.
    await pause(POLL_MS);
  }
  return false;
}

// Private

const NAME = 'frame user';

/** Key of an advisory lock in the database `postgres`: shared by the users, exclusive for who stops the server. */
const USERS = 3712;

const JOIN = `select current_setting('data_directory'), pg_advisory_lock_shared($1)`;
const OTHERS = `select application_name from pg_stat_activity join pg_locks using (pid)
  where locktype = 'advisory' and granted and objid = $1 and pid <> pg_backend_pid()`;

const LIMITS = { connectMs: 3000, graceMs: 1000, queryMs: 5000, maxAnswerBytes: 1_000_000 };
const RETRY_MS = 250;
const POLL_MS = 20;
const MAX_TRIES = 100;
