import postgres from 'postgres';
import { unavailable } from '../errors.ts';
import type { Connection, Params, Result } from './connect.ts';
import { cancelled } from './gate.ts';
import { ConnectionLost } from './lifeline.ts';
import { type QueryOptions, runStatement, unknownOutcome } from './statement.ts';

/** The statements of one transaction. */
export interface Session {
  query(text: string, params?: Params, options?: QueryOptions): Promise<Result>;
}

export interface TransactionOptions {
  readOnly?: boolean | undefined;
  /** Stops what runs; a COMMIT that was sent is not stopped. */
  signal?: AbortSignal | undefined;
}

/**
 * BEGIN, work, COMMIT; ROLLBACK when work throws. A connection lost before COMMIT was sent is `unavailable`, for then
 * nothing was changed; lost after it, `outcome-unknown`.
 */
export async function runTransaction<T>(
  connection: Connection,
  work: (session: Session) => Promise<T>,
  { readOnly = false, signal }: TransactionOptions,
): Promise<T> {
  if (signal?.aborted) throw cancelled();
  // Not awaited: it travels with the first statement. But no answer is believed, and nothing stopped, before its own.
  const begun = connection.query(readOnly ? 'begin read only' : 'begin').catch(async thrown => {
    const wasAnswered = !connection.broken;
    await connection.close();
    // Postgres refused BEGIN but ran the statement behind it, on its own.
    throw wasAnswered && !readOnly ? unknownOutcome(thrown) : thrown;
  });
  const stop = () => void begun.then(connection.cancel, () => {});
  signal?.addEventListener('abort', stop);
  let open = true;
  let firstError: unknown;

  async function query(text: string, params?: Params, options?: QueryOptions): Promise<Result> {
    if (!open) throw new Error('This transaction is over.');
    if (signal?.aborted) throw cancelled();
    try {
      const [result] = await Promise.all([runStatement(connection, text, params, options, begun), begun]);
      return result;
    } catch (thrown) {
      firstError ??= thrown;
      throw thrown;
    }
  }

  function end(): void {
    open = false;
    signal?.removeEventListener('abort', stop);
  }

  try {
    const [value] = await Promise.all([work({ query }), begun]);
    if (signal?.aborted) throw cancelled();
    end();
    const { command } = await connection.query('commit').catch(thrown => {
      throw thrown instanceof ConnectionLost && !readOnly ? unknownOutcome(thrown) : thrown;
    });
    // Postgres answers ROLLBACK when a statement failed and `work` went on all the same.
    if (command !== 'COMMIT') throw firstError ?? new Error(`COMMIT was answered by ${command}.`);
    return value;
  } catch (thrown) {
    end();
    if (!connection.broken) await connection.query('rollback').catch(connection.close);
    throw isStalePlan(thrown) ? unavailable('The table was changed just now.', { cause: thrown }) : thrown;
  }
}

// Private

/** A kept plan whose columns have another type since: outside a transaction the driver plans anew by itself. */
function isStalePlan(thrown: unknown): boolean {
  return thrown instanceof postgres.PostgresError && thrown.routine === 'RevalidateCachedQuery';
}
