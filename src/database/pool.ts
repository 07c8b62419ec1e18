import type { Connection } from './connect.ts';
import type { Gate, Stay } from './gate.ts';

export interface PoolOptions {
  /** As many as may use this pool at once. */
  gate: Gate;
  /** As many as may use all pools at once. */
  total: Gate;
  maxLifetimeMs: number;
  open(): Promise<Connection>;
  /** Connections that have been unused since before this, in milliseconds of performance.now(), are not used again. */
  trustedSince(): number;
  /** A connection was lost that we did not close. */
  onLost(reason: string): void;
}

/** The connections of one login: opened when needed, given to one user at a time, the last used first. */
export interface Pool {
  /** `stay`: of a gate further out, where whoever left a connection behind that lingers has a place too. */
  use<T>(work: (connection: Connection) => Promise<T>, signal?: AbortSignal, stay?: Stay): Promise<T>;
  /** Connections that nobody uses now. */
  readonly idle: number;
  /** When the longest unused one came back, in milliseconds of performance.now(); Infinity without one. */
  readonly idleSince: number;
  closeLongestIdle(): void;
  /** Nobody uses it or waits for it, and it holds no connection. */
  readonly isEmpty: boolean;
  /** Closes what is idle now and the others when they come back, and resolves then. */
  close(): Promise<void>;
}

export function createPool({ gate, total, maxLifetimeMs, open, trustedSince, onLost }: PoolOptions): Pool {
  const live = new Set<Connection>();
  /** Nobody uses these any more, but the server is still at work for them. */
  const lingering = new Set<Connection>();
  /** The longest unused first. */
  const idle: Kept[] = [];
  let closing = false;

  async function add(): Promise<Kept> {
    const connection = await open();
    const kept = { connection, bornAt: performance.now(), idleSince: 0 };
    live.add(connection);
    connection.closed.then(reason => {
      const index = idle.indexOf(kept);
      if (index >= 0) idle.splice(index, 1);
      if (live.delete(connection)) onLost(reason);
    });
    return kept;
  }

  function giveBack(kept: Kept, stay: Stay): void {
    kept.idleSince = performance.now();
    if (kept.connection.lingers && !closing) linger(kept, stay);
    else if (closing || kept.connection.broken || kept.idleSince - kept.bornAt > maxLifetimeMs) retire(kept);
    else idle.push(kept);
  }

  function retire({ connection }: Kept): void {
    live.delete(connection);
    connection.close();
  }

  function linger({ connection }: Kept, stay: Stay): void {
    live.delete(connection);
    lingering.add(connection);
    connection.closed.then(() => lingering.delete(connection));
    stay(connection.closed);
    onLost(LINGERS);
  }

  function takeIdle(): Kept | undefined {
    while (idle[0] && idle[0].idleSince < trustedSince()) retireLongestIdle();
    return idle.pop();
  }

  function retireLongestIdle(): void {
    const kept = idle.shift();
    if (kept) retire(kept);
  }

  async function useInside<T>(work: (connection: Connection) => Promise<T>, stay: Stay): Promise<T> {
    const kept = takeIdle() ?? (await add());
    try {
      return await work(kept.connection);
    } finally {
      giveBack(kept, stay);
    }
  }

  return {
    // In this order: who waits for a busy login holds nothing that others wait for.
    use: (work, signal, stay = () => {}) =>
      gate.pass(stayHere => {
        const use = (stayInAll: Stay) =>
          useInside(work, until => {
            for (const each of [stay, stayHere, stayInAll]) each(until);
          });
        return total.pass(use, signal);
      }, signal),
    get idle() {
      return idle.length;
    },
    get idleSince() {
      return idle[0]?.idleSince ?? Number.POSITIVE_INFINITY;
    },
    closeLongestIdle: retireLongestIdle,
    get isEmpty() {
      return gate.inside === 0 && live.size === 0;
    },
    async close() {
      closing = true;
      const all = [...live, ...lingering].map(({ closed }) => closed);
      for (const connection of lingering) connection.close();
      for (const kept of idle.splice(0)) retire(kept);
      await Promise.all(all);
    },
  };
}

// Private

const LINGERS = 'the server is still at a query that nobody waits for any more';

interface Kept {
  connection: Connection;
  bornAt: number;
  idleSince: number;
}
