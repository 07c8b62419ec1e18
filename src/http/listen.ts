import { once } from 'node:events';
import { createServer, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { getRequestListener } from '@hono/node-server';
import type { GatewayConfig } from '../config/gateway-config.ts';
import { FrameError, WrongConfiguration } from '../errors.ts';
import type { Observe } from '../observe.ts';
import type { App } from './app.ts';
import { type Marks, requestIdOf } from './marks.ts';
import { toProblem } from './problem.ts';

/** The socket under the app: who may hold it how long, what garbage gets for an answer, and how it is left. */
export interface ListenParts {
  app: App;
  marks: Marks;
  host: string;
  /** 0: any free one. */
  port: number;
  limits: GatewayConfig['http'];
  observe: Observe;
}

export interface Listening {
  port: number;
  /** Is not ready any more, takes no new connections, lets calls in flight end. Resolves when nothing is open. */
  drain(): Promise<void>;
}

/** Throws WrongConfiguration when the address cannot be had. */
export async function listen({ app, marks, host, port, limits, observe }: ListenParts): Promise<Listening> {
  const server = createServer(
    {
      // A request without one gets the same 400 (RFC 9112 §3.2) from us, with our marks, instead of Node's bare one.
      requireHostHeader: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: limits.headersTimeoutSeconds * 1000,
      requestTimeout: limits.requestTimeoutSeconds * 1000,
      keepAliveTimeout: limits.keepAliveSeconds * 1000,
      connectionsCheckingInterval: CHECK_CONNECTIONS_MS,
    },
    getRequestListener(app.fetch, { errorHandler: () => refuseUnreadable(marks) }),
  );
  server.maxConnections = limits.maxConnections;
  server.timeout = IDLE_MS;
  answerGarbage(server, marks);
  await bind(server, host, port);
  // Without a listener, running out of file descriptors at accept(2) would end the process.
  server.on('error', error => observe({ kind: 'crash-averted', where: 'server', error }));

  const address = server.address();
  let drained: Promise<void> | undefined;
  return {
    port: typeof address === 'object' && address ? address.port : port,
    drain() {
      drained ??= drain(server, app, limits.drainSeconds);
      return drained;
    },
  };
}

// Private

const MAX_HEADER_BYTES = 16 * 1024;
/** A connection on which nothing moves, such as one whose client stopped reading. Above the longest call. */
const IDLE_MS = 120_000;
const CHECK_CONNECTIONS_MS = 1000;
const LAST_REQUESTS_MS = 250;
const CLOSE_IDLE_MS = 50;

async function bind(server: Server, host: string, port: number): Promise<void> {
  try {
    server.listen(port, host);
    await once(server, 'listening');
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    const sentence =
      code === 'EADDRINUSE'
        ? `${host}:${port} is in use by another process: stop that one, or choose another port.`
        : `Cannot listen on ${host}:${port}: ${message}.`;
    throw new WrongConfiguration([{ file: 'FRAME_LISTEN', sentence }]);
  }
}

async function drain(server: Server, app: App, drainSeconds: number): Promise<void> {
  app.beginDraining();
  // close() resets connections that look idle. Requests that are already on their way get in first, and their answers
  // close their connections.
  await sleep(LAST_REQUESTS_MS);
  const closed = once(server, 'close');
  server.close();
  // A connection that was busy at close() would otherwise stay open, and be used again.
  const closeIdle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_MS);
  const cut = setTimeout(() => server.closeAllConnections(), drainSeconds * 1000);
  await closed;
  clearInterval(closeIdle);
  clearTimeout(cut);
}

/** A request whose address or Host is no URL: it never reaches the app. */
function refuseUnreadable(marks: Marks): Response {
  const id = requestIdOf(null);
  const response = toProblem(new FrameError('args/malformed', 'The address of the request cannot be read.'), id);
  for (const [name, value] of Object.entries(marks(id))) response.headers.set(name, value);
  return response;
}

/** What is no HTTP, or too slow, or too long in its headers, gets a short answer and a closed connection. */
function answerGarbage(server: Server, marks: Marks): void {
  const latest = new WeakMap<Duplex, ServerResponse>();
  server.on('request', (_, response) => latest.set(response.req.socket, response));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (!socket.writable || isBusy(latest.get(socket))) return void socket.destroy();
    socket.end(toText(statusOf(error.code), marks), () => socket.destroy());
  });
}

/** Bytes of ours would be read as part of the answer to a request before this one. */
function isBusy(response: ServerResponse | undefined): boolean {
  if (!response || response.writableFinished) return false;
  return response.req.complete || response.headersSent;
}

function statusOf(code: string | undefined): 400 | 408 | 431 {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}

function toText(status: 400 | 408 | 431, marks: Marks): string {
  const id = requestIdOf(null);
  const code = 'args/malformed';
  const title = STATUS_CODES[status];
  const body = JSON.stringify({ type: `urn:frame:error:${code}`, title, status, code, request_id: id });
  const headers = {
    'Content-Type': 'application/problem+json',
    'Content-Length': body.length,
    Connection: 'close',
    ...marks(id),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${title}`, ...lines, '', body].join('\r\n');
}
