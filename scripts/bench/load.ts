import { connect, type Socket } from 'node:net';
import { setTimeout as pass } from 'node:timers/promises';
import { type Answer, readAnswers } from './answers.ts';
import { type Line, type Meters, type Reading, type Window, watch } from './window.ts';

/** One request. An answer is good if it has status 200 and contains `expect`: an error answered fast is no win. */
export interface Question {
  body: string;
  expect: string;
}

export interface Asking {
  url: string;
  /** Taken in turn, one for each request. */
  headers: readonly Record<string, string>[];
  next(): Question;
}

/** Closed loop over HTTP: as many sockets with keep-alive as `connections`, one request in flight each. */
export function putLoad(asking: Asking, window: Window, meters: Meters): Promise<Reading> {
  const { pathname, port, hostname } = new URL(asking.url);
  const heads = asking.headers.map(headers => toHead(asking.url, pathname, headers));
  let turn = 0;
  const nextRequest = () => {
    const { body, expect } = asking.next();
    turn = (turn + 1) % heads.length;
    return { bytes: `${heads[turn]}${Buffer.byteLength(body)}\r\n\r\n${body}`, expect };
  };
  const sockets = new Set<Socket>();
  const peer = { hostname, port: Number(port), nextRequest, sockets };
  return watch(
    window,
    meters,
    line => keepAsking(peer, line),
    () => {
      for (const socket of sockets) socket.destroy();
    },
  );
}

/** The same closed loop without HTTP. `ask` rejects for a bad answer. */
export function putCalls(ask: () => Promise<void>, window: Window, meters: Meters): Promise<Reading> {
  return watch(window, meters, async line => {
    while (!line.isOver()) {
      const asked = performance.now();
      const complaint = await ask().then(() => undefined, String);
      line.report(performance.now() - asked, complaint);
      // What fails at once, as everything does on a closed pool, would let nothing else happen in this process.
      if (complaint !== undefined) await pass(RETRY_MS);
    }
  });
}

// Private

const RETRY_MS = 5;

interface Peer {
  hostname: string;
  port: number;
  nextRequest(): { bytes: string; expect: string };
  /** Those that are open. */
  sockets: Set<Socket>;
}

/** One socket that always has one request in flight, and a new one when the server closes it. */
async function keepAsking(peer: Peer, line: Line): Promise<void> {
  while (!line.isOver()) {
    await converse(peer, line);
    await pass(RETRY_MS);
  }
}

/** Until the socket closes. A server that closes it instead of answering was bad. */
function converse({ hostname, port, nextRequest, sockets }: Peer, line: Line): Promise<void> {
  const socket = connect({ host: hostname, port, noDelay: true });
  let expected = '';
  let asked = performance.now();
  let reason = 'the connection was closed';

  function ask(): void {
    const { bytes, expect } = nextRequest();
    expected = expect;
    asked = performance.now();
    socket.write(bytes);
  }

  function take({ status, body }: Answer): void {
    const isGood = status === 200 && body.includes(expected);
    line.report(performance.now() - asked, isGood ? undefined : `${status} ${body.slice(0, 300)}`);
    if (line.isOver()) socket.destroy();
    else ask();
  }

  sockets.add(socket);
  socket.on('connect', ask);
  socket.on('data', readAnswers(take));
  socket.on('error', error => {
    reason = error.message;
  });
  return new Promise(resolve => {
    socket.on('close', () => {
      sockets.delete(socket);
      if (!line.isOver()) line.report(performance.now() - asked, reason);
      resolve();
    });
  });
}

function toHead(url: string, pathname: string, headers: Record<string, string>): string {
  const lines = Object.entries({ host: new URL(url).host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${pathname} HTTP/1.1\r\n${lines.join('')}content-length: `;
}
