import { createAccessTokens } from '../../src/access/access-token.ts';
import { createAccess } from '../../src/access/authenticate.ts';
import { createSigningKeys } from '../../src/access/signing-keys.ts';
import type { AuditEntry, AuditLog } from '../../src/audit/audit.ts';
import { type Clients, createClients } from '../../src/broker/clients.ts';
import { createGrants } from '../../src/broker/grants.ts';
import { type Network, publicNetwork } from '../../src/broker/public-network.ts';
import { type BrokerParts, createBroker } from '../../src/broker/routes.ts';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import type { Customer } from '../../src/customers/customer.ts';
import { CONTROL_DATABASE } from '../../src/database/place.ts';
import { createPools, type Pools } from '../../src/database/pools.ts';
import { provision } from '../../src/database/provision.ts';
import { createStandInEntra, type StandInEntra } from '../../src/demo/entra/stand-in-entra.ts';
import type { StandInTenant } from '../../src/demo/entra/tenant.ts';
import { type Observation, observeNothing } from '../../src/observe.ts';
import { Secret } from '../../src/secret.ts';
import { createKeyring } from '../../src/vault/keyring.ts';
import { NO_KEYS, rule } from '../access/fixtures.ts';
import { customerNamed, startGateway } from '../http/fixture.ts';
import { startOwnPostgres } from '../support/postgres.ts';

/**
 * A gateway whose people sign in through it: the real broker and access over real HTTP and Postgres, the stand-in Entra
 * behind it, and a door of a few lines.
 */
export interface World {
  origin: string;
  /** Of the MCP endpoint. */
  resource: string;
  entra: StandInEntra;
  clients: Clients;
  pools: Pools;
  audited: AuditEntry[];
  observations: Observation[];
  /** Milliseconds that our clock is ahead of Entra's and Postgres' own. */
  clock: { aheadMs: number };
  /** Changes what the next requests to Entra's token endpoint and keys get. */
  upstream: { fetch: typeof fetch };
  /** Makes the next records fail. */
  auditing: { append: AuditLog['append'] };
  /** Replaces the customers in force. */
  customers: { current: readonly Customer[] };
  query(text: string): Promise<unknown[][]>;
  close(): Promise<void>;
}

export const SECRET = 'the secret of Frame at Entra, with: signs & such';
export const ADA = 'aaaaaaaa-0000-4000-8000-0000000000d1';
export const GUS = 'aaaaaaaa-0000-4000-8000-0000000000d2';
export const EVE = 'aaaaaaaa-0000-4000-8000-0000000000d3';
export const BEN = 'bbbbbbbb-0000-4000-8000-0000000000d1';

