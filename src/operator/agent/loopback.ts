import { type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';

/** Talks to what listens on this machine: the slots, the proxy. */
export interface Asked {
  method?: 'GET' | 'POST';
  path: string;
  /** The name it is asked under; default: this machine's. */
  host?: string;
  json?: string;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Undefined when there is no whole answer within 2 s. Every question has a connection of its own. */
export async function ask(port: number, { method = 'GET', path, host, json }: Asked): Promise<Answer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Answer | undefined>();
  const headers = {
    Host: host ?? `127.0.0.1:${port}`,
    ...(json !== undefined && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(json) }),
  };
  const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, response => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_BYTES) return void asked.destroy();
      chunks.push(chunk);
    });
    response.on('end', () => {
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: Buffer.concat(chunks).toString('utf8'),
      });
    });
  });
  const late = setTimeout(() => asked.destroy(), PROBE_MS);
  asked.on('error', () => resolve(undefined));
  asked.on('close', () => {
    clearTimeout(late);
    resolve(undefined);
  });
  asked.end(json);
  return await promise;
}

/** What a slot, or the proxy, says of itself. */
export async function askReady(port: number): Promise<(Answer & { facts: Record<string, unknown> }) | undefined> {
  const answer = await ask(port, { path: '/frame/ready' });
  return answer && { ...answer, facts: toFacts(answer.body) };
}

export async function isPortOpen(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host: '127.0.0.1', port, timeout: PROBE_MS });
  socket.on('connect', () => resolve(true));
  socket.on('timeout', () => resolve(true));
  socket.on('error', () => resolve(false));
  const isOpen = await promise;
  socket.destroy();
  return isOpen;
}

// Private

const PROBE_MS = 2000;
const MAX_BYTES = 4_000_000;

function toFacts(body: string): Record<string, unknown> {
  try {
    const facts: unknown = JSON.parse(body);
    return typeof facts === 'object' && facts !== null ? { ...facts } : {};
  } catch {
    return {};
  }
}
