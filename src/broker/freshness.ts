import type { IncomingHttpHeaders } from 'node:http';

/** How long an answer may be used again without asking, in milliseconds, as its headers say (RFC 9111 §4.2). */
export function freshForMs(headers: IncomingHttpHeaders, nowMs: number): number {
  const control = headers['cache-control'] ?? '';
  if (/\bno-(?:store|cache)\b/i.test(control)) return 0;
  const maxAge = /\bmax-age="?(\d{1,9})\b/i.exec(control)?.[1];
  if (maxAge !== undefined) return Math.max(0, Number(maxAge) - (Number(headers.age) || 0)) * 1000;
  const expires = Date.parse(headers.expires ?? '');
  const date = Date.parse(headers.date ?? '');
  return Number.isNaN(expires) ? 0 : Math.max(0, expires - (Number.isNaN(date) ? nowMs : date));
}
