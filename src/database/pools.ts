import { type FrameError, toFrameError } from '../errors.ts';
import type { Observe } from '../observe.ts';
import { type Breaker, createBreaker } from './breaker.ts';
import { type Connection, type ConnectionLimits, openConnection, type Params, type Result } from './connect.ts';
import { createGate, type Stay, tooBusy } from './gate.ts';
import { ConnectionLost } from './lifeline.ts';
import { startListening } from './listen.ts';
import { catalogLogin, type Login } from './place.ts';
import { createPool, type Pool } from './pool.ts';
import type { ServerAddress } from './socket.ts';
import { type QueryOptions, runStatement, unknownOutcome } from './statement.ts';
import { runTransaction, type Session, type TransactionOptions } from './transaction.ts';
import { readUntrusted, type UntrustedOptions, type UntrustedRows } from './untrusted-query.ts';

export type { Params, QueryOptions, Result, Session, TransactionOptions, UntrustedOptions, UntrustedRows };

/**
 * Every query that Frame sends on behalf of somebody: on the login that it belongs to, and on no other. One small lazy
 * pool per login, all of them bounded together. Postgres' own errors come raw, as postgres.PostgresError.
 */
export interface Pools {
  /** One statement, autocommit. When the answer to a login that may write is lost: `outcome-unknown`. */
  query(login: Login, text: string, params?: Params, options?: QueryOptions): Promise<Result>;
  /** BEGIN, work, COMMIT; ROLLBACK when work throws. When the answer to COMMIT is lost: `outcome-unknown`. */
  transaction<T>(login: Login, work: (session: Session) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** One statement that somebody else wrote, in a transaction that only reads; a failure ends its connection. */
  readUntrusted(login: Login, text: string, options: UntrustedOptions): Promise<UntrustedRows>;
  /** Notifications of one channel, on a connection of its own that comes back; `onGap`: some may have been missed. */
  listen(
    login: Login,
    channel: string,
    onNotify: (payload: string) => void,
    onGap: () => void,
  ): Promise<() => Promise<void>>;
  /** Connections in use and idle, over all logins: for operators. */
  depth(): { busy: number; idle: number };
  /** Lets what runs end, refuses the rest. */
  close(): Promise<void>;
}

/** The section `pools` of config/gateway.yaml. */
export interface PoolLimits {
  /** Connections of each `own_`, `rw_`, `ro_` login; the gateway's own logins have as many as `rw_`. */
  own: number;
  rw: number;
  ro: number;
  /** Over all logins. Being replaced, one more may be open for a moment. */
  total: number;
  acquireTimeoutMs: number;
  idleSeconds: number;
  maxLifetimeMinutes: number;
  maxAnswerBytes: number;
}

/** What the configuration leaves to us. */
export type PoolTimes = Omit<ConnectionLimits, 'maxAnswerBytes'>;

export interface PoolsOptions {
  server: ServerAddress;
  passwordOf(role: string): string;
  limits: PoolLimits;
  observe: Observe;
  /** One for all pools of a server. */
  breaker?: Breaker;
  times?: PoolTimes | undefined;
  /** What somebody hears who waited for a connection in vain. */
  turnAway?: () => FrameError;
}

export function createPools(options: PoolsOptions): Pools {
  const { server, passwordOf, limits, observe, times = TIMES, turnAway = tooBusy } = options;
  const { breaker = createBreaker(observe, () => performance.now()) } = options;
  const pools = new Map<string, Pool>();
  const listeners: (() => Promise<void>)[] = [];
  const total = createGate(limits.total, limits.acquireTimeoutMs, () => refuse('*'));
  const sweeper = setInterval(sweep, SWEEP_MS).unref();
  const connectionLimits = { ...times, maxAnswerBytes: limits.maxAnswerBytes };
  let closed = false;

  async function open({ role, database }: Login, onNotify?: OnNotify): Promise<Connection> {
    const options = {
      address: server,
      user: role,
      password: passwordOf(role),
      database,
      limits: connectionLimits,
      onNotify,
    };
    if (closed) throw new ConnectionLost('the gateway is shutting down');
    try {
      const connection = await openConnection(options);
      breaker.answered();
      return connection;
    } catch (thrown) {
      observe({ kind: 'database-lost', role, reason: toFrameError(thrown).detail ?? '' });
      breaker.connectFailed(thrown);
      throw thrown;
    }
  }

  function poolOf(login: Login): Pool {
    const key = `${login.role}/${login.database}`;
    const known = pools.get(key);
    if (known) return known;
    const pool = createPool({
      gate: createGate(sizeOf(login.role, limits), limits.acquireTimeoutMs, () => refuse(login.role)),
      total,
      maxLifetimeMs: limits.maxLifetimeMinutes * 60_000,
      open: () => {
        makeRoom();
        return open(login);
      },
      trustedSince: () => breaker.openedAt,
      onLost: reason => observe({ kind: 'database-lost', role: login.role, reason }),
    });
    pools.set(key, pool);
    return pool;
  }

  function refuse(role: string): FrameError {
    observe({ kind: 'database-busy', role });
    return turnAway();
  }

  /** One more is about to open: the connection that nobody has used for the longest time makes way. */
  function makeRoom(): void {
    const all = [...pools.values()];
    const idle = all.reduce((sum, pool) => sum + pool.idle, 0);
    if (idle + total.inside <= limits.total) return;
    all.reduce((one, other) => (other.idleSince < one.idleSince ? other : one)).closeLongestIdle();
  }

  function sweep(): void {
    const tooLong = performance.now() - limits.idleSeconds * 1000;
    for (const [key, pool] of pools) {
      while (pool.idleSince < tooLong) pool.closeLongestIdle();
      if (pool.isEmpty) pools.delete(key);
    }
  }

  /** With a connection, when the server is there; and what became of it tells whether it is. */
  async function use<T>(
    login: Login,
    work: (connection: Connection) => Promise<T>,
    signal?: AbortSignal,
    stay?: Stay,
  ): Promise<T> {
    breaker.requireServer();
    try {
      const value = await poolOf(login).use(work, signal, stay);
      breaker.answered();
      return value;
    } catch (thrown) {
      breaker.statementFailed(thrown, login.database);
      throw thrown;
    }
  }

  return {
    query: (login, text, params, options) =>
      use(
        login,
        connection =>
          runStatement(connection, text, params, options).catch(thrown => {
            throw thrown instanceof ConnectionLost && !isReader(login) ? unknownOutcome(thrown) : thrown;
          }),
        options?.signal,
      ),
    transaction: (login, work, options = {}) =>
      use(login, connection => runTransaction(connection, work, options), options.signal),
    readUntrusted: (login, text, options) =>
      use(login, connection => readUntrusted(connection, login, text, options), options.signal, options.stay),
    async listen(login, channel, onNotify, onGap) {
      const stop = await startListening({
        open: onMessage => open(login, onMessage),
        channel,
        onNotify,
        onGap,
        onCrash: error => observe({ kind: 'crash-averted', where: `notifications of ${channel}`, error }),
      });
      listeners.push(stop);
      return stop;
    },
    depth: () => ({ busy: total.inside, idle: [...pools.values()].reduce((sum, pool) => sum + pool.idle, 0) }),
    async close() {
      closed = true;
      clearInterval(sweeper);
      await Promise.all([...pools.values()].map(pool => pool.close()));
      await Promise.all(listeners.map(stop => stop()));
    },
  };
}

// Private

const TIMES = { connectMs: 3000, graceMs: 1000, queryMs: 30_000 };
const SWEEP_MS = 1000;

type OnNotify = (channel: string, payload: string) => void;

/** As many as the role may have connections; the gateway's own logins are neither designers nor readers. */
function sizeOf(role: string, { own, rw, ro }: PoolLimits): number {
  if (role.startsWith('own_')) return own;
  return role.startsWith('ro_') ? ro : rw;
}

function isReader({ role, database }: Login): boolean {
  return role.startsWith('ro_') || role === catalogLogin(database).role;
}
