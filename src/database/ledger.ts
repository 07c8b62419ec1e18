import postgres from 'postgres';
import { WrongConfiguration } from '../errors.ts';
import type { Params, Result } from './connect.ts';
import type { Migration } from './migration-files.ts';
import { quoteName } from './quote.ts';
import type { OwnerConnection } from './server.ts';
import { FRAME_SCHEMA } from './walls.ts';

/** Runs one statement, through a pool or as the owner. */
export type Read = (text: string, params?: Params) => Promise<Pick<Result, 'rows'>>;

/** One migration that a schema has. */
export type Applied = Omit<Migration, 'text'>;

/** What each schema of one database has, in the order of versions. */
export type Ledger = ReadonlyMap<string, readonly Applied[]>;

/** Readable by the login that health uses in this database. */
export async function createLedger(owner: OwnerConnection, reader: string): Promise<void> {
  await owner.script(`
    create schema if not exists ${FRAME_SCHEMA};
    create table if not exists ${FRAME_SCHEMA}.migrations (
      schema_name text not null,
      version integer not null,
      name text not null,
      breaking boolean not null,
      checksum text not null,
      at timestamptz not null default now(),
      primary key (schema_name, version)
    );
    grant usage on schema ${FRAME_SCHEMA} to ${quoteName(reader)};
    grant select on ${FRAME_SCHEMA}.migrations to ${quoteName(reader)};`);
}

/** Empty for a database that has no ledger yet. */
export async function readLedger(read: Read): Promise<Ledger> {
  const { rows } = await read(
    `select schema_name, version, name, breaking, checksum from ${FRAME_SCHEMA}.migrations order by version`,
  ).catch(noneIfMissing);
  const entries = rows.map(([schema, version, name, breaking, checksum]) => ({
    schema: String(schema),
    applied: {
      version: Number(version),
      name: String(name),
      breaking: breaking === true,
      checksum: String(checksum),
    },
  }));
  const bySchema = Map.groupBy(entries, ({ schema }) => schema);
  return new Map([...bySchema].map(([schema, group]) => [schema, group.map(({ applied }) => applied)]));
}

export function pendingOf(ledger: Ledger, schema: string, known: readonly Migration[]): Migration[] {
  const versions = new Set(ledger.get(schema)?.map(({ version }) => version));
  return known.filter(({ version }) => !versions.has(version));
}

/**
 * Throws when this release must not touch what is there: it lacks a breaking migration, or a file was changed after it
 * had been applied. Other migrations of newer releases are fine.
 */
export function refuseUnfit(ledger: Ledger, database: string, known: readonly Migration[]): void {
  const mistakes = [...ledger].flatMap(([schema, entries]) =>
    entries.flatMap(({ version, name, breaking, checksum }) => {
      const ours = known.find(migration => migration.version === version);
      const has = `schema ${schema} of ${database} has`;
      if (!ours) return breaking ? `${has} the breaking migration ${name}; run the release that made it` : [];
      if (ours.checksum === checksum) return [];
      return `${has} the migration ${name} with another text; restore that file and add a new one instead`;
    }),
  );
  if (mistakes.length > 0) throw new WrongConfiguration(mistakes.map(sentence => ({ file: 'database', sentence })));
}

/** For tables of ours that are not there before the first `frame migrate`. */
export function noneIfMissing(thrown: unknown): { rows: unknown[][] } {
  if (thrown instanceof postgres.PostgresError && thrown.code === UNDEFINED_TABLE) return { rows: [] };
  throw thrown;
}

// Private

const UNDEFINED_TABLE = '42P01';
