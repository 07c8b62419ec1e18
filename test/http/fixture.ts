import type { Access } from '../../src/access/authenticate.ts';
import type { Caller } from '../../src/access/caller.ts';
import { isKeyIn, readCredentials } from '../../src/access/credentials.ts';
import { errorOf, type Reason } from '../../src/access/refusal.ts';
import type { Broker } from '../../src/broker/routes.ts';
import { DEFAULT_GATEWAY_CONFIG, type GatewayConfig } from '../../src/config/gateway-config.ts';
import type { Customer } from '../../src/customers/customer.ts';
import { FrameError, unavailable } from '../../src/errors.ts';
import { type AppParts, createApp } from '../../src/http/app.ts';
import type { HealthParts } from '../../src/http/health.ts';
import { type Listening, listen } from '../../src/http/listen.ts';
import { createMarks } from '../../src/http/marks.ts';
import { createSites } from '../../src/http/sites.ts';
import { createMcpEndpoint } from '../../src/mcp/endpoint.ts';
import type { Observation, Observe } from '../../src/observe.ts';
import { createRestEndpoint } from '../../src/rest/endpoint.ts';
import { openApi } from '../../src/rest/openapi.ts';
import type { Door, Outcome, RequestFacts, ToolListing } from '../../src/tools/door.ts';

/** The real HTTP stack and MCP endpoint over a door of a few lines and an access that knows its tokens by heart. */
export interface Gateway extends Listening {
  origin: string;
  url: string;
  observations: Observation[];
  stop(): Promise<void>;
}

export interface GatewayOptions {
  door?: Door;
  access?: Access;
  /** Without one, nobody signs in here. */
  broker?: Broker;
  observe?: Observe;
  customers?: readonly Customer[];
  /** Instead of `customers`, when they change. */
  customersNow?: () => readonly Customer[];
  /** Origin of a customer that names none; default: where the gateway listens. */
  origin?: string;
  health?: Partial<HealthParts>;
  takeRate?: AppParts['takeRate'];
  http?: Partial<GatewayConfig['http']>;
  calls?: Partial<GatewayConfig['calls']>;
  slot?: string;
  port?: number;
  lagMs?: () => number;
}

export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const observations: Observation[] = [];
  const observe = (observation: Observation) => {
    observations.push(observation);
    options.observe?.(observation);
  };
  const { customers = [customerNamed('axe')] } = options;
  const config = {
    http: { ...DEFAULT_GATEWAY_CONFIG.http, drainSeconds: 5, ...options.http },
    calls: { ...DEFAULT_GATEWAY_CONFIG.calls, ...options.calls },
  };
  let { origin = '' } = options;
  const door = options.door ?? createFixtureDoor();
  const marks = createMarks({ release: 'r1', slot: options.slot });
  const app = createApp({
    marks,
    sites: createSites(options.customersNow ?? (() => customers), customer => customer.origin ?? origin),
    access: options.access ?? fakeAccess(),
    broker: options.broker ?? NO_BROKER,
    mcp: createMcpEndpoint({ door, release: 'r1', observe }),
    rest: createRestEndpoint(door),
    takeRate: options.takeRate ?? (async () => NO_RATE),
    openApi: at => openApi(door.all, { origin: at, release: 'r1' }),
    health: {
      facts: { customer: 'axe', slot: options.slot ?? null, release: 'r1' },
      checks: { database: async () => {} },
      migrations: () => '0007',
      depth: () => ({ pools: 3 }),
      now: () => performance.now(),
      ...options.health,
    },
    metrics: async () => '# HELP frame_fixture One.\n',
    config,
    lagMs: options.lagMs ?? (() => 0),
    observe,
  });
  const listening = await listen({
    app,
    marks,
    host: '127.0.0.1',
    port: options.port ?? 0,
    limits: config.http,
    observe,
  });
  origin ||= `http://127.0.0.1:${listening.port}`;
  return { ...listening, origin, url: `http://127.0.0.1:${listening.port}`, observations, stop: listening.drain };
}

