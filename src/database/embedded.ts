import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { unavailable } from '../errors.ts';
import type { Observe } from '../observe.ts';
import type { Secret } from '../secret.ts';
import { type Cluster, prepareCluster, SUPERUSER } from './embedded-cluster.ts';
import {
  isRunning,
  readPostmaster,
  removeStalePidFile,
  startPostmaster,
  stopPostmaster,
} from './embedded-postmaster.ts';
import { isLastUser, keepPresence, type Presence, tryJoin } from './embedded-presence.ts';
import { isAlive } from './embedded-process.ts';
import type { ServerAddress } from './socket.ts';

/**
 * A real Postgres for local use, shared by all processes on one data folder: the first one starts it, the last one out
 * stops it, whoever that is. It does not restart a server that dies.
 */
export interface EmbeddedServer {
  address: ServerAddress;
  user: string;
  password: Secret;
  close(): Promise<void>;
}

export async function openEmbedded(dataFolder: string, observe: Observe): Promise<EmbeddedServer> {
  await mkdir(dataFolder, { recursive: true });
  const cluster = await prepareCluster(resolve(dataFolder));
  const first = await joinOrStart(cluster, observe);
  const stay = keepPresence(cluster, first);
  return {
    address: first.address,
    user: SUPERUSER,
    password: cluster.password,
    close: async () => leave(cluster, await stay.end(), observe),
  };
}

// Private

/** How long another process may take to start or stop the server, crash recovery included. */
const PATIENCE_MS = 60_000;
const POLL_MS = 50;
const MAX_FAILED_STARTS = 20;
const RETRY_MS = 250;

async function joinOrStart(cluster: Cluster, observe: Observe): Promise<Presence> {
  const patience = AbortSignal.timeout(PATIENCE_MS);
  let failedStarts = 0;
  let reason = 'another process is starting or stopping it, or it is frozen';
  while (!patience.aborted && failedStarts < MAX_FAILED_STARTS) {
    const presence = await tryJoin(cluster);
    if (presence) return presence;
    const found = await readPostmaster(cluster);
    if (found && (await isRunning(cluster, found))) {
      await pause(POLL_MS);
      continue;
    }
    if (found && isAlive(found.pid)) await removeStalePidFile(cluster, found);
    try {
      await startPostmaster(cluster);
      observe({ kind: 'postgres', event: 'started' });
    } catch (thrown) {
      // Another process was faster, the port was taken meanwhile, or the last server's children still end.
      failedStarts += 1;
      reason = String(thrown);
      await pause(RETRY_MS);
    }
  }
  throw unavailable('The embedded database does not start.', { hint: reason });
}

async function leave(cluster: Cluster, presence: Presence | undefined, observe: Observe): Promise<void> {
  if (!presence) return;
  const { connection } = presence;
  try {
    if (!(await isLastUser(connection))) return await connection.close();
    // Asked of the server that we are connected to: the pid in the file on disk proves nothing.
    const { rows } = await connection.query("select pg_read_file('postmaster.pid')");
    await stopPostmaster(cluster, Number.parseInt(String(rows[0]?.[0]), 10));
    observe({ kind: 'postgres', event: 'stopped' });
  } catch (thrown) {
    observe({ kind: 'warning', sentence: `The embedded database could not be stopped: ${thrown}` });
  }
}
