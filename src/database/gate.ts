import { FrameError, unavailable } from '../errors.ts';

/**
 * Lets `size` in at once and the others wait outside, first come first served, each for a bounded time. It stands in
 * front of a pool, so that overload becomes a quick answer and no queue grows.
 */
export interface Gate {
  /** Runs `work` inside. Rejects as `turnAway` says when nobody leaves in time, `limit/time` when the signal aborts. */
  pass<T>(work: (stay: Stay) => Promise<T>, signal?: AbortSignal): Promise<T>;
  readonly inside: number;
  readonly waiting: number;
}

/** Keeps the place of whoever calls it until this has settled, though the answer is out before. */
export type Stay = (until: Promise<unknown>) => void;

export function createGate(
  size: number,
  patienceMs: number,
  turnAway: () => FrameError = tooBusy,
  onLeft: () => void = () => {},
): Gate {
  // A set keeps the order and forgets anybody at once, wherever they stand.
  const queue = new Set<() => void>();
  let inside = 0;

  function waitOutside(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const stopWaiting = () => {
        queue.delete(enter);
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
      };
      const enter = () => {
        stopWaiting();
        resolve();
      };
      const giveUp = () => {
        stopWaiting();
        reject(cancelled());
      };
      const waitedTooLong = () => {
        stopWaiting();
        reject(turnAway());
      };
      const timer = setTimeout(waitedTooLong, patienceMs);
      signal?.addEventListener('abort', giveUp);
      queue.add(enter);
    });
  }

  /** Whoever leaves hands the place to the next in line: nobody can slip in between. */
  function leave(): void {
    const [next] = queue;
    if (next) next();
    else inside -= 1;
    onLeft();
  }

  return {
    async pass(work, signal) {
      if (signal?.aborted) throw cancelled();
      if (inside < size) inside += 1;
      else await waitOutside(signal);
      const stays: Promise<unknown>[] = [];
      try {
        return await work(until => stays.push(until));
      } finally {
        if (stays.length === 0) leave();
        else void Promise.allSettled(stays).then(leave);
      }
    },
    get inside() {
      return inside;
    },
    get waiting() {
      return queue.size;
    },
  };
}

/** A gate for each key, there for as long as somebody is inside. */
export interface Gates {
  pass<T>(key: string, work: (stay: Stay) => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function createGates(size: number, patienceMs: number, turnAway?: () => FrameError): Gates {
  const gates = new Map<string, Gate>();
  return {
    pass(key, work, signal) {
      // Whoever waits is let in before the last one inside has left.
      const onLeft = () => void (gate.inside === 0 && gates.delete(key));
      const gate = gates.get(key) ?? createGate(size, patienceMs, turnAway, onLeft);
      const passing = gate.pass(work, signal);
      if (gate.inside > 0) gates.set(key, gate);
      return passing;
    },
  };
}

export function tooBusy(): FrameError {
  return unavailable('Too much is going on right now.');
}

/** The caller went away, or its time was up, before the database began. */
export function cancelled(): FrameError {
  return new FrameError('limit/time', 'The call was stopped before it began.', { retryable: true });
}
