import { setTimeout as sleep } from 'node:timers/promises';

/** Asks again and again; false when it did not become true in time, or when `stop` says that nobody waits any more. */
export async function until(
  isSo: () => Promise<boolean> | boolean,
  withinMs: number,
  { everyMs = 50, stop }: { everyMs?: number; stop?: AbortSignal } = {},
): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    if (await isSo()) return true;
    if (stop?.aborted || performance.now() >= deadline) return false;
    await sleep(everyMs);
  }
}
