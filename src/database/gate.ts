import { FrameError, unavailable } from '../errors.ts';

/**
 * Lets `size` in at once and the others wait outside, first come first served, each for a bounded time. It stands in
 * front of a pool, so that overload becomes a quick answer and no queue grows.
 */
export interface Gate {
  /** Runs `work` inside. Rejects as `turnAway` says when nobody leaves in time, `limit/time` when the signal aborts. */
  pass<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
  readonly inside: number;
  readonly waiting: number;
}

export function createGate(size: number, patienceMs: number, turnAway: () => FrameError = tooBusy): Gate {
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
  }

  return {
    async pass(work, signal) {
      if (signal?.aborted) throw cancelled();
      if (inside < size) inside += 1;
      else await waitOutside(signal);
      try {
        return await work();
      } finally {
        leave();
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
  pass<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function createGates(size: number, patienceMs: number, turnAway?: () => FrameError): Gates {
  const gates = new Map<string, Gate>();
  return {
    async pass(key, work, signal) {
      const gate = gates.get(key) ?? createGate(size, patienceMs, turnAway);
      gates.set(key, gate);
      try {
        return await gate.pass(work, signal);
      } finally {
        // Whoever waits is let in before the last one inside has left.
        if (gate.inside === 0) gates.delete(key);
      }
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
