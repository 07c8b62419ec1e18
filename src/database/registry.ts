import { createHash } from 'node:crypto';
import { type Customer, ENVIRONMENTS, type Environment } from '../customers/customer.ts';
import { WrongConfiguration } from '../errors.ts';
import { noneIfMissing, type Read } from './ledger.ts';
import { databaseOf, type Place } from './place.ts';
import { FRAME_SCHEMA } from './walls.ts';

/** All places these customers ever had; without `customers`, all there are. Through the control login or the owner. */
export async function readPlaces(read: Read, customers?: readonly Customer[]): Promise<Place[]> {
  const { rows } = await read(
    `select customer, entity, environment, database_name, schema_name, role_id from ${FRAME_SCHEMA}.environments
     where $1::json is null or customer in (select json_array_elements_text($1::json))
     order by customer, entity, environment`,
    [customers ? JSON.stringify(customers.map(({ id }) => id)) : null],
  );
  return rows.map(toPlace);
}

/** Enters what is new; a place that is there keeps its database, schema and logins for ever. Returns the new ones. */
export async function registerPlaces(read: Read, customers: readonly Customer[]): Promise<Place[]> {
  const wanted = customers.flatMap(({ id, entities }) =>
    entities.flatMap(entity =>
      entity.environments.map(environment => ({
        customer: id,
        entity: entity.id,
        environment,
        database_name: databaseOf(id),
        schema_name: `${entity.id.replaceAll('-', '_')}_${environment}`,
      })),
    ),
  );
  const { rows } = await read(
    `insert into ${FRAME_SCHEMA}.environments (customer, entity, environment, database_name, schema_name)
     select customer, entity, environment, database_name, schema_name
     from json_populate_recordset(null::${FRAME_SCHEMA}.environments, $1::json)
     on conflict do nothing
     returning customer, entity, environment, database_name, schema_name, role_id`,
    [JSON.stringify(wanted)],
  );
  return rows.map(toPlace);
}

/** The environments of customers.yaml that the registry does not know, as `axe/studio:prod`. */
export function findUnregistered(customers: readonly Customer[], places: readonly Place[]): string[] {
  const known = new Set(places.map(nameOf));
  const wanted = customers.flatMap(({ id, entities }) =>
    entities.flatMap(entity =>
      entity.environments.map(environment => nameOf({ customer: id, entity: entity.id, environment })),
    ),
  );
  return wanted.filter(name => !known.has(name));
}

export function isWanted(place: Place, customers: readonly Customer[]): boolean {
  const customer = customers.find(({ id }) => id === place.customer);
  const entity = customer?.entities.find(({ id }) => id === place.entity);
  return entity?.environments.includes(place.environment) ?? false;
}

export function nameOf({ customer, entity, environment }: Pick<Place, 'customer' | 'entity' | 'environment'>): string {
  return `${customer}/${entity}:${environment}`;
}

/** Throws when these passwords come from another master key than the one that this installation began with. */
export async function refuseOtherMasterKey(read: Read, passwordOf: (role: string) => string): Promise<void> {
  const { rows } = await read(`select key_check from ${FRAME_SCHEMA}.installation`).catch(noneIfMissing);
  if (rows.every(([keyCheck]) => keyCheck === keyCheckOf(passwordOf))) return;
  const sentence =
    'the master key is not the one that this installation began with; bring back your copy of the right one (FRAME_MASTER_KEY_FILE)';
  throw new WrongConfiguration([{ file: 'database', sentence }]);
}

/** Binds a new installation to its master key; later calls change nothing. */
export async function rememberMasterKey(read: Read, passwordOf: (role: string) => string): Promise<void> {
  const keyCheck = keyCheckOf(passwordOf);
  await read(`insert into ${FRAME_SCHEMA}.installation (key_check) values ($1) on conflict do nothing`, [keyCheck]);
}

// Private

/** From the password of a role that there is not, so that what is stored opens nothing. */
function keyCheckOf(passwordOf: (role: string) => string): string {
  return createHash('sha256').update(passwordOf('installation')).digest('base64url');
}

function toPlace(row: unknown[]): Place {
  const [customer = '', entity = '', environment = '', database = '', schema = '', roleId = ''] = row.map(String);
  return { customer, entity, environment: toEnvironment(environment), database, schema, roleId };
}

function toEnvironment(text: string): Environment {
  const environment = ENVIRONMENTS.find(known => known === text);
  if (!environment) throw new Error(`The registry has an environment that this release does not know: ${text}.`);
  return environment;
}
