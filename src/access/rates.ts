import { RateLimiterMemory, RateLimiterPostgres, RateLimiterRes } from 'rate-limiter-flexible';
import { CONTROL_LOGIN } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { FRAME_SCHEMA } from '../database/walls.ts';
import { FrameError } from '../errors.ts';
import { setNewest } from './newest.ts';

/**
 * How often somebody may do something in a minute, counted for both slots together. A slot takes a few counts at once
 * from the shared table and spends them from memory, so that a call does not wait for another statement; while the table
 * is out of reach each slot counts for itself.
 */
export interface Rates {
  /** Counts one. `rule`: which limit; 0 per minute means none. */
  take(rule: RateRule, key: string): Promise<RateState>;
}

/** The name of the limit on all calls of somebody; every other limit is called like its tool. */
export const CALLER_RATE = 'caller';

export interface RateRule {
  name: string;
  perMinute: number;
}

/** In the words of the RateLimit header fields. */
export interface RateState {
  rule: RateRule;
  isOver: boolean;
  remaining: number;
  resetSeconds: number;
}

export interface RatesParts {
  pools: Pick<Pools, 'query'>;
  /** Milliseconds since 1970. */
  now(): number;
}

export function createRates({ pools, now }: RatesParts): Rates {
  const limits = new Map<string, Limit>();

  function limitOf({ name, perMinute }: RateRule): Limit {
    const id = `${name}/${perMinute}`;
    const known = limits.get(id);
    if (known) return known;
    const common = { keyPrefix: name, points: perMinute, duration: WINDOW_SECONDS };
    const limiter = new RateLimiterPostgres({
      ...common,
      storeClient: asClient(pools),
      storeType: 'pool',
      schemaName: FRAME_SCHEMA,
      tableName: 'rates',
      tableCreated: true,
      clearExpiredByTimeout: true,
      insuranceLimiter: new RateLimiterMemory(common),
    });
    const limit = { limiter, leases: new Map(), underWay: new Map() };
    limits.set(id, limit);
    return limit;
  }

  async function renew({ limiter, leases }: Limit, { perMinute }: RateRule, key: string): Promise<void> {
    const size = Math.max(1, Math.floor(perMinute / LEASES));
    const taken = await limiter.consume(key, size).catch((thrown: unknown) => {
      if (thrown instanceof RateLimiterRes) return thrown;
      throw thrown;
    });
    // Of the last lease of a minute only a part may be left.
    const overdrawn = Math.max(0, taken.consumedPoints - perMinute);
    const lease = {
      left: Math.max(0, size - overdrawn),
      elsewhere: taken.remainingPoints,
      endsAt: now() + taken.msBeforeNext,
    };
    // Ten thousand callers in a minute: who is forgotten takes a new lease, and the shared table still counts.
    setNewest(leases, key, lease, MAX_LEASES);
  }

  return {
    async take(rule, key) {
      if (rule.perMinute === 0) return { rule, isOver: false, remaining: 0, resetSeconds: 0 };
      const limit = limitOf(rule);
      const { leases, underWay } = limit;
      for (;;) {
        const lease = leases.get(key);
        if (lease && lease.endsAt > now() && (lease.left > 0 || lease.elsewhere === 0)) {
          const isOver = lease.left === 0;
          if (!isOver) lease.left -= 1;
          const resetSeconds = Math.max(1, Math.ceil((lease.endsAt - now()) / 1000));
          return { rule, isOver, remaining: lease.left + lease.elsewhere, resetSeconds };
        }
        if (!underWay.has(key)) {
          underWay.set(
            key,
            renew(limit, rule, key).finally(() => underWay.delete(key)),
          );
        }
        await underWay.get(key);
      }
    },
  };
}

/** `limit/requests`, with the limit that it is about: an answer names that one in its header fields. */
export class RateExceeded extends FrameError {
  readonly state: RateState;

  constructor(state: RateState) {
    const { rule, resetSeconds } = state;
    const what = rule.name === CALLER_RATE ? 'calls' : `calls of \`${rule.name}\``;
    super('limit/requests', `More than ${rule.perMinute} ${what} in a minute.`, {
      hint: `Wait ${resetSeconds} s, and ask for more at once instead of more often.`,
      retryable: true,
      retryAfterSeconds: resetSeconds,
    });
    this.state = state;
  }
}

/** Throws `limit/requests` when this was one too many. */
export function requireRate(state: RateState): void {
  if (state.isOver) throw new RateExceeded(state);
}

/** The header fields of draft-ietf-httpapi-ratelimit-headers-10. */
export function rateHeaders({ rule, remaining, resetSeconds }: RateState): Record<string, string> {
  if (rule.perMinute === 0) return {};
  return {
    'RateLimit-Policy': `"${rule.name}";q=${rule.perMinute};w=${WINDOW_SECONDS}`,
    RateLimit: `"${rule.name}";r=${remaining};t=${resetSeconds}`,
  };
}

// Private

const WINDOW_SECONDS = 60;
/** In so many parts a slot takes what one may do in a minute; the other slot may be short of at most one of them. */
const LEASES = 20;
/** Of one limit: whoever fills one, such as with wrong keys, takes nothing from those of another. */
const MAX_LEASES = 10_000;

interface Limit {
  limiter: RateLimiterPostgres;
  leases: Map<string, Lease>;
  underWay: Map<string, Promise<void>>;
}

interface Lease {
  left: number;
  /** Not taken by anybody when we asked. */
  elsewhere: number;
  endsAt: number;
}

/** What the library asks of a client of `pg`. */
function asClient(pools: RatesParts['pools']) {
  return {
    async query({ text, values }: { text: string; values: unknown[] }) {
      const { columns, rows, count } = await pools.query(CONTROL_LOGIN, text, values);
      const named = rows.map(row => Object.fromEntries(row.map((value, i) => [columns[i], toNumber(value)])));
      return { rows: named, rowCount: count };
    },
  };
}

/** A bigint comes as text. */
function toNumber(value: unknown): unknown {
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
}
