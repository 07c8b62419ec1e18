import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { freshForMs } from './freshness.ts';
import type { Network } from './public-network.ts';
import { isPublicAddress } from './special-use-addresses.ts';

/**
 * Reads a document at an address that a stranger has chosen, and must not become their way into our network: the name is
 * resolved once, every address checked, the connection held to those addresses, no redirect followed, nothing unpacked,
 * little read, and not for long (draft-ietf-oauth-client-id-metadata-document §6).
 */
export type Fetched =
  | { text: string; bytes: number; freshForMs: number }
  /** `refused`: the host has answered, but not with a document. */
  | { failed: 'refused' | 'unreachable'; reason: string };

export interface FetchParts {
  network: Network;
  /** From the name to the last byte. */
  timeoutMs: number;
  /** Milliseconds since 1970. */
  now(): number;
}

export async function fetchDocument(url: URL, { network, timeoutMs, now }: FetchParts): Promise<Fetched> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const addresses = await network.resolve(url.hostname, signal);
    // To a stranger this looks like a name that does not exist: our network's names are none of their business.
    const special = addresses.find(address => !isPublicAddress(address));
    if (special !== undefined) return { failed: 'unreachable', reason: `its name leads to ${special}` };
    const response = await get(url, addresses, network, signal);
    return await read(response, now()).finally(() => response.destroy());
  } catch (failure) {
    const reason = failure instanceof Error ? failure.message : String(failure);
    return { failed: 'unreachable', reason: signal.aborted ? `no answer within ${timeoutMs} ms` : reason };
  }
}

// Private

const MAX_BYTES = 64 * 1024;
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json *(?:;|$)/i;
const HEADERS = { Accept: 'application/json', 'Accept-Encoding': 'identity', 'User-Agent': 'Frame' };

function get(url: URL, addresses: readonly string[], network: Network, signal: AbortSignal): Promise<IncomingMessage> {
  const { hostname } = url;
  const options = { host: hostname, port: 443, servername: hostname, rejectUnauthorized: true };
  return new Promise((resolve, reject) => {
    request(url, {
      headers: HEADERS,
      signal,
      defaultPort: 443,
      createConnection: () => network.connect(addresses, { ...options, ALPNProtocols: ['http/1.1'] }),
    })
      .on('response', resolve)
      .on('error', reject)
      .on('close', () => reject(new Error('it closed the connection without an answer')))
      .end();
  });
}

async function read(response: IncomingMessage, nowMs: number): Promise<Fetched> {
  const { statusCode = 0, headers } = response;
  if (statusCode !== 200) {
    // Whoever removes it means it; the rest may pass: 403 and 429 of a guard in front, 5xx, a detour during maintenance.
    const isFinal = [404, 410].includes(statusCode);
    return { failed: isFinal ? 'refused' : 'unreachable', reason: `it was answered with status ${statusCode}` };
  }
  const type = headers['content-type'] ?? 'none';
  // Mostly a page of somebody on the way: a guard, a proxy, a site in maintenance.
  if (!JSON_TYPE.test(type)) return { failed: 'unreachable', reason: `it came as media type ${type.slice(0, 100)}` };
  // What a compressed body unpacks to is only known when it is too late.
  if (!/^(?:identity)?$/i.test(headers['content-encoding'] ?? '')) return refused('it came compressed');
  const body = await readBytes(response);
  if (!body) return refused(`it is larger than ${MAX_BYTES} bytes`);
  const text = decode(body);
  if (text === undefined) return refused('it is not valid UTF-8');
  return { text, bytes: body.length, freshForMs: freshForMs(headers, nowMs) };
}

function refused(reason: string): Fetched {
  return { failed: 'refused', reason };
}

/** Undefined when there is too much of it. Rejects when the connection ends too early. */
async function readBytes(response: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
