import { setTimeout } from 'node:timers/promises';

/** 128 + SIGINT, as shells have it. */
export const INTERRUPTED = 130;

/**
 * Does the work until it ends or somebody presses Ctrl-C: then `leave` is called, the work has a moment to let go of what
 * it holds, and nothing comes of it. A second Ctrl-C ends the process where it stands.
 */
export async function untilInterrupted<T>(
  leave: () => void,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const leaving = new AbortController();
  const left = Promise.withResolvers<undefined>();
  const onSignal = () => {
    leave();
    leaving.abort(new Error('Somebody has left.'));
    left.resolve(setTimeout(LET_GO_MS, undefined, { ref: false }));
  };
  process.once('SIGINT', onSignal);
  try {
    const result = await Promise.race([work(leaving.signal), left.promise]);
    return leaving.signal.aborted ? undefined : result;
  } catch (thrown) {
    if (leaving.signal.aborted) return undefined;
    throw thrown;
  } finally {
    process.off('SIGINT', onSignal);
  }
}

// Private

const LET_GO_MS = 5_000;
