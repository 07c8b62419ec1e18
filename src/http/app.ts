import { type Context, Hono } from 'hono';
import type { Access } from '../access/authenticate.ts';
import type { Caller } from '../access/caller.ts';
import { SHORTEST_KEY } from '../access/credentials.ts';
import { challenge, protectedResource } from '../access/discovery.ts';
import { RateExceeded, type RateState, rateHeaders, requireRate } from '../access/rates.ts';
import type { Broker } from '../broker/routes.ts';
import type { GatewayConfig } from '../config/gateway-config.ts';
import { FrameError, toFrameError } from '../errors.ts';
import type { McpEndpoint } from '../mcp/endpoint.ts';
import type { Observe } from '../observe.ts';
import type { RestExchange as Exchange, RestEndpoint } from '../rest/endpoint.ts';
import { toEnvelope } from './envelope.ts';
import { createHealth, type HealthParts, type Report } from './health.ts';
import { readJson } from './limits.ts';
import {
  allowAnyOrigin,
  type Env,
  isLocal,
  preflight,
  preflightOfPages,
  requireHost,
  requireLocal,
  requireOrigin,
  siteOf,
  visitorOf,
} from './manners.ts';
import { type Marks, requestIdOf } from './marks.ts';
import { createOverload } from './overload.ts';
import { toProblem } from './problem.ts';
import { createSignIn } from './sign-in.ts';
import type { Sites } from './sites.ts';

/** All routes of the gateway, and the rules that a request passes on its way, in order. */
export interface App {
  fetch: Hono<Env>['fetch'];
  /** From now on we are not ready, and every answer closes its connection. */
  beginDraining(): void;
}

export interface AppParts {
  marks: Marks;
  sites: Sites;
  access: Access;
  broker: Broker;
  mcp: McpEndpoint;
  rest: RestEndpoint;
  /** OpenAPI of `/api`, for the origin where it is asked for. */
  openApi(origin: string): object;
  /** Counts one call of somebody. */
  takeRate(caller: Caller): Promise<RateState>;
  health: Omit<HealthParts, 'isDraining'>;
  /** Prometheus text. */
  metrics(): Promise<string>;
  config: Pick<GatewayConfig, 'http' | 'calls'>;
  /** How late the event loop is. */
  lagMs(): number;
  observe: Observe;
}

