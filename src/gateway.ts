import { randomUUID } from 'node:crypto';
import { createAccessTokens } from './access/access-token.ts';
import { createApiKeys } from './access/api-keys.ts';
import { createAccess } from './access/authenticate.ts';
import { createRates, requireRate } from './access/rates.ts';
import { gatePools } from './broker/gated-pools.ts';
import { leastRoleFor } from './config/roles.ts';
import type { Settings } from './config/settings.ts';
import type { Customer } from './customers/customer.ts';
import { openRegistry } from './customers/registry.ts';
import { assertWalls } from './database/assert-walls.ts';
import { createBreaker } from './database/breaker.ts';
import { CONTROL_LOGIN } from './database/place.ts';
import { createPlaces, type Places } from './database/places.ts';
import { createPools, type Pools } from './database/pools.ts';
import { provision } from './database/provision.ts';
import { readPlaces } from './database/registry.ts';
import { openServer } from './database/server.ts';
import { createSqlSessions } from './database/sql-sessions.ts';
import { watchMigrations } from './database/watch-migrations.ts';
import { every } from './gateway/every.ts';
import { openAudit } from './gateway/open-audit.ts';
import { accessLimits, openBroker } from './gateway/open-broker.ts';
import { createServed } from './gateway/served.ts';
import { createApp } from './http/app.ts';
import { listen } from './http/listen.ts';
import { createMarks } from './http/marks.ts';
import { watchLag } from './http/overload.ts';
import { createSites } from './http/sites.ts';
import { createMcpEndpoint } from './mcp/endpoint.ts';
import { createObserver } from './observe.ts';
import { createRestEndpoint } from './rest/endpoint.ts';
import { openApi } from './rest/openapi.ts';
import { createCatalog } from './tables/catalog.ts';
import { keepHouse } from './tables/keep-house.ts';
import { shareCatalog } from './tables/shared-catalog.ts';
import { createDoor } from './tools/call-tool.ts';
import { CATALOGUE } from './tools/catalogue.ts';
import type { Door } from './tools/door.ts';
import { callerKey, type Means, type ResultLimits } from './tools/tool.ts';
import { createCheckpointKey } from './vault/checkpoint-key.ts';
import { createDataKeys } from './vault/data-keys.ts';
import { createKeyring } from './vault/keyring.ts';
import { readMasterKey } from './vault/master-key.ts';
import { prepareDataKeys } from './vault/prepare-data-keys.ts';
import { shareDataKeys } from './vault/share-data-keys.ts';

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

  // One change after the other, and none before all of this is built.
  const built = Promise.withResolvers<void>();
  let takenUp = built.promise;
  const registry = await openRegistry({
    file: settings.customersFile,
    roles: new Set(settings.roles.keys()),
    env,
    observe,
    onChange: () => {
      takenUp = takenUp.then(takeUp);
    },
  });
  opening.defer(() => registry.close());
  const served = createServed(registry, settings.customer);

  const masterKey = await readMasterKey(settings.masterKeyFile, settings.masterKeyMayBeCreated);
  const keyring = createKeyring(masterKey);
  const server = await openServer({ ...settings, observe });
  opening.defer(() => server.close());
  // A database that somebody named is theirs: only `frame migrate` changes it, here it is only looked at.
  if (server.embedded) await provision(server, served(), keyring.rolePassword, observe);
  await assertWalls(server, served(), keyring.rolePassword);

  const breaker = createBreaker(observe, () => performance.now());
  const poolParts = { server: server.address, passwordOf: keyring.rolePassword, observe, breaker };
  const pools = createPools({ ...poolParts, limits: config.pools });
  opening.defer(() => pools.close());
  // For the gateway itself: when tenants hold all other connections, people still sign in and all of it is recorded.
  const ownPools = createPools({ ...poolParts, limits: { ...config.pools, total: 2 * config.pools.rw } });
  opening.defer(() => ownPools.close());
  const sql = createSqlSessions({ ...poolParts, pools: config.pools, limits: config.sql });
  opening.defer(() => sql.close());
  const places = await createPlaces(
    () => readPlaces((text, params) => pools.query(CONTROL_LOGIN, text, params), served()),
    Date.now,
    error => observe({ kind: 'crash-averted', where: 'places', error }),
  );
  const keyStore = { pools: ownPools, folder: settings.keyFolder };
  const prepareKeys = () => prepareDataKeys(keyStore, served(), { mayMake: server.embedded });
  await prepareKeys();
  const dataKeys = createDataKeys({ ...keyStore, observe, now: () => performance.now() });
  await shareDataKeys(dataKeys, ownPools);
  const { audit, checkpoints, months } = openAudit(settings, ownPools, createCheckpointKey(masterKey), observe);
  opening.defer(() => audit.close());
  await checkpoints.begin();
  opening.defer(every(CHECKPOINT_EVERY_MS, 'audit checkpoint', checkpoints.write, observe));
  void months.keep().catch(error => observe({ kind: 'crash-averted', where: 'audit months', error }));
  opening.defer(every(KEEP_HOUSE_EVERY_MS, 'audit months', months.keep, observe));
  // A process that was killed left intents without an outcome: whoever runs closes them as unknown.
  void audit.sweep().catch(error => observe({ kind: 'crash-averted', where: 'audit sweep', error }));
  opening.defer(every(SWEEP_EVERY_MS, 'audit sweep', () => audit.sweep(), observe));
  opening.defer(
    every(KEEP_HOUSE_EVERY_MS, 'housekeeping', () => keepAllHouses(pools, places, config.results), observe),
  );

  const means: Means = {
    pools,
    sql,
    catalog: await shareCatalog(createCatalog({ pools, now: Date.now, ttlMs: CATALOG_TTL_MS }), pools, observe),
    audit,
    keyring,
    dataKeys,
    limits: config.results,
    tools: CATALOGUE,
    leastRoleFor: tool => leastRoleFor(settings.roles, tool, CATALOGUE.find(({ name }) => name === tool)?.right),
    now: Date.now,
  };
  const rates = createRates({ pools: ownPools, now: Date.now });
  const { ratesPerMinute } = config;
  const door = createDoor({
    catalogue: CATALOGUE,
    means,
    findPlace: places.find,
    async takeRate(caller, name) {
      const perMinute = Object.hasOwn(ratesPerMinute, name) ? ratesPerMinute[name] : 0;
      if (perMinute) requireRate(await rates.take({ name, perMinute }, callerKey(caller)));
    },
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
  const apiKeys = await createApiKeys({
    pools: ownPools,
    rates,
    now: Date.now,
    observe,
    onExposed: ({ id, name, customer, entity, environment }) =>
      audit.append({
        at: Date.now(),
        requestId: randomUUID(),
        customer,
        entity,
        environment,
        actor: { key: id, name },
        tool: 'keys.revoke',
        phase: 'call',
        outcome: 'ok',
        arguments: { key: id, why: 'seen-in-address' },
      }),
  });
  opening.defer(() => apiKeys.close());
  const broker = openBroker(settings, {
    // Half of them: who is signed in is let in also while strangers try.
    pools: gatePools(ownPools, Math.ceil(config.pools.rw / 2)),
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
      apiKeys,
      limits: accessLimits(settings),
      onTurnedAway: (customer, person, { code }, requestId) => door.turnedAway(customer.id, person, code, requestId),
    }),
    broker,
    mcp: createMcpEndpoint({ door, release, observe }),
    rest: createRestEndpoint(door),
    takeRate: caller => rates.take({ name: 'caller', perMinute: ratesPerMinute.caller }, callerKey(caller)),
    openApi: origin => openApi(door.all, { origin, release }),
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
        database: breaker.isOpen ? 'given up' : 'in use',
        connections: pools.depth(),
        audit_connections: ownPools.depth(),
        audit_checkpoints: checkpoints.state(),
        sql_connections: sql.depth(),
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
  built.resolve();
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
      await prepareKeys();
    } catch (error) {
      observe({ kind: 'crash-averted', where: 'customers.yaml', error });
    }
  }
}

// Private

/** How long a change by somebody who tells nobody (psql) may go unnoticed. */
const CATALOG_TTL_MS = 30_000;
const SWEEP_EVERY_MS = 60_000;
/** Also when nothing happens: so that silence is visible. */
const CHECKPOINT_EVERY_MS = 5 * 60_000;
const KEEP_HOUSE_EVERY_MS = 3_600_000;

async function keepAllHouses(pools: Pools, places: Places, { softDropDays }: ResultLimits): Promise<void> {
  for (const place of places.all()) await keepHouse(pools, place, { now: Date.now(), softDropDays });
}
