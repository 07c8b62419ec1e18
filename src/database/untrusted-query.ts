import { FrameError } from '../errors.ts';
import type { Connection, Fields } from './connect.ts';
import { cancelled, type Stay } from './gate.ts';
import { NoAnswer } from './lifeline.ts';
import type { Login } from './place.ts';

export interface UntrustedOptions {
  /** No row after these is made. */
  maxRows: number;
  /** Stops the statement on the server, which answers 57014. */
  signal?: AbortSignal | undefined;
  /** Told when the server goes on with a text that was cut off. */
  stay?: Stay;
}

export type UntrustedRows = Fields;

/**
 * One statement that somebody else wrote: of what it does to its session nothing is left, and what it answers is bounded
 * in rows here, in bytes on the socket, in time by the login. It does not judge the text; the login's rights do.
 * Whatever goes wrong ends the connection, for nobody can say what became of it.
 */
export async function readUntrusted(
  connection: Connection,
  login: Login,
  text: string,
  { maxRows, signal }: UntrustedOptions,
): Promise<UntrustedRows> {
  if (signal?.aborted) throw cancelled();
  signal?.addEventListener('abort', connection.cancel);
  try {
    await beginToRead(connection, login);
    if (signal?.aborted) throw cancelled();
    const rows = await connection.read(text, maxRows).catch(thrown => {
      throw thrown instanceof NoAnswer ? tooLong(thrown) : thrown;
    });
    await leaveNothing(connection);
    return rows;
  } catch (thrown) {
    connection.spoil();
    throw thrown;
  } finally {
    signal?.removeEventListener('abort', connection.cancel);
  }
}

// Private

/**
 * Both at once, one way there and back. The second takes the first snapshot, after which no statement can make the
 * transaction writable again; and it says who we are before the text is sent.
 */
async function beginToRead(connection: Connection, { role }: Login): Promise<void> {
  const [, { rows }] = await Promise.all([
    connection.query('begin read only', [], false),
    connection.query('select session_user', [], false),
  ]);
  if (rows[0]?.[0] !== role) throw new Error(`This session is not that of ${role}.`);
}

/** A server that was there a moment ago is busy with the text: one big value takes it longer than it looks at the time. */
function tooLong(cause: NoAnswer): FrameError {
  return new FrameError('limit/time', 'The query took too long and was cut off.', {
    hint: 'Until the server is done with it you cannot ask another one; compare and join less at once.',
    detail: cause.detail,
    cause,
  });
}

/** Settings, cursors, prepared statements, temporary tables, locks, channels. */
async function leaveNothing(connection: Connection): Promise<void> {
  await Promise.all([connection.query('rollback', [], false), connection.query('discard all', [], false)]);
}
