import { catalogLogin, type Place } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { didYouMean } from '../did-you-mean.ts';
import { FrameError, unavailable } from '../errors.ts';
import { CATALOG_QUERY, readSnapshot } from './introspect.ts';
import type { SchemaSnapshot, Table } from './table.ts';

/**
 * What tables there are, from Postgres's own catalog, read by a login that sees no rows. One query per schema, kept for
 * a short time; whoever changes a schema calls `forget`.
 */
export interface Catalog {
  tables(place: Place): Promise<SchemaSnapshot>;
  /** Throws `table/not-found`, with a guess from the same schema. */
  table(place: Place, name: string): Promise<Table>;
  /** A change was committed: forget, here and wherever else the catalog is shared with. */
  changed(place: SchemaOf): void;
  forget(place: SchemaOf): void;
  forgetAll(): void;
  /** Forgets a snapshot that is not from just now; false when it is, and a new one would say the same. */
  renew(place: Place): boolean;
}

/** What a schema is known by. */
export type SchemaOf = Pick<Place, 'database' | 'schema'>;

export interface CatalogParts {
  pools: Pools;
  now(): number;
  /** How long a snapshot may be used. */
  ttlMs: number;
}

export function createCatalog({ pools, now, ttlMs }: CatalogParts): Catalog {
  const kept = new Map<string, { loadedAt: number; snapshot: Promise<SchemaSnapshot> }>();
  const catalog: Catalog = {
    tables(place) {
      const known = kept.get(keyOf(place));
      if (known && now() - known.loadedAt < ttlMs) return known.snapshot;
      // Kept from its start: callers share one query, and a `forget` in the meantime is not undone by its answer.
      const fresh = { loadedAt: now(), snapshot: load(pools, place, now()) };
      kept.set(keyOf(place), fresh);
      fresh.snapshot.catch(() => {
        if (kept.get(keyOf(place)) === fresh) kept.delete(keyOf(place));
      });
      return fresh.snapshot;
    },
    async table(place, name) {
      const { tables } = await catalog.tables(place);
      const table = tables.find(candidate => candidate.name === name);
      if (table) return table;
      // Another slot may have made it since.
      if (!catalog.renew(place)) throw notFound(name, tables);
      const renewed = await catalog.tables(place);
      const found = renewed.tables.find(candidate => candidate.name === name);
      if (found) return found;
      throw notFound(name, renewed.tables);
    },
    forget(place) {
      kept.delete(keyOf(place));
    },
    changed: place => catalog.forget(place),
    forgetAll: () => kept.clear(),
    renew(place) {
      const known = kept.get(keyOf(place));
      if (known && now() - known.loadedAt < FRESH_MS) return false;
      catalog.forget(place);
      return true;
    },
  };
  return catalog;
}

// Private

const FRESH_MS = 1000;

function keyOf({ database, schema }: SchemaOf): string {
  return `${database}/${schema}`;
}

async function load(pools: Pools, place: Place, loadedAt: number): Promise<SchemaSnapshot> {
  const { rows } = await pools.query(catalogLogin(place.database), CATALOG_QUERY, [place.schema]);
  const [structure, estimates] = rows[0] ?? [];
  if (typeof structure !== 'string' || typeof estimates !== 'string') {
    throw unavailable('The tables cannot be read right now.', { detail: `no schema ${place.schema}` });
  }
  return readSnapshot(place.schema, structure, estimates, loadedAt);
}

function notFound(name: string, tables: readonly Table[]): FrameError {
  const guess = didYouMean(
    name,
    tables.map(table => table.name),
  );
  return new FrameError('table/not-found', `There is no table \`${name.slice(0, 80)}\`.`, {
    hint: guess ? `Did you mean \`${guess}\`?` : '`describe_tables` lists the tables there are.',
    nextTool: 'describe_tables',
  });
}
