import { createHash } from 'node:crypto';
import postgres from 'postgres';
import type { Customer, Environment } from '../../src/customers/customer.ts';
import type { Login, Place } from '../../src/database/place.ts';
import { type ProvisionOptions, type ProvisionReport, provision } from '../../src/database/provision.ts';
import { readPlaces } from '../../src/database/registry.ts';
import type { DatabaseServer } from '../../src/database/server.ts';
import { observeNothing } from '../../src/observe.ts';

/** A customer with these entities: `{ axe: ['prod', 'dev'] }`. Everything else about it is made up. */
export function customerOf(id: string, entities: Record<string, readonly Environment[]>): Customer {
  return {
    id,
    name: id,
    origin: undefined,
    host: undefined,
    domains: [`${id}.example`],
    entra: {
      tenantId: `tenant-of-${id}`,
      audience: [`api://${id}`],
      scope: 'access_as_user',
      clientId: undefined,
      clientSecret: undefined,
      authority: 'https://login.example',
      guests: false,
    },
    signIn: 'direct',
    entities: Object.entries(entities).map(([entity, environments]) => ({ id: entity, name: entity, environments })),
    access: [],
    services: {},
  };
}

/** Stands for a keyring: the same role, the same password. */
export function passwordOf(role: string): string {
  return createHash('sha256').update(`a test's master key ${role}`).digest('base64url');
}

export function provisionAll(
  server: DatabaseServer,
  customers: readonly Customer[],
  options?: ProvisionOptions,
): Promise<ProvisionReport> {
  return provision(server, customers, passwordOf, observeNothing, options);
}

export async function placesOf(server: DatabaseServer): Promise<Place[]> {
  return await queryAsOwner(server, 'frame_control', control => readPlaces(control));
}

type Query = Awaited<ReturnType<DatabaseServer['connectAsOwner']>>['query'];

/** What one statement of the superuser answers, or whatever else `work` makes of the session's query. */
export async function queryAsOwner<T>(
  server: DatabaseServer,
  database: string,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const owner = await server.connectAsOwner(database);
  return await work(owner.query).finally(() => owner.close());
}

export async function rowsAsOwner(server: DatabaseServer, database: string, text: string): Promise<unknown[][]> {
  return await queryAsOwner(server, database, async query => (await query(text)).rows);
}

/** Postgres as a role sees it, without anything of ours in between. */
export function connectAs(
  server: DatabaseServer,
  { role, database }: Login,
  onNotice: (notice: postgres.Notice) => void = () => {},
  password: (role: string) => string = passwordOf,
): postgres.Sql {
  const { host, port } = server.address;
  return postgres({
    host,
    port,
    user: role,
    password: password(role),
    database,
    max: 1,
    ssl: false,
    fetch_types: false,
    onnotice: onNotice,
  });
}
