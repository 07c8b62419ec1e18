import { existsSync } from 'node:fs';
import type { Place } from '../database/place.ts';
import { WrongConfiguration } from '../errors.ts';
import { quoteQualified } from '../tables/quote.ts';
import { countCells, readStoredColumns, type StoredColumn, toHex } from '../tables/stored-cells.ts';
import { onControl, readDataKeys, readShredded, type StoredKey } from '../vault/data-key-table.ts';
import { keyFileOf } from '../vault/entity-key.ts';
import { requireEntityKey } from '../vault/make-data-keys.ts';
import { connectDesigner } from './connect-designer.ts';
import type { OpenDatabase } from './open-database.ts';

/** How the personal data of one place is kept. */
export interface PiiStatus {
  place: string;
  keyFile: string;
  /** What is wrong with the key file; undefined when it opens all data keys. */
  wrong: string | undefined;
  /** Those of cells, as numbers in hex. */
  keys: { kid: string; state: string; seals: number; since: string }[];
  columns: SealedStatus[];
}

export interface SealedStatus {
  column: string;
  kind: string;
  /** Sealed by the key in force; by older ones that are known; by none that is known. */
  cells: { current: number; older: number; unreadable: number };
  /** How far a rotation came that was not finished. */
  resealed: number | undefined;
}

/** Reads every sealed column as a whole: this takes a while in large tables. */
export async function readPiiStatus(database: OpenDatabase, place: Place): Promise<PiiStatus> {
  const { pools, keyStore } = database;
  const { customer, entity, environment } = place;
  const run = onControl(pools);
  const keys = await readDataKeys(run, place);
  const shredded = (await readShredded(run)).has(`${customer}/${entity}`);
  const keyFile = keyFileOf(keyStore.folder, place);
  return {
    place: `${customer}/${entity}:${environment}`,
    keyFile,
    wrong: shredded ? 'its keys were destroyed' : await findWrong(keyStore.folder, keyFile, keys),
    keys: keys
      .filter(({ purpose }) => purpose === 'cells')
      .map(({ kid, state, seals, createdAt }) => ({ kid: toHex(kid), state, seals, since: createdAt })),
    columns: await readColumns(database, place, keys),
  };
}

// Private

async function findWrong(folder: string, file: string, keys: readonly StoredKey[]): Promise<string | undefined> {
  const [first] = keys;
  if (!first) return existsSync(file) ? undefined : 'there are no keys yet; run `frame migrate`';
  try {
    for (const key of keys) await requireEntityKey(folder, key);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof WrongConfiguration) return thrown.mistakes[0]?.sentence;
    throw thrown;
  }
}

async function readColumns(database: OpenDatabase, place: Place, keys: readonly StoredKey[]): Promise<SealedStatus[]> {
  const columns = await readStoredColumns(database.pools, place);
  if (columns.length === 0) return [];
  const connection = await connectDesigner(database, place);
  try {
    const { rows } = await connection.query(
      `select column_id::text, cells::text from ${quoteQualified(place.schema, '_resealing')} where done_at is null`,
    );
    const resealed = new Map(rows.map(([id, cells]) => [String(id), Number(cells)]));
    const all: SealedStatus[] = [];
    for (const column of columns) {
      const counts = await countCells(text => connection.query(text, [], false), place, column);
      all.push(toStatus(column, counts, keys, resealed.get(column.seal.columnId)));
    }
    return all;
  } finally {
    await connection.close();
  }
}

function toStatus(
  { table, name, pii }: StoredColumn,
  counts: ReadonlyMap<number | undefined, number>,
  keys: readonly StoredKey[],
  resealed: number | undefined,
): SealedStatus {
  const cells = { current: 0, older: 0, unreadable: 0 };
  for (const [kid, count] of counts) {
    const key = keys.find(known => known.kid === kid && known.purpose === 'cells');
    cells[key ? (key.state === 'current' ? 'current' : 'older') : 'unreadable'] += count;
  }
  return { column: `${table}.${name}`, kind: pii, cells, resealed };
}
