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
  /**
   * Settles with what was sent, or rejects with the reason of the loss. Sends nothing on a lost line. Without an answer in
   * time the line is given up, by `lose` or as it says here.
   */
  hold<T>(send: () => PromiseLike<T>, giveUp?: (reason: FrameError) => void): Promise<T>;
  /** How long an answer may take; 0 waits for ever. */
  allow(milliseconds: number): void;
  lose(reason: FrameError): void;
  /**
   * Loses it for everybody who waits, but leaves the socket open until the server says a word or ends. In the middle of
   * one long computation a backend hears no cancel, no timeout and no closed socket: this tells when it is over.
   */
  leave(reason: FrameError): void;
  readonly lost: boolean;
  /** It was left, and the server is still at what it was asked. */
  readonly lingers: boolean;
  /** Resolves, with the reason, when the line is lost and the socket closed. */
  readonly closed: Promise<string>;
}

export function createLifeline(socket: Socket, maxAnswerBytes: number): Lifeline {
  const waiting = new Set<(reason: Error) => void>();
  const { promise: closed, resolve: settleClosed } = Promise.withResolvers<string>();
  let loss: FrameError | undefined;
  let answerBytes = 0;
  let answerMs = 0;

  function giveUp(reason: FrameError): FrameError {
    if (loss) return loss;
    loss = reason;
    for (const reject of waiting) reject(reason);
    return loss;
  }

  function lose(reason: FrameError): void {
    const { detail, message } = giveUp(reason);
    socket.destroy();
    settleClosed(detail ?? message);
  }

  function leave(reason: FrameError): void {
    if (loss) return;
    giveUp(reason);
    socket.once('data', () => socket.destroy());
    // Over a network that has gone silent too, nobody waits for ever.
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
  }

  socket.on('error', error => lose(new ConnectionLost(error.message)));
  socket.on('close', () => lose(new ConnectionLost('the server closed the connection')));

  // Only here can a value of 600 MB be stopped before it is in memory: the driver collects a row before it parses it.
  socket.on('data', (bytes: Buffer) => {
    answerBytes += bytes.length;
    if (answerBytes > maxAnswerBytes) lose(tooManyBytes(maxAnswerBytes));
  });

  function hold<T>(send: () => PromiseLike<T>, giveUpBy = lose): Promise<T> {
    if (loss) return Promise.reject(loss);
    if (waiting.size === 0) answerBytes = 0;
    return new Promise<T>((resolve, reject) => {
      // Behind what has arrived by now: after a process was stalled, timers come before sockets.
      const tooLate = () =>
        setImmediate(() => waiting.has(fail) && giveUpBy(new NoAnswer(`no answer within ${answerMs} ms`)));
      const timer = answerMs > 0 ? setTimeout(tooLate, answerMs) : undefined;
      const stop = () => {
        clearTimeout(timer);
        waiting.delete(fail);
      };
      const fail = (reason: Error) => {
        stop();
        reject(reason);
      };
      waiting.add(fail);
      send().then(value => {
        stop();
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
    leave,
    get lost() {
      return loss !== undefined;
    },
    get lingers() {
      return loss !== undefined && !socket.destroyed;
    },
    closed,
  };
}

// Private

const KEEP_ALIVE_MS = 30_000;

function tooManyBytes(limit: number): FrameError {
  return new FrameError('limit/bytes', `The answer is larger than ${Math.floor(limit / 1_000_000)} MB.`, {
    hint: 'Ask for fewer rows or fewer columns.',
  });
}
