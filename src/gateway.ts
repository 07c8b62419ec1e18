import { createAccessTokens } from './access/access-token.ts';
import { type AccessLimits, createAccess } from './access/authenticate.ts';
import { createSigningKeys } from './access/signing-keys.ts';
import { createAuditLog } from './audit/audit.ts';
import { createClients } from './broker/clients.ts';
import { createGrants } from './broker/grants.ts';
import { publicNetwork } from './broker/public-network.ts';
import { type Broker, type BrokerParts, createBroker } from './broker/routes.ts';
import { leastRoleFor } from './config/roles.ts';
import type { Settings } from './config/settings.ts';
import type { Customer } from './customers/customer.ts';
import { servedCustomers } from './customers/customers-file.ts';
import { openRegistry, type Registry } from './customers/registry.ts';
import { assertWalls } from './database/assert-walls.ts';
import { AUDIT_LOGIN, CONTROL_LOGIN } from './database/place.ts';
import { createPlaces, type Places } from './database/places.ts';
import { createPools, type Pools } from './database/pools.ts';
import { provision } from './database/provision.ts';
import { readPlaces } from './database/registry.ts';
import { openServer } from './database/server.ts';
import { watchMigrations } from './database/watch-migrations.ts';
import { createApp } from './http/app.ts';
import { listen } from './http/listen.ts';
import { createMarks } from './http/marks.ts';
import { watchLag } from './http/overload.ts';
import { createSites } from './http/sites.ts';
import { createMcpEndpoint } from './mcp/endpoint.ts';
import { createObserver, type Observe } from './observe.ts';
import { createCatalog } from './tables/catalog.ts';
import { keepHouse } from './tables/keep-house.ts';
import { shareCatalog } from './tables/shared-catalog.ts';
import { createDoor } from './tools/call-tool.ts';
import { CATALOGUE, TOOL_NAMES } from './tools/catalogue.ts';
import type { Door } from './tools/door.ts';
import type { Means, ResultLimits } from './tools/tool.ts';
import { createKeyring } from './vault/keyring.ts';
import { readMasterKey } from './vault/master-key.ts';

/** A running gateway: everything it needs is built here, handed down, and closed again in reverse order. */
export interface Gateway {
  port: number;
  /** Where customers reach it. */
  originOf(customer: Customer): string;
  customers(): readonly Customer[];
  door: Door;
  /** Reads customers.yaml again, whole or not at all. */
  reload(): Promise<void>;
  /** Lets calls in flight end, then frees everything. */
  close(): Promise<void>;
}

export async function openGateway(settings: Settings, env: NodeJS.ProcessEnv): Promise<Gateway> {
  const started = performance.now();
  const { release, slot, gateway: config } = settings;
  const observer = createObserver(settings.logLevel, { slot, release });
  const { observe } = observer;
  await using opening = new AsyncDisposableStack();

  const registry = await openRegistry({
    file: settings.customersFile,
    roles: new Set(settings.roles.keys()),
    env,
    observe,
    onChange: () => void takeUp(),
  });
  opening.defer(() => registry.close());
  const served = createServed(registry, settings.customer);

  const keyring = createKeyring(await readMasterKey(settings.masterKeyFile, settings.masterKeyMayBeCreated));
  const server = await openServer({ ...settings, observe });
  opening.defer(() => server.close());
  // A database that somebody named is theirs: only `frame migrate` changes it, here it is only looked at.
  if (server.embedded) await provision(server, served(), keyring.rolePassword, observe);
  await assertWalls(server, served(), keyring.rolePassword);

  const poolParts = { server: server.address, passwordOf: keyring.rolePassword, observe };
  const pools = createPools({ ...poolParts, limits: config.pools });
  opening.defer(() => pools.close());
  // For the gateway itself: when tenants hold all other connections, people still sign in and all of it is recorded.
  const ownPools = createPools({ ...poolParts, limits: { ...config.pools, total: 2 * config.pools.rw } });
  opening.defer(() => ownPools.close());
  const places = await createPlaces(
    () => readPlaces((text, params) => pools.query(CONTROL_LOGIN, text, params), served()),
    Date.now,
    error => observe({ kind: 'crash-averted', where: 'places', error }),
  );
  const audit = createAuditLog({ pools: ownPools, login: AUDIT_LOGIN, limits: config.audit, observe, now: Date.now });
  opening.defer(() => audit.close());
  // A process that was killed left intents without an outcome: whoever runs closes them as unknown.
  void audit.sweep().catch(error => observe({ kind: 'crash-averted', where: 'audit sweep', error }));
  opening.defer(every(SWEEP_EVERY_MS, 'audit sweep', () => audit.sweep(), observe));
  opening.defer(
    every(KEEP_HOUSE_EVERY_MS, 'housekeeping', () => keepAllHouses(pools, places, config.results), observe),
  );

  const means: Means = {
    pools,
    catalog: await shareCatalog(createCatalog({ pools, now: Date.now, ttlMs: CATALOG_TTL_MS }), pools, observe),
    audit,
    keyring,
    limits: config.results,
    toolNames: [...TOOL_NAMES],
    leastRoleFor: tool => leastRoleFor(settings.roles, tool),
    now: Date.now,
  };
  const door = createDoor({
    catalogue: CATALOGUE,
    means,
    findPlace: places.find,
    callSeconds: config.calls.timeoutSeconds,
    observe,
  });

  let { port } = settings.listen;
  const originOf = ({ origin }: Customer) => settings.origin ?? origin ?? `http://${settings.listen.host}:${port}`;
  const accessTokens = await createAccessTokens({
    pools: ownPools,
    now: Date.now,
    observe,
    limits: { rememberTokens: config.tokens.remembered },
  });
  opening.defer(() => accessTokens.close());
  const broker = openBroker(settings, {
    pools: ownPools,
    keyring,
    audit,
    ownOrigins: () => [...new Set(served().map(originOf))],
    observe,
  });
  opening.defer(every(KEEP_HOUSE_EVERY_MS, 'sign-ins', () => broker.sweep(), observe));

  const lag = watchLag();
  opening.defer(() => lag.stop());
  const marks = createMarks({ release, slot });
  const migrations = watchMigrations(pools, places.all, Date.now);
  const app = createApp({
    marks,
    sites: createSites(served, originOf),
    access: createAccess({
      fetch,
      now: Date.now,
      observe,
      roles: settings.roles,
      tools: CATALOGUE,
      accessTokens,
      limits: accessLimits(settings),
      onTurnedAway: (customer, person, { code }, requestId) => door.turnedAway(customer.id, person, code, requestId),
    }),
    broker,
    mcp: createMcpEndpoint({ door, release, observe }),
    health: {
      facts: { customer: settings.customer ?? null, slot: slot ?? null, release },
      checks: {
        database: async signal => void (await pools.query(CONTROL_LOGIN, 'select 1', [], { signal })),
        migrations: migrations.check,
      },
      migrations: migrations.newest,
      depth: () => ({
        uptime_seconds: Math.round(process.uptime()),
        customers: served().length,
        connections: pools.depth(),
        audit_connections: ownPools.depth(),
        event_loop_lag_ms: Math.round(lag.lagMs()),
        memory_mb: Math.round(process.memoryUsage.rss() / 1e6),
      }),
      now: () => performance.now(),
    },
    metrics: observer.metrics,
    config,
    lagMs: lag.lagMs,
    observe,
  });
  const listening = await listen({ app, marks, ...settings.listen, limits: config.http, observe });
  opening.defer(() => listening.drain());
  port = listening.port; // Only the system knows it when any free one was asked for.
  observe({
    kind: 'started',
    listen: `${settings.listen.host}:${listening.port}`,
    customers: served().length,
    milliseconds: Math.round(performance.now() - started),
  });

  const open = opening.move();
  return {
    port: listening.port,
    originOf,
    customers: served,
    door,
    reload: () => registry.reload(),
    close: () => open.disposeAsync(),
  };

  /** A customer or entity that is new in the file may have no place yet. */
  async function takeUp(): Promise<void> {
    try {
      if (server.embedded) await provision(server, served(), keyring.rolePassword, observe);
      await places.refresh();
    } catch (error) {
      observe({ kind: 'crash-averted', where: 'customers.yaml', error });
    }
  }
}

