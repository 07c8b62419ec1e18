import type { Customer } from '../customers/customer.ts';
import { WrongConfiguration } from '../errors.ts';
import { asOwner } from './as-owner.ts';
import { findDatabaseGaps } from './database-gaps.ts';
import { describeGaps } from './gap.ts';
import { pendingOf, readLedger, refuseUnfit } from './ledger.ts';
import { type Migration, readMigrations } from './migration-files.ts';
import { CONTROL_DATABASE, databaseOf } from './place.ts';
import { findUnregistered, isWanted, readPlaces, refuseOtherMasterKey } from './registry.ts';
import type { DatabaseServer, OwnerConnection } from './server.ts';
import { findServerGaps } from './server-gaps.ts';
import { FRAME_SCHEMA } from './walls.ts';

/**
 * Whether a gateway may serve these customers here: all that `frame migrate` makes is there and whole. Changes nothing.
 * Throws WrongConfiguration with a sentence for each thing that is missing.
 */
export async function assertWalls(
  server: DatabaseServer,
  customers: readonly Customer[],
  passwordOf: (role: string) => string,
): Promise<void> {
  await asOwner(server, 'postgres', async owner => {
    const existing = await readDatabases(owner);
    const lacking = [CONTROL_DATABASE, ...customers.map(({ id }) => databaseOf(id))].filter(
      name => !existing.has(name),
    );
    refuse(lacking.map(name => `database ${name} is missing`));

    const places = await asOwner(server, CONTROL_DATABASE, async control => {
      await refuseOtherMasterKey(control.query, passwordOf);
      refuse(await findLate(control, CONTROL_DATABASE, [FRAME_SCHEMA], await readMigrations('control')));
      return await readPlaces(control.query, customers);
    });

    const lacks = findUnregistered(customers, places).map(name => `${name} is missing`);
    lacks.push(...describeGaps(await findServerGaps(owner.query, customers, places, passwordOf)));
    const migrations = await readMigrations('entity');
    for (const { id } of customers) {
      const inside = places.filter(place => place.customer === id);
      const wanted = inside.filter(place => isWanted(place, customers)).map(({ schema }) => schema);
      await asOwner(server, databaseOf(id), async tenant => {
        const gaps = describeGaps(await findDatabaseGaps(tenant.query, inside));
        lacks.push(...gaps.map(gap => `${databaseOf(id)}: ${gap}`));
        lacks.push(...(await findLate(tenant, databaseOf(id), wanted, migrations)));
      });
    }
    refuse(lacks);
  });
}

// Private

async function readDatabases(owner: OwnerConnection): Promise<Set<unknown>> {
  const { rows } = await owner.query('select datname from pg_database');
  return new Set(rows.map(([name]) => name));
}

/** Schemas that lack a migration. Throws for those that have one too many. */
async function findLate(
  owner: OwnerConnection,
  database: string,
  schemas: readonly string[],
  known: readonly Migration[],
): Promise<string[]> {
  const ledger = await readLedger(owner.query);
  refuseUnfit(ledger, database, known);
  return schemas.flatMap(schema =>
    pendingOf(ledger, schema, known).map(({ name }) => `${database}: schema ${schema} lacks the migration ${name}`),
  );
}

function refuse(lacks: readonly string[]): void {
  if (lacks.length === 0) return;
  throw new WrongConfiguration(lacks.map(lack => ({ file: 'database', sentence: `${lack}; run \`frame migrate\`` })));
}
