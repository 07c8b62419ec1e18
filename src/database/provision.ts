import postgres from 'postgres';
import type { Customer } from '../customers/customer.ts';
import { FrameError, WrongConfiguration } from '../errors.ts';
import type { Observe } from '../observe.ts';
import { asOwner } from './as-owner.ts';
import { findDatabaseGaps } from './database-gaps.ts';
import { describeGaps, type Gap } from './gap.ts';
import { createLedger } from './ledger.ts';
import { type MigrateOptions, migrateSchemas } from './migrate.ts';
import { type Migration, readMigrations } from './migration-files.ts';
import { CONTROL_DATABASE, CONTROL_LOGIN, catalogLogin, databaseOf, loginOf, type Place } from './place.ts';
import { quoteName } from './quote.ts';
import {
  findUnregistered,
  isWanted,
  nameOf,
  readPlaces,
  refuseOtherMasterKey,
  registerPlaces,
  rememberMasterKey,
} from './registry.ts';
import type { DatabaseServer, OwnerConnection } from './server.ts';
import { findServerGaps } from './server-gaps.ts';
import { FRAME_SCHEMA } from './walls.ts';

export interface ProvisionReport {
  customers: CustomerReport[];
  /** What was mended on the server as a whole: logins, their settings, who may connect where. */
  mended: string[];
  /** In the registry, but not in customers.yaml any more. Nothing of them was dropped. */
  absent: Place[];
  warnings: string[];
}

export interface CustomerReport {
  customer: string;
  database: string;
  /** The environments that are new: `axe:prod`. */
  created: string[];
  /** What was mended inside the database. */
  mended: string[];
  /** `axe_prod 001_internal` */
  migrated: string[];
}

export interface ProvisionOptions {
  /** How long another `frame migrate` may keep us waiting. Default 60. */
  lockWaitSeconds?: number;
}

/**
 * Creates or upgrades all that these customers need: databases, logins, walls, registry, schemas. Safe to repeat and to
 * race. Throws `limit/lock` when another one is at work for too long, WrongConfiguration when the master key, the owner
 * or this release does not fit what is there, and stops at the first migration that fails.
 */
export async function provision(
  server: DatabaseServer,
  customers: readonly Customer[],
  passwordOf: (role: string) => string,
  observe: Observe,
  { lockWaitSeconds = 60 }: ProvisionOptions = {},
): Promise<ProvisionReport> {
  return await asOwner(server, 'postgres', async owner => {
    await refuseWeakOwner(owner);
    await takeLock(owner, lockWaitSeconds);

    await createDatabases(owner, [CONTROL_DATABASE]);
    const control = await asOwner(server, CONTROL_DATABASE, async control => {
      await refuseOtherMasterKey(control.query, passwordOf);
      // The logins first: the migrations grant to them.
      const mended = await mend(owner, await findServerGaps(owner.query, [], [], passwordOf));
      await migrateControl(control, observe);
      await rememberMasterKey(control.query, passwordOf);
      return { mended, ...(await register(control, customers)) };
    });

    const databases = customers.map(({ id }) => databaseOf(id));
    await createDatabases(owner, databases);
    const places = control.places.filter(place => customers.some(({ id }) => id === place.customer));
    const mended = await mend(owner, await findServerGaps(owner.query, customers, places, passwordOf));

    const migrations = await readMigrations('entity');
    const reports: CustomerReport[] = [];
    for (const [index, { id }] of customers.entries()) {
      const database = databaseOf(id);
      const inside = places.filter(place => place.customer === id);
      const wanted = inside.filter(place => isWanted(place, customers));
      const done = await asOwner(server, database, async tenant => ({
        mended: await mend(tenant, await findDatabaseGaps(tenant.query, inside)),
        migrated: await migrateEntities(tenant, database, wanted, migrations, {
          observe,
          later: databases.slice(index + 1),
        }),
      }));
      const created = control.created.filter(place => place.customer === id).map(nameOf);
      reports.push({ customer: id, database, created, ...done });
    }
    return {
      customers: reports,
      mended: [...control.mended, ...mended],
      absent: control.places.filter(place => !isWanted(place, customers)),
      warnings: await findOpenDoors(owner),
    };
  });
}

