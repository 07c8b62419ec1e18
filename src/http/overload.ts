import { monitorEventLoopDelay } from 'node:perf_hooks';
import { unavailable } from '../errors.ts';

/** Turns work away while there is too much of it. */
export interface Overload {
  /** Throws `unavailable` while we are full or stalled. */
  requireRoom(): void;
  /** Counts a call that is about to be made; `work` is not begun without room. */
  within<T>(work: () => Promise<T>): Promise<T>;
}

/** `lagMs`: how late the event loop is. */
export function createOverload(maxConcurrent: number, lagMs: () => number): Overload {
  let underWay = 0;

  function requireRoom(): void {
    if (underWay >= maxConcurrent || (underWay >= FEW && lagMs() > MAX_LAG_MS)) {
      throw unavailable('There is more to do than can be done now.', { hint: 'Try again in a moment.' });
    }
  }

  return {
    requireRoom,
    async within(work) {
      requireRoom();
      underWay += 1;
      try {
        return await work();
      } finally {
        underWay -= 1;
      }
    },
  };
}

/** How late the event loop is and stays: the 99th percentile of the last seconds, in milliseconds. */
export function watchLag(): { lagMs(): number; stop(): void } {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  const lasting = createLasting();
  let lag = 0;
  const timer = setInterval(() => {
    lag = lasting(Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION_MS));
    histogram.reset();
  }, WINDOW_MS).unref();
  return {
    lagMs: () => lag,
    stop() {
      clearInterval(timer);
      histogram.disable();
    },
  };
}

/**
 * Of two windows in a row, the lesser. A window has so few samples that its percentile is that of its worst stall, and one
 * that is over is no reason to turn work away.
 */
export function createLasting(): (lagMs: number) => number {
  let before = 0;
  return lagMs => {
    const lasting = Math.min(before, lagMs);
    before = lagMs;
    return lasting;
  };
}

// Private

const MAX_LAG_MS = 200;
/** So few calls are not what stalls us, and turning them away would not help. */
const FEW = 4;
const RESOLUTION_MS = 20;
const WINDOW_MS = 2000;
