import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import type { Breaker } from '../../src/database/breaker.ts';
import { type Cluster, prepareCluster, SUPERUSER } from '../../src/database/embedded-cluster.ts';
import { type Postmaster, startPostmaster } from '../../src/database/embedded-postmaster.ts';
import type { Login } from '../../src/database/place.ts';
import { createPools, type PoolLimits, type Pools, type PoolTimes } from '../../src/database/pools.ts';
import { type DatabaseServer, openServer } from '../../src/database/server.ts';
import { type Observe, observeNothing } from '../../src/observe.ts';
import { Secret } from '../../src/secret.ts';
import { makeDataFolder, removeDataFolder, sendSignal } from './data-folder.ts';
import { freePorts } from './free-ports.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The Postgres of the whole run, and a data folder with a cluster at rest to copy. */
    postgres: { url: string; template: string };
  }
}

/** The Postgres that all test files share. Make databases and roles with names of your own on it. */
export function sharedPostgres(): Promise<DatabaseServer> {
  return openServer({ databaseUrl: sharedPostgresUrl(), dataFolder: 'unused', observe: observeNothing });
}

export function sharedPostgresUrl(): Secret {
  return new Secret(inject('postgres').url);
}

/** A name that no other test uses, for databases and roles. */
export function freshName(prefix = 'test'): string {
  return `${prefix}_${randomBytes(5).toString('hex')}`;
}

export async function freshDatabase(server: DatabaseServer): Promise<string> {
  const name = freshName();
  await asOwner(server, 'postgres', `create database ${name}`);
  return name;
}

/** A login on a database of its own, with the settings as of `alter role … set`. Its password is its name. */
export async function freshLogin(
  server: DatabaseServer,
  { prefix = 'rw', settings = {} }: { prefix?: string; settings?: Record<string, string> } = {},
): Promise<Login> {
  const database = await freshDatabase(server);
  const role = freshName(prefix);
  const alter = Object.entries(settings).map(([name, value]) => `alter role ${role} set ${name} = '${value}';`);
  await asOwner(
    server,
    database,
    `create role ${role} login password '${role}'; ${alter.join(' ')}
    grant create on schema public to ${role}`,
  );
  return { role, database };
}

/** Several statements as superuser. */
export async function asOwner(server: DatabaseServer, database: string, script: string): Promise<void> {
  const owner = await server.connectAsOwner(database);
  await owner.script(script).finally(() => owner.close());
}

/** Pools for logins of freshLogin(), with the numbers of config/gateway.yaml where a test has no others. */
export function testPools(
  server: DatabaseServer,
  {
    limits,
    observe = observeNothing,
    ...more
  }: { limits?: Partial<PoolLimits>; times?: PoolTimes; observe?: Observe; breaker?: Breaker } = {},
): Pools {
  return createPools({
    server: server.address,
    passwordOf: role => role,
    limits: { ...POOL_LIMITS, ...limits },
    observe,
    ...more,
  });
}

/** A Postgres that one test may kill, freeze and restart. Starts in about 0.2 s. */
export interface OwnPostgres {
  server: DatabaseServer;
  url: Secret;
  /** Of the postmaster that runs now. */
  pid(): number;
  /** All its processes, at once, as the kernel does when memory is out. */
  kill(): Promise<void>;
  /** The processes are there and take connections, but nothing answers. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** On the same port. */
  start(): Promise<void>;
  remove(): Promise<void>;
}

export interface OwnPostgresOptions {
  /** What happens to the files of the cluster before it starts. */
  prepare?: (cluster: Cluster) => Promise<void>;
}

export async function startOwnPostgres({ prepare }: OwnPostgresOptions = {}): Promise<OwnPostgres> {
  const folder = await makeDataFolder();
  await copyCluster(inject('postgres').template, folder);
  const cluster = await prepareCluster(folder);
  await prepare?.(cluster);
  const port = await freePorts(1);
  let postmaster = await startPostmaster(cluster, port);
  const url = urlOf(cluster, postmaster);
  /** The postmaster first, on its own: it has no more children then. */
  const signalAll = async (signal: NodeJS.Signals): Promise<number[]> => {
    sendSignal(postmaster.pid, 'SIGSTOP');
    const all = [...(await childrenOf(postmaster.pid)), postmaster.pid];
    for (const pid of all) sendSignal(pid, signal);
    return all;
  };
  return {
    server: await openServer({ databaseUrl: url, dataFolder: folder, observe: observeNothing }),
    url,
    pid: () => postmaster.pid,
    async kill() {
      // One that still dies holds the shared memory, and the next postmaster would not start.
      for (const pid of await signalAll('SIGKILL')) while (!(await isGone(pid))) await pause(10);
    },
    freeze: async () => void (await signalAll('SIGSTOP')),
    thaw: async () => void (await signalAll('SIGCONT')),
    async start() {
      postmaster = await startPostmaster(cluster, port);
    },
    async remove() {
      await signalAll('SIGCONT');
      await removeDataFolder(folder);
    },
  };
}

export function urlOf({ password }: Cluster, { port }: Postmaster): Secret {
  return new Secret(`postgres://${SUPERUSER}:${password.reveal()}@127.0.0.1:${port}/postgres?sslmode=disable`);
}

/** With owners and modes. */
export async function copyCluster(fromDataFolder: string, toDataFolder: string): Promise<void> {
  await promisify(execFile)('cp', ['-a', join(fromDataFolder, 'postgres'), toDataFolder]);
}

// Private

const POOL_LIMITS: PoolLimits = {
  own: 2,
  rw: 4,
  ro: 4,
  total: 60,
  acquireTimeoutMs: 300,
  idleSeconds: 30,
  maxLifetimeMinutes: 30,
  maxAnswerBytes: 8_000_000,
};

async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
  const pairs = stdout
    .trim()
    .split('\n')
    .map(line => line.trim().split(/\s+/).map(Number));
  return pairs.flatMap(([child, parent]) => (child && parent === pid ? [child] : []));
}

/** With its memory: what is left of it at most waits for its parent. */
async function isGone(pid: number): Promise<boolean> {
  const state = await promisify(execFile)('ps', ['-o', 'stat=', '-p', `${pid}`]).catch(() => ({ stdout: '' }));
  return state.stdout === '' || state.stdout.startsWith('Z');
}