// Private

/** `frame`: one lock per server, on the database that everyone starts from. */
const LOCK = 0x6672616d65;
const LOCK_NOT_AVAILABLE = '55P03';

async function refuseWeakOwner(owner: OwnerConnection): Promise<void> {
  const { rows } = await owner.query('select rolsuper, rolname from pg_roles where rolname = current_user');
  if (rows[0]?.[0] === true) return;
  const sentence = `the login ${rows[0]?.[1]} is no superuser, and only one can build the walls between entities`;
  throw new WrongConfiguration([{ file: 'FRAME_DATABASE_URL', sentence }]);
}

/** Held until the session ends, also when this process is killed. */
async function takeLock(owner: OwnerConnection, seconds: number): Promise<void> {
  try {
    await owner.script(`set lock_timeout = '${seconds}s'; select pg_advisory_lock(${LOCK}); reset lock_timeout`);
  } catch (thrown) {
    if (!(thrown instanceof postgres.PostgresError) || thrown.code !== LOCK_NOT_AVAILABLE) throw thrown;
    throw new FrameError('limit/lock', 'Another `frame migrate` is still at work on this server.', {
      hint: 'Try again when it is done.',
      retryable: true,
    });
  }
}

/** From template0, which nobody can have put anything into. */
async function createDatabases(owner: OwnerConnection, names: readonly string[]): Promise<void> {
  const { rows } = await owner.query('select datname from pg_database');
  const existing = new Set(rows.map(([name]) => name));
  for (const name of names.filter(name => !existing.has(name))) {
    await owner.query(`create database ${quoteName(name)} template template0 encoding 'UTF8'`);
  }
}

/** Many in one script, which is one transaction: a thousand environments take seconds. */
async function mend(owner: OwnerConnection, gaps: readonly Gap[]): Promise<string[]> {
  for (let first = 0; first < gaps.length; first += GAPS_AT_ONCE) {
    const script = gaps.slice(first, first + GAPS_AT_ONCE).map(gap => gap.mend);
    await owner.script(script.join(';\n'));
  }
  return describeGaps(gaps);
}

const GAPS_AT_ONCE = 500;

async function migrateControl(control: OwnerConnection, observe: Observe): Promise<void> {
  await createLedger(control, CONTROL_LOGIN.role);
  const known = await readMigrations('control');
  await migrateSchemas(control, CONTROL_DATABASE, [{ schema: FRAME_SCHEMA }], known, { observe });
}

async function migrateEntities(
  tenant: OwnerConnection,
  database: string,
  places: readonly Place[],
  known: readonly Migration[],
  options: MigrateOptions,
): Promise<string[]> {
  await createLedger(tenant, catalogLogin(database).role);
  const namesOf = (place: Place) => ({
    schema: place.schema,
    own: loginOf(place, 'own').role,
    rw: loginOf(place, 'rw').role,
    ro: loginOf(place, 'ro').role,
  });
  return await migrateSchemas(tenant, database, places.map(namesOf), known, options);
}

async function register(control: OwnerConnection, customers: readonly Customer[]) {
  const created = await registerPlaces(control.query, customers);
  const places = await readPlaces(control.query);
  const taken = findUnregistered(customers, places);
  if (taken.length === 0) return { created, places };
  throw new WrongConfiguration(
    taken.map(name => ({
      file: 'database',
      sentence: `${name} would get the schema of another entity, perhaps one that was renamed; choose another id`,
    })),
  );
}

/** Databases of others are theirs to close. */
async function findOpenDoors(owner: OwnerConnection): Promise<string[]> {
  const { rows } = await owner.query(OPEN_DOORS);
  return rows.map(
    ([name]) => `The database ${name} is not ours and lets every login of the server connect; revoke that if you can.`,
  );
}

const OPEN_DOORS = `
select datname from pg_database
where datallowconn and not starts_with(datname, 'frame_') and has_database_privilege('public', oid, 'connect')`;
