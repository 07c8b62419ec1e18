import type { Socket } from 'node:net';
import { FrameError } from '../errors.ts';

/** The answer, if there was one, did not arrive. As it stands it is right for whoever only wanted to read. */
export class ConnectionLost extends FrameError {
  constructor(reason: string, cause?: unknown) {
    const facts = { retryable: true, retryAfterSeconds: 1, detail: reason, cause };
    super('unavailable', 'The database cannot be reached now.', facts);
  }
}

/** The server did not say a word for too long. */
export class NoAnswer extends ConnectionLost {}

/**
 * Everything that waits on one socket, and what becomes of it when the socket dies. postgres.js forgets a query that
 * was sent after the socket broke, and throws out of a timer when one is sent after it closed: so nothing is sent once
 * the line is lost, and nothing waits longer than the line lives.
 */
export interface Lifeline {
  /** Settles with what was sent, or rejects with the reason of the loss. Sends nothing on a lost line. */
  hold<T>(send: () => PromiseLike<T>): Promise<T>;
  /** How long an answer may take; 0 waits for ever. */
  allow(milliseconds: number): void;
  lose(reason: FrameError): void;
  readonly lost: boolean;
  /** Resolves, with the reason, when the line is lost. */
  readonly closed: Promise<string>;
}

export function createLifeline(socket: Socket, maxAnswerBytes: number): Lifeline {
  const waiting = new Set<(reason: Error) => void>();
  const { promise: closed, resolve: settleClosed } = Promise.withResolvers<string>();
  let loss: FrameError | undefined;
  let answerBytes = 0;
  let answerMs = 0;

  function lose(reason: FrameError): void {
    if (loss) return;
    loss = reason;
    socket.destroy();
    for (const reject of waiting) reject(reason);
    settleClosed(reason.detail ?? reason.message);
  }

  socket.on('error', error => lose(new ConnectionLost(error.message)));
  socket.on('close', () => lose(new ConnectionLost('the server closed the connection')));

  // Only here can a value of 600 MB be stopped before it is in memory: the driver collects a row before it parses it.
  socket.on('data', (bytes: Buffer) => {
    answerBytes += bytes.length;
    if (answerBytes > maxAnswerBytes) lose(tooManyBytes(maxAnswerBytes));
  });

  function hold<T>(send: () => PromiseLike<T>): Promise<T> {
    if (loss) return Promise.reject(loss);
    if (waiting.size === 0) answerBytes = 0;
    return new Promise<T>((resolve, reject) => {
      const tooLate = () => lose(new NoAnswer(`no answer within ${answerMs} ms`));
      const timer = answerMs > 0 ? setTimeout(tooLate, answerMs) : undefined;
      const fail = (reason: Error) => {
        clearTimeout(timer);
        waiting.delete(fail);
        reject(reason);
      };
      waiting.add(fail);
      send().then(value => {
        clearTimeout(timer);
        waiting.delete(fail);
        resolve(value);
      }, fail);
    });
  }

  return {
    hold,
    allow(milliseconds) {
      answerMs = milliseconds;
    },
    lose,
    get lost() {
      return loss !== undefined;
    },
    closed,
  };
}

// Private

function tooManyBytes(limit: number): FrameError {
  return new FrameError('limit/bytes', `The answer is larger than ${Math.floor(limit / 1_000_000)} MB.`, {
    hint: 'Ask for fewer rows or fewer columns.',
  });
}
