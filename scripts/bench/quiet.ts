import { availableParallelism } from 'node:os';
import { setTimeout as pass } from 'node:timers/promises';
import { machineMicros } from './processes.ts';

/** Waits until nobody else keeps the machine busy, all calls together no longer than this. */
export function createPatience(seconds: number): () => Promise<void> {
  let leftMs = seconds * 1000;
  return async () => {
    while (leftMs > 0) {
      leftMs -= LOOK_MS;
      const before = machineMicros();
      await pass(LOOK_MS);
      const share = (machineMicros() - before) / (LOOK_MS * 1000 * availableParallelism());
      // Where nobody says, there is nothing to wait for.
      if (!(share > BUSY)) return;
    }
  };
}

// Private

const LOOK_MS = 300;
const BUSY = 0.15;
