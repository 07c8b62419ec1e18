import { loginOf, type Place } from '../../database/place.ts';
import type { Pools } from '../../database/pools.ts';
import type { DataKeys } from '../../vault/data-keys.ts';
import type { Catalog } from '../catalog.ts';
import { isHiddenTable } from '../name.ts';
import { asHeld, type Draft, toDraftTable } from './draft.ts';
import { sqlStateOf } from './explain-change.ts';
import { readRelations } from './soft-drop.ts';
import { type Run, readLatestVersion, readSteps } from './versions.ts';

export interface SchemaParts {
  pools: Pools;
  catalog: Catalog;
  keys: DataKeys;
  place: Place;
}

/** The login that owns the schema's tables. DDL and counts are said once: no plan of them is kept. */
export function runAsOwner({ pools, place }: Pick<SchemaParts, 'pools' | 'place'>, signal?: AbortSignal): Run {
  return (text, params = []) => pools.query(loginOf(place, 'own'), text, params, { prepare: false, signal });
}

/** The schema as it is now, to try changes on, and the fingerprint that it has now. */
export async function openDraft(
  parts: SchemaParts & { mayUnseal: boolean },
  run: Run,
): Promise<{ draft: Draft; fingerprint: string }> {
  const { pools, place } = parts;
  const [latest, { tables, fingerprint }, relations] = await Promise.all([
    readLatestVersion(run, place),
    readFresh(parts),
    readRelations(pools, place),
  ]);
  const hiddenIn = (table: string) => asHeld(relations.get(table) ?? []);
  const hiddenTables = [...relations.keys()].filter(isHiddenTable);
  const draft: Draft = {
    place,
    version: latest + 1,
    tables: new Map(tables.map(table => [table.name, toDraftTable(table, table.name, hiddenIn(table.name))])),
    relationNames: new Set(relations.keys()),
    hiddenTables: new Map(
      hiddenTables.map(name => [name, { origin: name, hiddenColumns: hiddenIn(name), columns: new Map() }]),
    ),
    readSteps: version => readSteps(run, place, version),
    mayUnseal: parts.mayUnseal,
    count: query => countWith(run, query),
    statements: [],
    undo: [],
    done: [],
    warnings: new Set(),
    guards: [],
    moves: [],
    locks: new Set(),
    scans: new Set(),
    regrants: new Set(),
    rowsAffected: 0,
    nextKey: undefined,
  };
  return { draft, fingerprint };
}

/** Never from memory. */
export function readFresh({ catalog, place }: Pick<SchemaParts, 'catalog' | 'place'>): ReturnType<Catalog['tables']> {
  catalog.forget(place);
  return catalog.tables(place);
}

// Private

async function countWith(run: Run, query: string): Promise<number | undefined> {
  try {
    const { rows } = await run(query);
    return Number(rows[0]?.[0] ?? 0);
  } catch (thrown) {
    // IS JSON came with Postgres 16: before, the trial run alone tells.
    if (sqlStateOf(thrown) === '42601' && query.includes(' is json')) return undefined;
    throw thrown;
  }
}
