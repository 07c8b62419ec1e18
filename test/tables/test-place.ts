import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Caller } from '../../src/access/caller.ts';
import type { AuditLog } from '../../src/audit/audit.ts';
import type { Customer, Entity } from '../../src/customers/customer.ts';
import { CONTROL_DATABASE, loginOf, type Place } from '../../src/database/place.ts';
import { createPools, type Pools, type Result } from '../../src/database/pools.ts';
import { provision } from '../../src/database/provision.ts';
import { readPlaces } from '../../src/database/registry.ts';
import { createSqlSessions } from '../../src/database/sql-sessions.ts';
import { observeNothing } from '../../src/observe.ts';
import { Secret } from '../../src/secret.ts';
import { type Catalog, createCatalog } from '../../src/tables/catalog.ts';
import type { Answer, Means, Tool } from '../../src/tools/tool.ts';
import { createDataKeys } from '../../src/vault/data-keys.ts';
import { createKeyring } from '../../src/vault/keyring.ts';
import { type KeyStore, makeDataKeys } from '../../src/vault/make-data-keys.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';

/** A provisioned schema on a Postgres of its own, and all that a data tool needs to work on it. */
export interface TestPlace {
  postgres: OwnPostgres;
  place: Place;
  pools: Pools;
  catalog: Catalog;
  means: Means;
  /** Where the keys of its personal data are. */
  keyStore: KeyStore;
  /** The clock of `means`. */
  clock: { now: number };
  /** One statement of a designer; the catalog forgets what it knew. `$s` is the schema. */
  design(text: string): Promise<Result>;
  /** One statement as the superuser, as psql would. */
  asOwner(text: string): Promise<Result>;
  /** Runs a tool behind the door: arguments that its schema allows. */
  run<Input>(tool: Tool<Input>, args: object, changes?: Partial<Caller>): Promise<Answer['result']>;
  remove(): Promise<void>;
}

export async function openTestPlace(options: { port?: (port: number) => Promise<number> } = {}): Promise<TestPlace> {
  const postgres = await startOwnPostgres();
  const keyring = createKeyring(new Secret(randomBytes(32)));
  await provision(postgres.server, [CUSTOMER], keyring.rolePassword, observeNothing);
  const place = await readPlace(postgres);
  const { address } = postgres.server;
  const port = (await options.port?.(address.port)) ?? address.port;
  const pools = createPools({
    server: { ...address, port },
    passwordOf: keyring.rolePassword,
    limits: LIMITS,
    observe: observeNothing,
  });
  const sql = createSqlSessions({
    server: { ...address, port },
    passwordOf: keyring.rolePassword,
    pools: LIMITS,
    limits: { perCaller: 1, perPlace: 3, total: 12, waitMs: 10_000, maxAnswerBytes: 2_000_000 },
    observe: observeNothing,
  });
  const clock = { now: Date.now() };
  const folder = await mkdtemp(join(tmpdir(), 'frame-keys-'));
  const keyStore = { pools, folder };
  await makeDataKeys(keyStore, [place]);
  const dataKeys = createDataKeys({ ...keyStore, observe: observeNothing, now: () => performance.now() });
  const catalog = createCatalog({ pools, now: () => clock.now, ttlMs: 30_000 });
  const means: Means = {
    pools,
    sql,
    catalog,
    dataKeys,
    keyring,
    audit: noAudit,
    limits: {
      defaultRows: 50,
      maxRows: 500,
      maxInsertRows: 500,
      maxResultBytes: 400_000,
      planMinutes: 10,
      cursorMinutes: 60,
      softDropDays: 7,
    },
    tools: [],
    leastRoleFor: () => undefined,
    now: () => clock.now,
  };
  return {
    postgres,
    place,
    pools,
    catalog,
    means,
    keyStore,
    clock,
    async design(text) {
      catalog.forget(place);
      return await pools.query(loginOf(place, 'own'), text.replaceAll('$s', place.schema), [], { prepare: false });
    },
    async asOwner(text) {
      catalog.forget(place);
      const owner = await postgres.server.connectAsOwner(place.database);
      return await owner.query(text.replaceAll('$s', place.schema)).finally(() => owner.close());
    },
    async run(tool, args, changes = {}) {
      const input = tool.input.parse(args);
      const caller = { ...CALLER, ...changes };
      const call = { caller, place, requestId: 'r1', signal: AbortSignal.timeout(20_000), means };
      return (await tool.run(call, input)).result;
    },
    async remove() {
      await Promise.all([pools.close(), sql.close()]);
      await postgres.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The columns that every table has; the rest follows. */
export function tableOf(name: string, columns: string): string[] {
  return [
    `create table $s."${name}" (id uuid primary key default $s._uuid7(), created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(), created_by text, ${columns})`,
    `create trigger _touch before insert or update on $s."${name}" for each row execute function $s._touch()`,
  ];
}

// Private

const ENTITY: Entity = { id: 'axe', name: 'AXE', environments: ['prod'] };

const CUSTOMER: Customer = {
  id: 'axe',
  name: 'AXE LLC',
  origin: undefined,
  host: undefined,
  domains: ['axellc.com'],
  entra: {
    tenantId: '122fb574-0000-4000-8000-000000000001',
    audience: ['api://axe'],
    scope: 'access_as_user',
    clientId: undefined,
    clientSecret: undefined,
    authority: 'https://login.microsoftonline.com',
    guests: false,
  },
  signIn: 'direct',
  entities: [ENTITY],
  access: [],
  services: {},
};

const CALLER: Caller = {
  customer: CUSTOMER,
  person: {
    tenantId: CUSTOMER.entra.tenantId,
    objectId: '00000000-0000-4000-8000-000000000042',
    name: 'Ada',
    username: 'ada@axellc.com',
  },
  role: 'editor',
  tools: new Set(['*']),
  entities: [ENTITY],
  scopes: [],
  rule: '',
};

const LIMITS = {
  own: 2,
  rw: 4,
  ro: 4,
  total: 20,
  acquireTimeoutMs: 10_000,
  idleSeconds: 30,
  maxLifetimeMinutes: 30,
  maxAnswerBytes: 8_000_000,
};

const noAudit: AuditLog = {
  append: async () => {},
  search: async () => ({ entries: [], next: undefined }),
  openIntents: async () => [],
  sweep: async () => 0,
  close: async () => {},
};

async function readPlace(postgres: OwnPostgres): Promise<Place> {
  const control = await postgres.server.connectAsOwner(CONTROL_DATABASE);
  const [place] = await readPlaces(control.query).finally(() => control.close());
  if (!place) throw new Error('nothing was provisioned');
  return place;
}