export async function openWorld(
  ids: readonly ('axe' | 'bolt')[] = ['axe'],
  changes: Partial<BrokerParts['limits']> = {},
  network: Network = publicNetwork,
): Promise<World> {
  await using opening = new AsyncDisposableStack();
  const postgres = await startOwnPostgres();
  opening.defer(() => postgres.remove());
  const passwordOf = (role: string) => `password of ${role}`;
  await provision(postgres.server, [], passwordOf, observeNothing);
  const pools = createPools({
    server: postgres.server.address,
    passwordOf,
    // On a busy machine, whoever races waits rather than be refused.
    limits: { ...DEFAULT_GATEWAY_CONFIG.pools, acquireTimeoutMs: 20_000 },
    observe: observeNothing,
  });
  opening.defer(() => pools.close());

  const clock = { aheadMs: 0 };
  const now = () => Date.now() + clock.aheadMs;
  const entra = createStandInEntra({ tenants: [AXE, BOLT], now: Date.now });
  const authority = await entra.listen('127.0.0.1', 0);
  opening.defer(() => entra.close());
  const customers = { current: ids.map(id => brokered(id, authority)) };

  const observations: Observation[] = [];
  const observe = (observation: Observation) => void observations.push(observation);
  const audited: AuditEntry[] = [];
  const auditing = { append: async (entry: AuditEntry) => void audited.push(entry) };
  const upstream = { fetch: globalThis.fetch };
  const limits = {
    ...DEFAULT_GATEWAY_CONFIG.signIn,
    startsPerMinute: 10_000,
    registrationsPerMinute: 10_000,
    leewaySeconds: 60,
    ...changes,
  };
  const keyLimits = { keysMaxAgeMinutes: 10, keysStaleHours: 24, keysCooldownSeconds: 30, keysTimeoutSeconds: 5 };
  let origin = '';
  const parts = {
    pools,
    now,
    observe,
    limits,
    audit: { append: (entry: AuditEntry) => auditing.append(entry) },
    fetch: (...call: Parameters<typeof fetch>) => upstream.fetch(...call),
    ownOrigins: () => [origin],
  };
  const clients = createClients({ ...parts, network });
  const keyring = createKeyring(new Secret(Buffer.alloc(32, 7)));
  const accessTokens = await createAccessTokens({ ...parts, limits: { rememberTokens: 100 } });
  opening.defer(() => accessTokens.close());
  const broker = createBroker({
    ...parts,
    clients,
    keyring,
    grants: createGrants({ ...parts, clients }),
    keys: createSigningKeys({ ...parts, limits: keyLimits }),
  });
  const access = createAccess({
    ...parts,
    apiKeys: NO_KEYS,
    accessTokens,
    roles: new Map([['view', new Set(['*'])]]),
    tools: [{ name: 'echo', kind: 'read' }],
    limits: { ...keyLimits, leewaySeconds: 60, rememberSeconds: 300, rememberTokens: 100 },
    onTurnedAway: async () => {},
  });
  const gateway = await startGateway({ broker, access, observe, customersNow: () => customers.current });
  opening.defer(() => gateway.stop());
  origin = gateway.origin;

  const open = opening.move();
  return {
    origin,
    resource: `${origin}/frame/mcp`,
    entra,
    clients,
    pools,
    audited,
    observations,
    clock,
    upstream,
    auditing,
    customers,
    async query(text) {
      const owner = await postgres.server.connectAsOwner(CONTROL_DATABASE);
      const { rows } = await owner.query(text).finally(() => owner.close());
      return rows;
    },
    close: () => open.disposeAsync(),
  };
}

// Private

const CALLBACK = { platform: 'web', uri: 'http://127.0.0.1/callback/entra' } as const;

const AXE: StandInTenant = {
  tenantId: 'aaaaaaaa-0000-4000-8000-000000000001',
  name: 'AXE LLC',
  api: { clientId: 'aaaaaaaa-0000-4000-8000-00000000000a', uris: ['api://axe'], scopes: ['x'], tokenVersion: 2 },
  clients: [{ clientId: 'aaaaaaaa-0000-4000-8000-00000000000a', name: 'Frame', secret: SECRET, redirects: [CALLBACK] }],
  people: [
    { objectId: ADA, name: 'Ada Axe', username: 'ada@axe.example' },
    { objectId: GUS, name: 'Gus Guest', username: 'gus@axe.example', guest: true },
    { objectId: EVE, name: '<i>Eve</i>', username: 'eve@elsewhere.example' },
  ],
};

const BOLT: StandInTenant = {
  tenantId: 'bbbbbbbb-0000-4000-8000-000000000001',
  name: 'Bolt Inc',
  api: { clientId: 'bbbbbbbb-0000-4000-8000-00000000000a', uris: ['api://bolt'], scopes: ['x'], tokenVersion: 2 },
  clients: [{ clientId: 'bbbbbbbb-0000-4000-8000-00000000000a', name: 'Frame', secret: SECRET, redirects: [CALLBACK] }],
  people: [{ objectId: BEN, name: 'Ben Bolt', username: 'ben@bolt.example' }],
};

function brokered(id: 'axe' | 'bolt', authority: string): Customer {
  const { tenantId, name, api } = id === 'axe' ? AXE : BOLT;
  const domain = `${id}.example`;
  return customerNamed(id, {
    name,
    signIn: 'broker',
    domains: [domain],
    access: [rule(1, { kind: 'domain', domain }, 'view')],
    entra: {
      tenantId,
      authority,
      audience: [api.clientId],
      scope: 'x',
      clientId: api.clientId,
      clientSecret: new Secret(SECRET),
      guests: false,
    },
  });
}
