import { isIP } from 'node:net';

/** What may stand as an origin, and as `host:port`; whom an address stands for. */

/** Why `text` is no origin to serve or to call, as the end of a sentence; undefined when it is one. */
export function whyNotOrigin(text: string): string | undefined {
  const url = URL.parse(text);
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return 'must be an origin such as `https://frame.example.com`';
  }
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) return 'must be https (http is for this machine only)';
  if (url.origin !== text) {
    return 'must be scheme, host and port only: lower case, no path, no slash at the end, no default port';
  }
  return undefined;
}

/** `host:port` or `[ipv6]:port`, in two; undefined when it is not that. Port 0 asks for a free one. */
export function parseHostPort(text: string): { host: string; port: number } | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

/** Names and addresses that never leave this machine. */
export function isLoopback(hostname: string): boolean {
  return /^(?:127(?:\.\d{1,3}){3}|\[?::1\]?|(?:[a-z0-9-]+\.)*localhost)$/.test(hostname);
}

/** An IPv4 address as itself, also where it comes over an IPv6 socket, in whatever spelling; others as they are. */
export function plainAddress(address: string): string {
  const groups = groupsOf(address);
  return groups?.slice(0, 6).join(':') === '0:0:0:0:0:ffff' ? toIPv4(groups.slice(6)) : address;
}

/**
 * Whom a limit by address counts: an IPv4 address; of an IPv6 one the first half, for the other half belongs to the
 * visitor, who could come from a new address each time.
 */
export function networkOf(address: string): string {
  const plain = plainAddress(address);
  const groups = groupsOf(plain);
  return groups ? `${groups.slice(0, 4).join(':')}::/64` : plain;
}

// Private

/** All eight of an IPv6 address, without leading zeros and zone; undefined for anything else. */
function groupsOf(address: string): string[] | undefined {
  const [bare = ''] = address.split('%');
  if (isIP(bare) !== 6) return undefined;
  const [head = [], tail = []] = new URL(`http://[${bare}]`).hostname
    .slice(1, -1)
    .split('::')
    .map(part => part.split(':').filter(Boolean));
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => '0'), ...tail];
}

function toIPv4(groups: readonly string[]): string {
  const numbers = groups.map(group => Number.parseInt(group, 16));
  return numbers.flatMap(number => [number >> 8, number & 255]).join('.');
}
