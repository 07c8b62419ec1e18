import { FrameError } from '../errors.ts';
import { createGates } from './gate.ts';
import { loginOf, type Place } from './place.ts';
import { createPools, type PoolLimits, type PoolsOptions, type UntrustedOptions, type UntrustedRows } from './pools.ts';

/**
 * Where text runs that callers wrote: on connections of its own, so that nothing it does to a session meets the
 * statements of ours, and whoever fills them takes none from other tools. Who waits too long hears `limit/requests`.
 */
export interface SqlSessions {
  /**
   * `asker` has so many at once as the limits say, whatever the place. One that was cut off counts for as long as the
   * server is still at it, for there are computations that nothing stops.
   */
  read(asker: string, place: Place, text: string, options: UntrustedOptions): Promise<UntrustedRows>;
  depth(): { busy: number; idle: number };
  close(): Promise<void>;
}

/** The section `sql` of config/gateway.yaml: how many at once. */
export interface SqlLimits {
  perCaller: number;
  /** Of one entity and environment. */
  perPlace: number;
  total: number;
  waitMs: number;
  /** From Postgres, of one answer. */
  maxAnswerBytes: number;
}

export type SqlSessionsOptions = Omit<PoolsOptions, 'limits' | 'turnAway'> & { pools: PoolLimits; limits: SqlLimits };

export function createSqlSessions({ pools: poolLimits, limits, ...parts }: SqlSessionsOptions): SqlSessions {
  const { perCaller, perPlace, total, waitMs, maxAnswerBytes } = limits;
  const askers = createGates(perCaller, waitMs, () => tooMany('You have'));
  const pools = createPools({
    ...parts,
    limits: { ...poolLimits, ro: perPlace, total, acquireTimeoutMs: waitMs, maxAnswerBytes },
    turnAway: () => tooMany('There are'),
  });
  return {
    read: (asker, place, text, options) =>
      askers.pass(asker, stay => pools.readUntrusted(loginOf(place, 'ro'), text, { ...options, stay }), options.signal),
    depth: pools.depth,
    close: pools.close,
  };
}

// Private

function tooMany(whose: string): FrameError {
  return new FrameError('limit/requests', `${whose} too many queries running at once.`, {
    retryable: true,
    retryAfterSeconds: RETRY_SECONDS,
    hint: `Try again in ${RETRY_SECONDS} seconds; send one query after the other.`,
  });
}

const RETRY_SECONDS = 5;
