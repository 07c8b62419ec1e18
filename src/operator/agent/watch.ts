import { setTimeout as sleep } from 'node:timers/promises';
import { describe, whyWorse } from './compare.ts';
import type { Slot } from './layout.ts';
import { askReady } from './loopback.ts';
import { between, type Counts, readCounts } from './metrics.ts';
import { isAlive, type Life } from './processes.ts';
import type { WatchLimits } from './protocol.ts';

/** What a slot that has taken over is held against. */
export interface Yardstick {
  /** What the slot before did; undefined when there was none. */
  baseline: Counts | undefined;
  /** What the new one had done when it took over; undefined: nothing. */
  start?: Counts;
  /** Its process by then. */
  runner: Life | undefined;
}

export interface Watch extends Yardstick {
  slot: Slot;
  port: number;
  limits: WatchLimits;
  stop?: AbortSignal;
}

/** Resolves when the time is over, or before that with `fault`: why the new slot must not go on. */
export async function watch(watched: Watch): Promise<{ fault?: string; seen: string }> {
  const { slot, port, baseline, start, runner, limits, stop } = watched;
  const deadline = performance.now() + limits.seconds * 1000;
  let notReady = 0;
  let seen = 'no numbers';
  for (;;) {
    const [ready, counts] = await Promise.all([askReady(port), readCounts(port)]);
    if (!runner || !(await isAlive(runner))) return { fault: `the process of ${slot} ended`, seen };
    notReady = ready?.status === 200 ? 0 : notReady + 1;
    if (notReady >= NOT_READY_LIMIT) return { fault: `${slot} was not ready ${notReady} times in a row`, seen };
    if (counts) {
      const fresh = between(start, counts);
      seen = describe(fresh, baseline);
      const fault = whyWorse(fresh, baseline, limits);
      if (fault) return { fault, seen };
    }
    const left = deadline - performance.now();
    if (left <= 0) return { seen };
    if (stop?.aborted) return { seen: `${seen}; cut short` };
    await sleep(Math.min(EVERY_MS, left));
  }
}

/** What the old slot did lately, when that is enough to compare with, else in all its life, as far as it is known. */
export function baselineOf(
  earlier: Counts | undefined,
  atFlip: Counts | undefined,
  minRequests: number,
): Counts | undefined {
  if (!atFlip) return earlier;
  const lately = between(earlier, atFlip);
  return lately.requests >= minRequests && lately.calls >= minRequests ? lately : atFlip;
}

// Private

const EVERY_MS = 500;
const NOT_READY_LIMIT = 3;
