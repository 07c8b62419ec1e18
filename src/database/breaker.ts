import postgres from 'postgres';
import { FrameError, unavailable } from '../errors.ts';
import type { Observe } from '../observe.ts';
import { NoAnswer } from './lifeline.ts';

/**
 * Whether a Postgres server is there at all, so that nobody waits for one that is not. After five failures in a row it
 * is given up: calls are refused at once, and one a second gets through to try. The first answer, whatever it says, ends
 * that. Refusals and errors of SQL are answers, so no tenant's statements shut out another.
 */
export interface Breaker {
  /** Throws `unavailable` while the server is given up. */
  requireServer(): void;
  answered(): void;
  connectFailed(thrown: unknown): void;
  statementFailed(thrown: unknown, database: string): void;
  readonly isOpen: boolean;
  /** When the server was last given up, by the clock: connections that lay idle then may be dead without a word. */
  readonly openedAt: number;
}

/** `now`: milliseconds that only go forward. */
export function createBreaker(observe: Observe, now: () => number): Breaker {
  /** Databases in which a statement had no answer: what hangs in one of them alone counts once, however often. */
  const silent = new Set<string>();
  let unreachable = 0;
  let isOpen = false;
  let openedAt = Number.NEGATIVE_INFINITY;
  let triedAt = Number.NEGATIVE_INFINITY;

  function answered(): void {
    unreachable = 0;
    silent.clear();
    if (!isOpen) return;
    isOpen = false;
    observe({ kind: 'database-back', milliseconds: Math.round(now() - openedAt) });
  }

  function openAfterTooMany(): void {
    if (isOpen || unreachable + silent.size < MAX_FAILURES) return;
    isOpen = true;
    openedAt = now();
    triedAt = openedAt;
    observe({ kind: 'database-given-up', failures: MAX_FAILURES });
  }

  return {
    requireServer() {
      if (!isOpen) return;
      if (now() - triedAt < TRY_AGAIN_MS)
        throw unavailable('The database cannot be reached now.', { detail: GIVEN_UP });
      triedAt = now();
    },
    answered,
    connectFailed(thrown) {
      if (isAnswer(causeOf(thrown))) return answered();
      unreachable += 1;
      openAfterTooMany();
    },
    statementFailed(thrown, database) {
      if (isAnswer(thrown)) return answered();
      if (!isSilence(thrown)) return;
      silent.add(database);
      openAfterTooMany();
    },
    get isOpen() {
      return isOpen;
    },
    get openedAt() {
      return openedAt;
    },
  };
}

// Private

const MAX_FAILURES = 5;
const TRY_AGAIN_MS = 1000;
const GIVEN_UP = 'the server was given up after failures in a row';
/** It starts, stops or recovers. */
const CANNOT_CONNECT_NOW = '57P03';

function isAnswer(thrown: unknown): boolean {
  return thrown instanceof postgres.PostgresError && thrown.code !== CANNOT_CONNECT_NOW;
}

/** A query that a caller wrote is `limit/time` when it was cut off: what it did to its backend is its own doing. */
function isSilence(thrown: unknown): boolean {
  if (thrown instanceof FrameError && thrown.code === 'outcome-unknown') return thrown.cause instanceof NoAnswer;
  return thrown instanceof NoAnswer;
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof Error ? thrown.cause : undefined;
}