export function createApp(parts: AppParts): App {
  const { marks, sites, access, mcp, rest, metrics, config, observe } = parts;
  let isDraining = false;
  const health = createHealth({ ...parts.health, isDraining: () => isDraining });
  const signIn = createSignIn(parts.broker);
  const overload = createOverload(config.calls.maxConcurrent, parts.lagMs);

  const app = new Hono<Env>();
  app.onError((thrown, c) => refuse(thrown, c));
  app.notFound(c => refuse(new FrameError('args/no-such-route', 'There is nothing at this address.'), c));

  app.use(mark);
  app.use(requireHost(sites));
  app.use(refuseExposedKey);
  for (const path of PROTECTED_RESOURCE) {
    app.get(path, allowAnyOrigin, describeResource);
    app.options(path, allowAnyOrigin, preflight('GET, HEAD'));
    app.all(path, refuseMethod('GET, HEAD'));
  }
  for (const path of AUTHORIZATION_SERVER) {
    app.get(path, allowAnyOrigin, signIn.metadata);
    app.options(path, allowAnyOrigin, preflight('GET, HEAD'));
    app.all(path, refuseSignIn('GET, HEAD'));
  }
  app.on(['GET', 'POST'], '/authorize', signIn.authorize);
  app.post('/consent', signIn.consent);
  app.get('/callback/entra', signIn.callback);
  app.post('/token', allowAnyOrigin, signIn.token);
  app.post('/revoke', allowAnyOrigin, signIn.revoke);
  app.post('/register', allowAnyOrigin, signIn.register);
  for (const path of ['/token', '/revoke', '/register']) app.options(path, allowAnyOrigin, preflight('POST'));
  for (const path of ['/token', '/revoke', '/register']) app.all(path, allowAnyOrigin, refuseSignIn('POST'));
  app.all('/consent', refuseSignIn('POST'));
  app.all('/authorize', refuseSignIn('GET, HEAD, POST'));
  app.all('/callback/entra', refuseSignIn('GET, HEAD'));
  app.use(requireOrigin);
  app.get('/frame/live', c => c.json({ status: 'alive' }));
  app.get('/frame/ready', async c => showReport(c, await health.ready()));
  app.get('/frame/health', async c => showReport(c, await (isLocal(c) ? health.inDepth() : health.ready())));
  app.get('/frame/metrics', requireLocal, async c => c.text(await metrics(), 200, { 'Content-Type': PROMETHEUS }));
  for (const page of ['live', 'ready', 'health', 'metrics']) app.all(`/frame/${page}`, refuseMethod('GET, HEAD'));
  app.post('/frame/mcp', serveMcp);
  app.options('/frame/mcp', preflightOfPages('POST'));
  app.all('/frame/mcp', refuseMethod('POST'));
  app.post('/api/tool', async c => c.json(await answerBody(c, exchange => rest.call(exchange))));
  app.get('/api/tools', async c => c.json(rest.tools(await authenticate(c))));
  app.get('/api/openapi.json', c => c.json(parts.openApi(siteOf(c).origin), 200, { 'Cache-Control': 'max-age=300' }));
  app.options('/api/tool', preflightOfPages('POST'));
  for (const path of ['/api/tools', '/api/openapi.json']) app.options(path, preflightOfPages('GET, HEAD'));
  app.all('/api/tool', refuseMethod('POST'));
  for (const path of ['/api/tools', '/api/openapi.json']) app.all(path, refuseMethod('GET, HEAD'));

  const paths = new Set(app.routes.map(({ path }) => path));

  function serveMcp(c: Context<Env>): Promise<Response> {
    return answerBody(c, exchange => mcp.serve({ ...exchange, request: c.req.raw }));
  }

  /** Authenticates before it reads: a body is not worth a byte of memory until we know whose it is. */
  async function answerBody<T>(c: Context<Env>, answer: (exchange: Exchange) => Promise<T>): Promise<T> {
    overload.requireRoom();
    const caller = await authenticate(c);
    const body = await readJson(c.env.incoming, config.http.maxBodyBytes);
    for (let i = 1; i < countMessages(body); i++) requireRate(await parts.takeRate(caller));
    const { headers, signal } = c.req.raw;
    return overload.within(() => answer({ caller, requestId: c.var.requestId, headers, signal, body }));
  }

  async function authenticate(c: Context<Env>): Promise<Caller> {
    const { origin, customers } = siteOf(c);
    const { headers, url } = c.req.raw;
    const request = { headers, url: new URL(url), origin, requestId: c.var.requestId, from: visitorOf(c) };
    const caller = await access.authenticate(request, customers);
    const rate = await parts.takeRate(caller);
    c.set('rate', rate);
    requireRate(rate);
    return caller;
  }

  /** Before all routes: an address with a key in it is in somebody's log by now, whatever it asked for. */
  async function refuseExposedKey(c: Context<Env>, next: () => Promise<void>): Promise<void> {
    const { url = '' } = c.env.incoming;
    if (url.length > SHORTEST_KEY) {
      const { requestId } = c.var;
      await access.refuseExposedKey({ url: new URL(c.req.raw.url), requestId, from: visitorOf(c) });
    }
    await next();
  }

  function describeResource(c: Context<Env>): Response {
    const { origin, customers } = siteOf(c);
    return c.json(protectedResource(origin, customers), 200, { 'Cache-Control': 'max-age=300' });
  }

  function refuse(thrown: unknown, c: Context<Env>): Response {
    const { site, requestId } = c.var;
    const error = toFrameError(thrown);
    if (error.code === 'internal') observe({ kind: 'crash-averted', where: c.req.path, error: thrown });
    // A tool may have a limit of its own: what was too much is what the header fields speak of.
    if (error instanceof RateExceeded) c.set('rate', error.state);
    const asked = site && challenge(site.origin, site.customers, error);
    return c.req.path.startsWith('/api/') ? toEnvelope(error, asked) : toProblem(error, requestId, asked);
  }

  function refuseSignIn(allowed: string): (c: Context<Env>) => Response {
    return c => {
      signIn.requireHere(c);
      return refuseMethod(allowed)(c);
    };
  }

  function refuseMethod(allowed: string): (c: Context<Env>) => Response {
    return c => {
      const response = refuse(new FrameError('args/method', `Only ${allowed} can be used here.`), c);
      response.headers.set('Allow', allowed);
      return response;
    };
  }

  /** Around everything: whatever happens below, the answer says which release gave it and for which request. */
  async function mark(c: Context<Env>, next: () => Promise<void>): Promise<void> {
    const started = performance.now();
    const { method, path } = c.req;
    const id = requestIdOf(c.req.raw.headers.get('x-request-id'));
    c.set('requestId', id);
    await next();
    const { headers, status } = c.res;
    for (const [name, value] of Object.entries(marks(id))) headers.set(name, value);
    if (c.var.rate) for (const [name, value] of Object.entries(rateHeaders(c.var.rate))) headers.set(name, value);
    if (!headers.has('cache-control')) headers.set('Cache-Control', 'no-store');
    if (isDraining) headers.set('Connection', 'close');
    const route = paths.has(path) ? path : '-';
    observe({ kind: 'request', id, method, route, status, milliseconds: performance.now() - started });
  }

  return {
    fetch: app.fetch,
    beginDraining() {
      isDraining = true;
    },
  };
}

// Private

/** Each message of a batch counts like a call of its own. Nobody answers one as long as this. */
function countMessages(body: unknown): number {
  return Array.isArray(body) ? Math.min(body.length, 100) : 1;
}

const PROMETHEUS = 'text/plain; version=0.0.4; charset=utf-8';
const PROTECTED_RESOURCE = [
  '/.well-known/oauth-protected-resource/frame/mcp',
  '/.well-known/oauth-protected-resource',
  '/frame/mcp/.well-known/oauth-protected-resource',
];

/** The suffixed ones: for clients that take the address of the resource for the issuer. */
const AUTHORIZATION_SERVER = [
  '/.well-known/oauth-authorization-server',
  '/.well-known/oauth-authorization-server/frame/mcp',
];

function showReport(c: Context<Env>, { isReady, body }: Report): Response {
  return c.json(body, isReady ? 200 : 503, isReady ? {} : { 'Retry-After': '1' });
}
