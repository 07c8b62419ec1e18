import type { IncomingMessage } from 'node:http';
import { FrameError } from '../errors.ts';
import { malformed, parseJson } from './json-guard.ts';

/**
 * The JSON body of a request, refused before anybody works for it when it is not what it should be: `args/media-type`,
 * `args/too-large` or `args/malformed`. The limits of the connection itself are in listen.ts.
 */
export async function readJson(incoming: IncomingMessage, maxBytes: number): Promise<unknown> {
  requireType(incoming, 'application/json');
  return parseJson(decode(await readBytes(incoming, maxBytes)));
}

/** As readJson, for what forms and OAuth clients send. */
export async function readForm(incoming: IncomingMessage, maxBytes: number): Promise<URLSearchParams> {
  requireType(incoming, 'application/x-www-form-urlencoded');
  return new URLSearchParams(decode(await readBytes(incoming, maxBytes)));
}

// Private

/** A sender of too much gets this long to finish, so that it reads our answer instead of a reset connection. */
const DISCARD_MS = 500;

function requireType({ headers }: IncomingMessage, type: string): void {
  const [, sent] = /^([^ ;]+) *(?:; *charset="?utf-8"?)?$/i.exec(headers['content-type'] ?? '') ?? [];
  if (sent?.toLowerCase() !== type) {
    throw new FrameError('args/media-type', `The body must be ${type}.`, { hint: `Send \`Content-Type: ${type}\`.` });
  }
  // What a compressed body unpacks to is only known when it is too late.
  if (!/^(identity)?$/i.test(headers['content-encoding'] ?? '')) {
    throw new FrameError('args/media-type', 'The body must not be compressed.', { hint: 'Send no Content-Encoding.' });
  }
}

function readBytes(incoming: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    let isRefused = false;

    const refuse = () => {
      isRefused = true;
      chunks.length = 0;
      setTimeout(() => reject(tooLarge(maxBytes)), DISCARD_MS).unref();
    };
    const take = (chunk: Buffer) => {
      length += chunk.length;
      if (isRefused) return;
      if (length > maxBytes) refuse();
      else chunks.push(chunk);
    };
    const breakOff = () => reject(malformed('The connection closed before the body was complete.'));

    if (incoming.destroyed) return breakOff();
    if (Number(incoming.headers['content-length']) > maxBytes) refuse();
    incoming
      .on('data', take)
      .on('end', () => (isRefused ? reject(tooLarge(maxBytes)) : resolve(Buffer.concat(chunks))))
      .on('error', breakOff)
      // Every request closes; an error costs a stack trace.
      .on('close', () => incoming.readableEnded || breakOff());
  });
}

function tooLarge(maxBytes: number): FrameError {
  return new FrameError('args/too-large', `The body is larger than ${maxBytes} bytes.`, {
    hint: 'Send less at a time.',
  });
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed('The body is not valid UTF-8.');
  }
}
