import { FrameError } from '../errors.ts';
import type { Connection, Params, Result } from './connect.ts';
import { cancelled } from './gate.ts';

export interface QueryOptions {
  /** Keeps the plan on the connection, for a text that comes again. Default true. */
  prepare?: boolean | undefined;
  /** Stops the statement on the server, which answers 57014. */
  signal?: AbortSignal | undefined;
}

/** One statement that the signal can stop, not before `ready`. */
export async function runStatement(
  connection: Connection,
  text: string,
  params: Params | undefined,
  { prepare, signal }: QueryOptions = {},
  ready: Promise<unknown> = Promise.resolve(),
): Promise<Result> {
  if (signal?.aborted) throw cancelled();
  const stop = () => void ready.then(connection.cancel, () => {});
  signal?.addEventListener('abort', stop);
  try {
    return await connection.query(text, params, prepare);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** Without an answer nobody knows whether a write was done, so nobody may say that it failed. */
export function unknownOutcome(cause: unknown): FrameError {
  return new FrameError('outcome-unknown', 'The answer was lost: the change may have been made or not.', {
    hint: 'Look before you repeat it; with an idempotency_key it can be repeated safely.',
    detail: cause instanceof FrameError ? cause.detail : String(cause),
    cause,
  });
}
