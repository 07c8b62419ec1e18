import { createLocalLimit } from '../access/local-limit.ts';
import { networkOf } from '../address.ts';

/**
 * Documents that nobody here has read before, fetched because somebody at an address names them: a few at once and some in a
 * minute, so that one stranger with slow hosts leaves room for everybody else.
 */
export interface Newcomers {
  /** Undefined: too many from there. Otherwise call it when the fetch is over. */
  enter(from: string): (() => void) | undefined;
}

export function createNewcomers(now: () => number): Newcomers {
  const limit = createLocalLimit(PER_MINUTE, now);
  const inside = new Map<string, number>();

  function change(network: string, by: number): void {
    const count = (inside.get(network) ?? 0) + by;
    if (count > 0) inside.set(network, count);
    else inside.delete(network);
  }

  return {
    enter(from) {
      const network = networkOf(from);
      if ((inside.get(network) ?? 0) >= AT_ONCE || limit.take(network) !== undefined) return undefined;
      change(network, 1);
      return () => change(network, -1);
    },
  };
}

// Private

/** Of the 20 that there are at once. */
const AT_ONCE = 5;
/** ChatGPT has a document for each connection: a whole office may connect on one morning. */
const PER_MINUTE = 30;
