import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, link, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Cluster } from './embedded-cluster.ts';
import { commandLineOf, isAlive } from './embedded-process.ts';

/** What Postgres itself writes down about a running server, in `data/postmaster.pid`. */
export interface Postmaster {
  pid: number;
  port: number;
  isReady: boolean;
}

export async function readPostmaster({ data }: Cluster): Promise<Postmaster | undefined> {
  const text = await readFile(pidFileOf(data), 'utf8').catch(() => '');
  const [pid, , , port, , , , status] = text.split('\n');
  return pid ? { pid: Number(pid), port: Number(port), isReady: status?.trim() === 'ready' } : undefined;
}

/** Whether that process is still the server of this cluster: its pid may belong to another program by now. */
export async function isRunning({ data }: Cluster, { pid }: Postmaster): Promise<boolean> {
  return isAlive(pid) && (await commandLineOf(pid)).includes(data);
}

/** Starts the server, in a process of its own that outlives ours. Resolves when it takes connections. */
export async function startPostmaster(cluster: Cluster, port?: number): Promise<Postmaster> {
  const log = await openLog(cluster);
  const child = spawn(cluster.program, ['-D', cluster.data, ...settings(port ?? (await findFreePort()))], {
    ...cluster.identity,
    cwd: '/',
    env: { LC_ALL: 'C', PATH: process.env.PATH },
    // A session of its own: Ctrl-C in the terminal goes to us, and we stop the server when we are done with it.
    detached: true,
    stdio: ['ignore', 'ignore', log.fd],
  });
  const ended = new AbortController();
  child.once('error', error => ended.abort(error));
  child.once('exit', code => ended.abort(new Error(`Postgres did not start (exit ${code}); see ${logOf(cluster)}.`)));
  child.unref();
  await log.close();
  for (;;) {
    ended.signal.throwIfAborted();
    const postmaster = await readPostmaster(cluster);
    if (postmaster?.pid === child.pid && postmaster?.isReady) return postmaster;
    await pause(POLL_MS);
  }
}

/** Fast shutdown: open transactions are rolled back, everything is on disk when it resolves. */
export async function stopPostmaster(cluster: Cluster, pid: number): Promise<void> {
  process.kill(pid, 'SIGINT');
  const patience = AbortSignal.timeout(STOP_MS);
  while ((await readPostmaster(cluster))?.pid === pid) {
    if (patience.aborted) return void process.kill(pid, 'SIGQUIT');
    await pause(POLL_MS);
  }
}

/**
 * Postgres clears away the file of a dead server, but refuses to start when its pid belongs to another program of the
 * same user. Between our look and the removal another process may have started the server: then its file goes back.
 */
export async function removeStalePidFile(cluster: Cluster, stale: Postmaster): Promise<void> {
  const file = pidFileOf(cluster.data);
  const aside = `${file}.stale-${process.pid}`;
  await rename(file, aside).catch(() => {});
  const pid = Number.parseInt(await readFile(aside, 'utf8').catch(() => ''), 10);
  if (pid && pid !== stale.pid) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

// Private

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_WRONLY } = constants;
const POLL_MS = 10;
const STOP_MS = 20_000;
const LOG_BYTES = 1_000_000;

const pidFileOf = (data: string) => join(data, 'postmaster.pid');
const logOf = ({ folder }: Cluster) => join(folder, 'postgres.log');

function settings(port: number): string[] {
  const values: Record<string, string | number> = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    shared_buffers: '64MB',
    // One transaction may touch the tables of many schemas.
    max_locks_per_transaction: 256,
    password_encryption: 'scram-sha-256',
    fsync: 'on',
    timezone: 'UTC',
    log_timezone: 'UTC',
    // Nothing that a statement of a caller says: no values in the log, and it stays small.
    log_min_messages: 'log',
    log_min_error_statement: 'panic',
    log_checkpoints: 'off',
  };
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function openLog(cluster: Cluster) {
  const file = logOf(cluster);
  const { size } = await stat(file).catch(() => ({ size: 0 }));
  if (size > LOG_BYTES) await rename(file, `${file}.1`);
  // Root opens it in a folder of another user, who might have put a link there.
  return open(file, O_APPEND | O_CREAT | O_NOFOLLOW | O_WRONLY, 0o600);
}

async function findFreePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
