import { isIP } from 'node:net';
import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import type { RateState } from '../access/rates.ts';
import { isLoopback } from '../address.ts';
import { FrameError } from '../errors.ts';
import type { Site, Sites } from './sites.ts';

/** Whom we talk to, and for whom: the Host, the Origin, the methods. Each is one row in the table of app.ts. */
export interface Env {
  Bindings: HttpBindings;
  Variables: { requestId: string; site: Site | undefined; rate?: RateState };
}

/** The Host must be one of ours (DNS rebinding); who is on this machine may also say `localhost`, for health and metrics. */
export function requireHost(sites: Sites): MiddlewareHandler<Env> {
  return async (c, next) => {
    const site = sites.byHost(c.req.raw.headers.get('host'));
    if (!site && !isLocal(c)) throw wrongHost();
    c.set('site', site);
    await next();
  };
}

/** The site that the request names. Throws for one that only named this machine. */
export function siteOf(c: Context<Env>): Site {
  const { site } = c.var;
  if (!site) throw wrongHost();
  return site;
}

/** A page of another origin may not talk to us; pages on this machine (the Inspector) may, while we are local ourselves. */
export const requireOrigin: MiddlewareHandler<Env> = async (c, next) => {
  const origin = c.req.raw.headers.get('origin');
  if (origin === null) return next();
  const { site } = c.var;
  const isOurs = origin === site?.origin || (isOfThisMachine(origin) && isOfThisMachine(site?.origin) && isLocal(c));
  if (!isOurs) {
    throw new FrameError('access/wrong-origin', 'Pages of this origin may not use this gateway.');
  }
  await next();
  c.res.headers.set('Access-Control-Allow-Origin', origin);
  c.res.headers.set('Access-Control-Expose-Headers', EXPOSED_HEADERS);
  c.res.headers.append('Vary', 'Origin');
};

export function preflight(methods: string): (c: Context<Env>) => Response {
  return c =>
    c.body(null, 204, {
      'Access-Control-Allow-Methods': methods,
      'Access-Control-Allow-Headers': ALLOWED_HEADERS,
      'Access-Control-Max-Age': '600',
    });
}

/** The same where OPTIONS is a method like others: what no page asks goes on to the next row of the table. */
export function preflightOfPages(methods: string): MiddlewareHandler<Env> {
  const answer = preflight(methods);
  return async (c, next) => {
    const { headers } = c.req.raw;
    if (headers.has('origin') || headers.has('access-control-request-method')) return answer(c);
    return await next();
  };
}

/** Documents that anybody may read, from any page. */
export const allowAnyOrigin: MiddlewareHandler<Env> = async (c, next) => {
  await next();
  c.res.headers.set('Access-Control-Allow-Origin', '*');
};

export const requireLocal: MiddlewareHandler<Env> = (c, next) => {
  if (!isLocal(c)) throw wrongHost();
  return next();
};

/** Loopback peer and loopback name: what came through the proxy has a public Host. */
export function isLocal(c: Context<Env>): boolean {
  const { remoteAddress = '' } = c.env.incoming.socket;
  return isLoopbackPeer(remoteAddress) && isOfThisMachine(`http://${c.req.raw.headers.get('host')}`);
}

export function isLoopbackPeer(address: string): boolean {
  return /^(::ffff:)?127\.|^::1$/.test(address);
}

/** Behind our own proxy, who it says has called: its own word is the last one. */
export function visitorOf(c: Context<Env>): string {
  const { remoteAddress = '' } = c.env.incoming.socket;
  const forwarded = c.req.raw.headers.get('x-forwarded-for')?.split(',').at(-1)?.trim() ?? '';
  return isLoopbackPeer(remoteAddress) && isIP(forwarded) !== 0 ? forwarded : remoteAddress;
}

// Private

const ALLOWED_HEADERS =
  'Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, X-API-Key, Last-Event-ID';
const EXPOSED_HEADERS = 'WWW-Authenticate, Mcp-Session-Id, X-Request-Id, Retry-After, RateLimit, RateLimit-Policy';

function isOfThisMachine(origin = ''): boolean {
  const url = URL.parse(origin);
  return url?.origin === origin && isLoopback(url.hostname);
}

function wrongHost(): FrameError {
  return new FrameError('access/wrong-host', 'This gateway is not known by that name.', {
    hint: 'Use the address that your operator gave you.',
  });
}
