/**
 * Runs `work` with a signal that aborts when the asker is gone or the time is up. Work that does not notice within the
 * grace period is left to itself, and `late` says what the caller hears. One timer, cleared as soon as the work ends:
 * AbortSignal.timeout would keep every call in memory until its time is over.
 */
export async function withDeadline<T>(
  asker: AbortSignal,
  milliseconds: number,
  work: (signal: AbortSignal) => Promise<T>,
  late: () => Error,
): Promise<T> {
  const stop = new AbortController();
  const abandoned = Promise.withResolvers<never>();
  let graceTimer: NodeJS.Timeout | undefined;
  const end = () => {
    stop.abort();
    graceTimer ??= setTimeout(() => abandoned.reject(late()), GRACE_MS);
  };
  const timer = setTimeout(end, milliseconds);
  if (asker.aborted) end();
  else asker.addEventListener('abort', end, { once: true });
  try {
    return await Promise.race([work(stop.signal), abandoned.promise]);
  } finally {
    clearTimeout(timer);
    clearTimeout(graceTimer);
    asker.removeEventListener('abort', end);
  }
}

// Private

const GRACE_MS = 3000;