export function customerNamed(id: string, changes: Partial<Customer> = {}): Customer {
  return {
    id,
    name: id,
    origin: undefined,
    host: undefined,
    domains: [`${id}.example`],
    entra: {
      tenantId: '122fb574-0000-4000-8000-000000000001',
      audience: [`api://${id}.example/frame`],
      scope: 'access_as_user',
      clientId: undefined,
      clientSecret: undefined,
      authority: 'https://login.microsoftonline.com',
      guests: false,
    },
    signIn: 'direct',
    entities: [{ id, name: id, environments: ['prod'] }],
    access: [],
    services: {},
    ...changes,
  };
}

/** `good` gets in; any other token is refused for the reason that it names, else as a bad token. */
export function fakeAccess(): Access {
  return {
    async authenticate({ headers, url }, [customer]) {
      const credential = readCredentials(headers, url);
      if ('refused' in credential) throw errorOf(credential, 30);
      if (credential.token !== 'good' || !customer) {
        const named = REASONS.find(reason => reason === credential.token);
        throw errorOf({ refused: named ?? 'signature-wrong', detail: 'SECRET' }, 30);
      }
      return callerOf(customer);
    },
    async refuseExposedKey({ url }) {
      if (isKeyIn(url)) throw errorOf({ refused: 'credential-in-url' }, 30);
    },
  };
}

export function callerOf(customer: Customer): Caller {
  return {
    customer,
    person: {
      tenantId: customer.entra.tenantId,
      objectId: '00000000-0000-4000-8000-000000000042',
      name: 'Ada',
      username: `ada@${customer.domains[0]}`,
    },
    role: 'view',
    tools: new Set(['*']),
    entities: customer.entities,
    scopes: ['access_as_user'],
    rule: '*',
  };
}

export interface FixtureDoor extends Door {
  calls: { caller: Caller; tool: string; args: unknown; request: RequestFacts }[];
  /** Resolves with the next call of `wait`. */
  nextWaiting(): Promise<{ request: RequestFacts; finish(): void }>;
}

type Run = (args: unknown, request: RequestFacts) => Outcome | Promise<Outcome>;

export function createFixtureDoor(more: Record<string, Run> = {}): FixtureDoor {
  const calls: FixtureDoor['calls'] = [];
  let waiting = Promise.withResolvers<{ request: RequestFacts; finish(): void }>();
  const tools: Record<string, Run> = {
    echo: args => ({ ok: true, result: { args } }),
    wait(_, request) {
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      waiting.resolve({ request, finish: () => resolve({ ok: true, result: { waited: true } }) });
      waiting = Promise.withResolvers();
      return promise;
    },
    refuse: () => ({
      ok: false,
      error: new FrameError('table/no-such-column', 'There is no column `totl`.', {
        hint: 'Did you mean `total`?',
        detail: 'SECRET',
      }),
    }),
    outage: () => ({ ok: false, error: unavailable('The database cannot be reached.', { retryAfterSeconds: 7 }) }),
    defect() {
      throw new Error('SECRET');
    },
    ...more,
  };
  const listings = Object.keys(tools).map(listingOf);
  return {
    calls,
    list: () => listings,
    all: listings,
    nextWaiting: () => waiting.promise,
    async call(caller, tool, args, request) {
      calls.push({ caller, tool, args, request });
      const run = Object.hasOwn(tools, tool) ? tools[tool] : undefined;
      if (!run) return { ok: false, error: new FrameError('args/unknown-tool', `Unknown tool: ${tool}`) };
      return run(args, request);
    },
    async turnedAway() {},
  };
}

// Private

const NO_RATE = { rule: { name: 'caller', perMinute: 0 }, isOver: false, remaining: 0, resetSeconds: 0 };

const notThere = () => Promise.reject(new Error('The fixture has no broker.'));
const NO_BROKER: Broker = {
  metadata: () => ({}),
  authorize: notThere,
  consent: notThere,
  callback: notThere,
  token: notThere,
  revoke: notThere,
  register: notThere,
  refuse: () => Response.error(),
  sweep: notThere,
};

const REASONS: Reason[] = ['expired', 'scope-missing', 'no-access-rule', 'keys-unreachable'];

function listingOf(name: string): ToolListing {
  return {
    name,
    title: name,
    description: `Does ${name}.`,
    inputSchema: { type: 'object' },
    outputSchema: { type: 'object' },
    annotations: {
      title: name,
      readOnlyHint: true,
      destructiveHint: false,
      idempotentHint: true,
      openWorldHint: false,
    },
  };
}