// Private

/** How long a change by somebody who tells nobody (psql) may go unnoticed. */
const CATALOG_TTL_MS = 30_000;
const SWEEP_EVERY_MS = 60_000;
const KEEP_HOUSE_EVERY_MS = 3_600_000;

/** The customers of this process; the same array until the registry changes. */
function createServed(registry: Registry, pinnedTo: string | undefined): () => readonly Customer[] {
  let customers = registry.current();
  let served = servedCustomers(customers, pinnedTo);
  return () => {
    if (customers === registry.current()) return served;
    customers = registry.current();
    // A pinned customer that was taken out of the file is served no more, and the process waits for its return.
    served = pinnedTo === undefined ? customers.all : customers.all.filter(({ id }) => id === pinnedTo);
    return served;
  };
}

/** The authorization server: its clients, its grants, and its pages. */
function openBroker(
  settings: Settings,
  parts: Pick<BrokerParts, 'pools' | 'keyring' | 'audit' | 'ownOrigins' | 'observe'>,
): Broker {
  const { signIn, tokens } = settings.gateway;
  const all = { ...parts, now: Date.now, fetch, limits: { ...signIn, leewaySeconds: tokens.clockLeewaySeconds } };
  const clients = createClients({ ...all, network: publicNetwork });
  const grants = createGrants({ ...all, clients });
  const keys = createSigningKeys({ ...all, limits: accessLimits(settings) });
  return createBroker({ ...all, clients, grants, keys });
}

function accessLimits({ gateway: { tokens } }: Settings): AccessLimits {
  return {
    leewaySeconds: tokens.clockLeewaySeconds,
    rememberSeconds: 300,
    rememberTokens: tokens.remembered,
    keysMaxAgeMinutes: tokens.keysMaxAgeMinutes,
    keysStaleHours: tokens.keysStaleHours,
    keysCooldownSeconds: tokens.keysCooldownSeconds,
    keysTimeoutSeconds: 5,
  };
}

/** Repeats work for as long as the gateway runs; one round at a time, and a failure is no more than an observation. */
function every(milliseconds: number, name: string, work: () => Promise<unknown>, observe: Observe): () => void {
  let isBusy = false;
  const round = async () => {
    if (isBusy) return;
    isBusy = true;
    await work().catch(error => observe({ kind: 'crash-averted', where: name, error }));
    isBusy = false;
  };
  const timer = setInterval(round, milliseconds).unref();
  return () => clearInterval(timer);
}

async function keepAllHouses(pools: Pools, places: Places, { softDropDays }: ResultLimits): Promise<void> {
  for (const place of places.all()) await keepHouse(pools, place, { now: Date.now(), softDropDays });
}
