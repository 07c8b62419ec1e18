import { isLoopback } from '../address.ts';
import type { Client } from './client.ts';

/**
 * Where a person may be sent back to with a code. One rule for all clients, however they introduce themselves: https;
 * http to the person's own machine; and a few addresses of programs that have neither, letter by letter.
 */
export function isAllowedRedirect(uri: string, ownOrigins: readonly string[]): boolean {
  if (PRIVATE_USE.has(uri)) return true;
  if (uri.length > MAX_LENGTH || !(HTTPS.test(uri) || LOOPBACK.test(uri))) return false;
  const url = URL.parse(uri);
  return url !== null && !isOurs(url, ownOrigins);
}

/**
 * Whether a client may have its answer at `uri`: exactly one of its addresses, except that the port of a loopback address
 * does not count (RFC 8252 §7.3). With every port goes ours, so it is checked again that the address is not our own.
 */
export function matchesRedirect(client: Client, uri: string, ownOrigins: readonly string[]): boolean {
  if (!isAllowedRedirect(uri, ownOrigins)) return false;
  const portless = withoutPort(uri);
  return client.redirectUris.some(known => known === uri || (portless && withoutPort(known) === portless));
}

/** Http to the person's own machine: any program there could be the one that answers. */
export function isLoopbackRedirect(uri: string): boolean {
  return LOOPBACK.test(uri);
}

// Private

const MAX_LENGTH = 2000;

/** Cursor registers this one together with two others, and takes a refusal of one for a refusal of all. */
const PRIVATE_USE = new Set(['cursor://anysphere.cursor-mcp/oauth/callback']);

// The grammar of RFC 3986 without user, fragment and `*`, so that no two parsers read two different hosts.
const REST = `(?:[/?][A-Za-z0-9._~!$&'()+,;=:@%/?-]*)?`;
const HTTPS = new RegExp(String.raw`^https://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?${REST}$`);
const LOOPBACK = new RegExp(String.raw`^(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::\d{1,5})?(${REST})$`);

function withoutPort(uri: string): string | undefined {
  const [, host, rest] = LOOPBACK.exec(uri) ?? [];
  return host && `${host}${rest}`;
}

/** A code sent to our own pages would end up in the hands of whoever wrote the rest of the address. */
function isOurs(url: URL, ownOrigins: readonly string[]): boolean {
  return ownOrigins.some(origin => {
    const own = new URL(origin);
    if (!isLoopback(own.hostname)) return nameOf(url) === nameOf(own);
    return isLoopback(nameOf(url)) && portOf(url) === portOf(own);
  });
}

function nameOf({ hostname }: URL): string {
  return hostname.replace(/\.$/, '');
}

function portOf({ port, protocol }: URL): string {
  return port || (protocol === 'https:' ? '443' : '80');
}
