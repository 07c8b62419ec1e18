import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import { isIP, type Socket, connect as tcpConnect } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { Certificate } from './certificate.ts';

/**
 * The ways from this computer to an origin and to Entra, each given up after five seconds. Nothing is followed, repeated
 * or mended: what comes back is what a client would see. Every function rejects with NoAnswer, and with nothing else.
 */
export interface Network {
  /** Addresses of a name, as this computer looks it up. */
  resolve(name: string): Promise<string[]>;
  /** Opens a TCP connection and closes it again. Resolves to the address that took it. */
  reach(origin: string): Promise<string>;
  /** Opens a TLS connection, whatever its certificate is worth. */
  handshake(origin: string): Promise<Certificate>;
  ask(url: string, question?: Question): Promise<Reply>;
}

export interface Question {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

export interface Reply {
  status: number;
  /** All values of a header, in their order: clients fall over one that comes twice. `name` in lower case. */
  all(name: string): readonly string[];
  /** At most a megabyte of it. */
  text: string;
}

export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  /** Of Node or OpenSSL; empty when they gave none. */
  readonly code: string;

  /** `message` becomes the end of a sentence. */
  constructor(failure: unknown) {
    super(reasonOf(failure), { cause: failure });
    this.code = codeOf(failure);
  }
}

/** For `catch`: what a way of the network rejected with. Throws anything else on. */
export function toNoAnswer(failure: unknown): NoAnswer {
  if (failure instanceof NoAnswer) return failure;
  throw failure;
}

export const TIMEOUT_MS = 5_000;

export interface NetworkOptions {
  /** Where `origin` is looked for instead. */
  detour?: { origin: string; host: string; port: number } | undefined;
  /** Certificates to trust instead of those that Node knows. */
  ca?: string;
}

export function createNetwork({ detour, ca }: NetworkOptions = {}): Network {
  function placeOf({ origin, hostname, port, protocol }: URL): { host: string; port: number } {
    if (detour?.origin === origin) return detour;
    return { host: bare(hostname), port: Number(port) || (protocol === 'https:' ? 443 : 80) };
  }

  async function open(url: URL, signal: AbortSignal): Promise<Socket> {
    const socket = tcpConnect(placeOf(url));
    try {
      await once(socket, 'connect', { signal });
      return socket;
    } catch (failure) {
      socket.destroy();
      throw failure;
    }
  }

  return {
    resolve: name => inTime(async () => (await lookup(bare(name), { all: true })).map(({ address }) => address)),
    reach: origin =>
      inTime(async signal => {
        const socket = await open(new URL(origin), signal);
        const { remoteAddress = '' } = socket;
        socket.destroy();
        return remoteAddress;
      }),
    handshake: origin =>
      inTime(async signal => {
        const url = new URL(origin);
        const hostname = bare(url.hostname);
        const servername = isIP(hostname) ? '' : hostname;
        // Whatever it is worth, it is looked at: the name here, the rest where it is judged.
        const whatever = { rejectUnauthorized: false, checkServerIdentity: () => undefined };
        const secured = tlsConnect({ socket: await open(url, signal), servername, ca, ...whatever });
        try {
          await once(secured, 'secureConnect', { signal });
          const shown = secured.getPeerX509Certificate();
          if (!shown) throw new Error('it shows no certificate');
          return {
            names: shown.subjectAltName ?? shown.subject,
            isForName: (isIP(hostname) ? shown.checkIP(hostname) : shown.checkHost(hostname)) !== undefined,
            validFrom: shown.validFromDate.getTime(),
            validTo: shown.validToDate.getTime(),
            chainFault: secured.authorized ? undefined : codeOf(secured.authorizationError),
          };
        } finally {
          secured.destroy();
        }
      }),
    ask: (url, { method = 'GET', headers, body } = {}) =>
      inTime(async signal => {
        const target = new URL(url);
        const { host: hostname, port } = placeOf(target);
        const { request } = target.protocol === 'https:' ? https : http;
        const marked = { Host: target.host, 'User-Agent': USER_AGENT, ...headers };
        const sent = request(target, { method, hostname, port, ca, agent: false, signal, headers: marked });
        sent.end(body);
        const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
        const text = await readText(response);
        return { status: response.statusCode ?? 0, all: name => response.headersDistinct[name] ?? [], text };
      }),
  };
}

// Private

const USER_AGENT = 'frame-doctor';
const MAX_BYTES = 1_000_000;

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was broken off',
  EHOSTUNREACH: 'there is no way to that address',
  ENETUNREACH: 'there is no way to that network',
  ENOTFOUND: 'nobody knows the name',
  EAI_AGAIN: 'the name server does not answer',
  ETIMEDOUT: 'nobody answers at that address',
};

/** A URL writes an IPv6 address in brackets. */
function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

/** A lookup cannot be broken off: nobody waits for it any longer. */
async function inTime<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const late = Promise.withResolvers<never>();
  signal.addEventListener('abort', () => late.reject(signal.reason));
  return Promise.race([work(signal), late.promise]).catch(failure => {
    throw new NoAnswer(signal.aborted ? signal.reason : failure);
  });
}

/** A name with several addresses fails with all their errors. */
function reasonOf(failure: unknown): string {
  if (failure instanceof AggregateError) return reasonOf(failure.errors[0]);
  if (failure instanceof Error && failure.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  const code = codeOf(failure);
  return REASONS[code] ?? (code || String(failure instanceof Error ? failure.message : failure));
}

function codeOf(failure: unknown): string {
  if (typeof failure === 'string') return failure;
  return failure instanceof Error && 'code' in failure && typeof failure.code === 'string' ? failure.code : '';
}

async function readText(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_BYTES) break;
  }
  return Buffer.concat(chunks).toString();
}
