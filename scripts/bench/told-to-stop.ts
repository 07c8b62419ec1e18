/**
 * Resolves at the first signal that asks this process to end. Others change nothing: a Ctrl-C under npm comes twice, from
 * the terminal and from npm, and who dies of the second one leaves Postgres behind.
 */
export function toldToStop(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  return promise.then(() => {
    process.exitCode = 1;
  });
}
