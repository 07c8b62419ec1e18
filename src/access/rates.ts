import {
  type RateLimiterAbstract,
  RateLimiterMemory,
  RateLimiterPostgres,
  RateLimiterRes,
} from 'rate-limiter-flexible';
import { CONTROL_LOGIN } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { FRAME_SCHEMA } from '../database/walls.ts';
import { FrameError } from '../errors.ts';

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
  /** Counted in this process alone: for what the database shall hear nothing of. */
  isLocal?: true;
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
  const limiters = new Map<string, RateLimiterAbstract>();
  const leases = new Map<string, Lease>();
  const underWay = new Map<string, Promise<void>>();

  function limiterOf({ name, perMinute, isLocal }: RateRule): RateLimiterAbstract {
    const id = `${name}/${perMinute}`;
    const known = limiters.get(id);
    if (known) return known;
    const common = { keyPrefix: name, points: perMinute, duration: WINDOW_SECONDS };
    const limiter = isLocal
      ? new RateLimiterMemory(common)
      : new RateLimiterPostgres({
          ...common,
          storeClient: asClient(pools),
          storeType: 'pool',
          schemaName: FRAME_SCHEMA,
          tableName: 'rates',
          tableCreated: true,
          clearExpiredByTimeout: true,
          insuranceLimiter: new RateLimiterMemory(common),
        });
    limiters.set(id, limiter);
    return limiter;
  }

  async function renew(rule: RateRule, key: string): Promise<void> {
    const size = Math.max(1, Math.floor(rule.perMinute / LEASES));
    const limiter = limiterOf(rule);
    const taken = await limiter.consume(key, size).catch((thrown: unknown) => {
      if (thrown instanceof RateLimiterRes) return thrown;
      throw thrown;
    });
    // Of the last lease of a minute only a part may be left.
    const overdrawn = Math.max(0, taken.consumedPoints - rule.perMinute);
    leases.set(`${rule.name}/${key}`, {
      left: Math.max(0, size - overdrawn),
      elsewhere: taken.remainingPoints,
      endsAt: now() + taken.msBeforeNext,
    });
  }

  return {
    async take(rule, key) {
      if (rule.perMinute === 0) return { rule, isOver: false, remaining: 0, resetSeconds: 0 };
      const name = `${rule.name}/${key}`;
      for (;;) {
        const lease = leases.get(name);
        if (lease && lease.endsAt > now() && (lease.left > 0 || lease.elsewhere === 0)) {
          const isOver = lease.left === 0;
          if (!isOver) lease.left -= 1;
          const resetSeconds = Math.max(1, Math.ceil((lease.endsAt - now()) / 1000));
          return { rule, isOver, remaining: lease.left + lease.elsewhere, resetSeconds };
        }
        if (!underWay.has(name)) {
          forgetOld(leases, now());
          underWay.set(
            name,
            renew(rule, key).finally(() => underWay.delete(name)),
          );
        }
        await underWay.get(name);
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
const MAX_LEASES = 10_000;

interface Lease {
  left: number;
  /** Not taken by anybody when we asked. */
  elsewhere: number;
  endsAt: number;
}

function forgetOld(leases: Map<string, Lease>, now: number): void {
  if (leases.size < MAX_LEASES) return;
  for (const [name, { endsAt }] of leases) if (endsAt <= now) leases.delete(name);
  // Ten thousand callers in a minute: who is forgotten takes a new lease, and the shared table still counts.
  if (leases.size >= MAX_LEASES) leases.clear();
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
