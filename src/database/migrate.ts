import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { FrameError } from '../errors.ts';
import type { Observe } from '../observe.ts';
import { type Ledger, pendingOf, readLedger, refuseUnfit } from './ledger.ts';
import { type Migration, readMigrations } from './migration-files.ts';
import { CONTROL_DATABASE, CONTROL_LOGIN, catalogLogin, type Place } from './place.ts';
import type { Pools } from './pools.ts';
import { quoteName, quoteText } from './quote.ts';
import type { OwnerConnection } from './server.ts';
import { FRAME_SCHEMA } from './walls.ts';

/** What the placeholders of a migration stand for. The control database has no `own`, `rw` and `ro`. */
export interface SchemaNames {
  schema: string;
  own?: string;
  rw?: string;
  ro?: string;
}

export interface MigrateOptions {
  observe: Observe;
  /** What comes after this database: behind as well, when a migration fails here. */
  later?: readonly string[];
  /** How often a migration is tried while others hold a lock it needs, 2 s each. Default 8. */
  attempts?: number;
}

/**
 * Brings schemas of one database up to date, each migration in a transaction with its line in the ledger. Safe to race.
 * Stops at the first that fails and names what is behind: `limit/lock` when others held a lock for too long.
 * @returns what was applied, as `schema migration`
 */
export async function migrateSchemas(
  owner: OwnerConnection,
  database: string,
  schemas: readonly SchemaNames[],
  known: readonly Migration[],
  { observe, later = [], attempts = 8 }: MigrateOptions,
): Promise<string[]> {
  const ledger = await readLedger(owner.query);
  refuseUnfit(ledger, database, known);

  const done: string[] = [];
  const late = schemas.filter(({ schema }) => pendingOf(ledger, schema, known).length > 0);
  for (const [index, names] of late.entries()) {
    for (const migration of pendingOf(ledger, names.schema, known)) {
      await applyMigration(owner, names, migration, observe, attempts).catch(cause => {
        const behind = late.slice(index).map(({ schema }) => `${database}.${schema}`);
        throw failureOf(migration, names.schema, [...behind, ...later], cause);
      });
      done.push(`${names.schema} ${migration.name}`);
    }
  }
  return done;
}

export interface MigrationState {
  /** The newest migration that every entity schema has. */
  applied: number;
  latest: number;
  /** What lacks a migration of this release: `frame_control`, or `database.schema`. */
  behind: string[];
}

/** For health: reads the ledgers through the gateway's own logins. */
export async function migrationState(pools: Pick<Pools, 'query'>, places: readonly Place[]): Promise<MigrationState> {
  const [control, entity] = await Promise.all([readMigrations('control'), readMigrations('entity')]);
  const logins = [CONTROL_LOGIN, ...new Set(places.map(({ database }) => database)).values().map(catalogLogin)];
  const ledgers = new Map(
    await Promise.all(
      logins.map(async login => [login.database, await readLedger(text => pools.query(login, text))] as const),
    ),
  );
  const ledgerOf = (database: string): Ledger => ledgers.get(database) ?? new Map();
  const isLate = ({ database, schema }: Place) => pendingOf(ledgerOf(database), schema, entity).length > 0;
  const newestOf = ({ database, schema }: Place) => ledgerOf(database).get(schema)?.at(-1)?.version ?? 0;

  const latest = entity.at(-1)?.version ?? 0;
  const isControlLate = pendingOf(ledgerOf(CONTROL_DATABASE), FRAME_SCHEMA, control).length > 0;
  const behind = places.filter(isLate).map(({ database, schema }) => `${database}.${schema}`);
  return {
    applied: Math.min(latest, ...places.map(newestOf)),
    latest,
    behind: isControlLate ? [CONTROL_DATABASE, ...behind] : behind,
  };
}

// Private

async function applyMigration(
  owner: OwnerConnection,
  names: SchemaNames,
  migration: Migration,
  observe: Observe,
  attempts: number,
): Promise<void> {
  const { version, name, breaking, checksum, text } = migration;
  const line = [quoteText(names.schema), version, quoteText(name), breaking, quoteText(checksum)].join(', ');
  // One script is one transaction. The ledger comes first: who races us for this migration waits, and finds it done.
  const script = `set local lock_timeout = '2s';
    insert into ${FRAME_SCHEMA}.migrations (schema_name, version, name, breaking, checksum) values (${line});
    ${fillIn(text, names)}`;
  for (let attempt = 1; ; attempt++) {
    try {
      return await owner.script(script);
    } catch (thrown) {
      if (isDoneByOthers(thrown)) return;
      if (!isLockedByOthers(thrown) || attempt >= attempts) throw thrown;
      observe({ kind: 'postgres', event: `migration ${name} waits for a lock in ${names.schema}` });
      await pause(Math.min(50 * 2 ** attempt, 2000) * (0.5 + Math.random() / 2));
    }
  }
}

function fillIn(text: string, names: SchemaNames): string {
  return text.replaceAll(/(?<!:):(schema|own|rw|ro)\b/g, (placeholder, key: keyof SchemaNames) => {
    const name = names[key];
    if (name === undefined) throw new Error(`${placeholder} stands for nothing in this database.`);
    return quoteName(name);
  });
}

function isDoneByOthers(thrown: unknown): boolean {
  return thrown instanceof postgres.PostgresError && thrown.constraint_name === 'migrations_pkey';
}

function isLockedByOthers(thrown: unknown): boolean {
  return thrown instanceof postgres.PostgresError && [LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED].includes(thrown.code);
}

const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK_DETECTED = '40P01';

function failureOf({ name }: Migration, schema: string, behind: readonly string[], cause: unknown): FrameError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new FrameError(
    isLockedByOthers(cause) ? 'limit/lock' : 'internal',
    `The migration ${name} failed in the schema ${schema}: ${reason}.`,
    { hint: `Behind now: ${behind.join(', ')}.`, retryable: isLockedByOthers(cause), cause },
  );
}
