import { setTimeout as pause } from 'node:timers/promises';
import { asOwner } from '../database/as-owner.ts';
import type { Place } from '../database/place.ts';
import type { OwnerConnection } from '../database/server.ts';
import { FrameError } from '../errors.ts';
import { quoteQualified } from '../tables/quote.ts';
import { type Resealed, resealColumn } from '../tables/reseal.ts';
import { sqlStateOf } from '../tables/schema/explain-change.ts';
import { readStoredColumns } from '../tables/stored-cells.ts';
import { onControl, readDataKeys, setKeyState } from '../vault/data-key-table.ts';
import { DATA_KEY_LIMITS } from '../vault/data-keys.ts';
import { replaceCellKey } from '../vault/make-data-keys.ts';
import { announceKeys } from '../vault/share-data-keys.ts';
import { connectDesigner } from './connect-designer.ts';
import type { OpenDatabase } from './open-database.ts';

export interface Rotation {
  /** False when the new key was there: of a run that was stopped, or of a gateway whose key was worn out. */
  isNew: boolean;
  /** Sealed anew by this run. */
  cells: number;
  /** Cells that do not open, as `table.column id`. */
  broken: readonly string[];
  /** How many keys seal nothing any more. */
  retired: number;
}

export interface RotationParts {
  database: OpenDatabase;
  place: Place;
  onCells(cells: number): void;
}

/**
 * A new data key for a place: it seals from now on, all that older keys have sealed is sealed anew, and those are retired.
 * Everybody works on meanwhile. Stopped at any moment it leaves nothing that does not open, and the next run goes on.
 * Undefined for a place without keys. Throws `limit/lock` when somebody keeps a table for minutes.
 */
export async function rotateDataKey(parts: RotationParts): Promise<Rotation | undefined> {
  const begun = await makeKey(parts);
  if (!begun) return undefined;
  const first = await resealAll(parts, 'first');
  if (first.columns > 0) await pause(Math.max(0, begun.settledAt - performance.now()));
  const rest = await resealUntilNothingIsLeft(parts);
  // A cell that does not open is no reason to keep a key in use: whoever mends it finds the key among the retired ones.
  const retired = await retire(parts, rest.from);
  return { isNew: begun.isNew, cells: first.cells + rest.cells, broken: rest.broken, retired };
}

// Private

/** How long a process may seal with the old key after it was told of the new one. */
const SETTLE_MS = DATA_KEY_LIMITS.liveMs + 1000;

async function makeKey({ database, place }: RotationParts) {
  const { keyStore, dataKeys, pools } = database;
  const keys = await readCellKeys(database, place);
  const current = keys.find(({ state }) => state === 'current');
  if (!current) return undefined;
  const isNew = !keys.some(({ state }) => state === 'retiring');
  if (isNew) await replaceCellKey(keyStore, place, current.kid);
  await announceKeys(pools, place);
  dataKeys.forget(place);
  return { isNew, settledAt: performance.now() + SETTLE_MS };
}

interface Pass extends Resealed {
  columns: number;
  /** The keys whose cells it looked for. */
  from: readonly number[];
}

/** Columns may come while we are at it; whoever makes them knows the new key by now, or is waited for. */
async function resealUntilNothingIsLeft(parts: RotationParts): Promise<Pass> {
  let cells = 0;
  for (;;) {
    await waitForWriters(parts);
    const pass = await resealAll(parts, 'whole');
    cells += pass.cells;
    if (pass.cells === 0) return { ...pass, cells };
  }
}

/** To the key that is in force now, for a gateway may have made another one meanwhile. */
async function resealAll({ database, place, onCells }: RotationParts, kind: 'first' | 'whole'): Promise<Pass> {
  const keys = await readCellKeys(database, place);
  const to = keys.find(({ state }) => state === 'current')?.kid ?? 0;
  const from = keys.map(({ kid }) => kid).filter(kid => kid !== to);
  const columns = await readStoredColumns(database.pools, place);
  const pass: Pass = { cells: 0, broken: [], columns: columns.length, from };
  const connection = await connectDesigner(database, place);
  try {
    for (const column of columns) {
      const work = { connection, place, keys: database.dataKeys, column, to, from };
      const { cells, broken } = await resealColumn(work, kind, onCells);
      pass.cells += cells;
      pass.broken.push(...broken.map(id => `${column.table}.${column.name} ${id}`));
    }
    return pass;
  } finally {
    await connection.close();
  }
}

/**
 * Until whoever sealed with an old key and has not committed yet has ended: a lock that all writers are in the way of,
 * let go as soon as it is there. Changes of the tables write to _versions.
 */
async function waitForWriters({ database, place }: RotationParts): Promise<void> {
  const columns = await readStoredColumns(database.pools, place);
  const tables = ['_versions', ...new Set(columns.map(({ table }) => table))];
  await asOwner(database.server, place.database, async owner => {
    for (const table of tables) await waitForTable(owner, quoteQualified(place.schema, table));
  });
}

async function waitForTable(owner: OwnerConnection, table: string): Promise<void> {
  // Later writers wait behind us, so we never wait for long.
  const lock = `begin; set local lock_timeout = '500ms'; lock table ${table} in share mode; commit`;
  for (let attempt = 1; attempt <= LOCK_ATTEMPTS; attempt++) {
    try {
      return await owner.script(lock);
    } catch (thrown) {
      await owner.script('rollback');
      if (sqlStateOf(thrown) !== LOCK_NOT_AVAILABLE) throw thrown;
      await pause(500);
    }
  }
  throw new FrameError('limit/lock', `Somebody has been writing to ${table} for minutes.`, {
    hint: 'Everything opens as it is. Run this again when they are done.',
    retryable: true,
  });
}

const LOCK_NOT_AVAILABLE = '55P03';
const LOCK_ATTEMPTS = 120;

async function retire({ database, place }: RotationParts, from: readonly number[]): Promise<number> {
  const keys = await readCellKeys(database, place);
  const retiring = keys.filter(({ kid, state }) => state === 'retiring' && from.includes(kid));
  for (const { kid } of retiring) await setKeyState(onControl(database.pools), kid, 'retiring', 'retired');
  return retiring.length;
}

async function readCellKeys({ pools }: OpenDatabase, place: Place) {
  return (await readDataKeys(onControl(pools), place)).filter(({ purpose }) => purpose === 'cells');
}
