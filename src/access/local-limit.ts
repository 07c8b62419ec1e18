import { setNewest } from './newest.ts';

/**
 * How often somebody may do something in a minute, for what the database shall hear nothing of. Counted in memory: a
 * restart forgives, two slots double. What both slots count together is in rates.ts.
 */
export interface LocalLimit {
  /** Counts one; seconds to wait when that is one too many. */
  take(key: string): number | undefined;
  /** The next would be one too many. */
  isSpent(key: string): boolean;
}

export function createLocalLimit(perMinute: number, now: () => number): LocalLimit {
  const windows = new Map<string, Window>();

  function windowOf(key: string): Window | undefined {
    const known = windows.get(key);
    const leftMs = known ? known.endsAt - now() : 0;
    // A clock that was set back would make it last for as much longer.
    return leftMs > 0 && leftMs <= MINUTE_MS ? known : undefined;
  }

  return {
    take(key) {
      const known = windowOf(key);
      const window = known ?? { count: 0, endsAt: now() + MINUTE_MS };
      if (window.count >= perMinute) return Math.ceil((window.endsAt - now()) / 1000);
      window.count += 1;
      if (!known) setNewest(windows, key, window, MAX_WINDOWS);
      return undefined;
    },
    isSpent: key => (windowOf(key)?.count ?? 0) >= perMinute,
  };
}

// Private

interface Window {
  count: number;
  endsAt: number;
}

const MINUTE_MS = 60_000;
const MAX_WINDOWS = 10_000;
