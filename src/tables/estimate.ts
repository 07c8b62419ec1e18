import { loginOf, type Place } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { quoteQualified } from './quote.ts';
import type { Table } from './table.ts';

/**
 * How many rows tables have, by name: the planner's guess where there is one. Postgres makes none for a small table,
 * so those are counted, up to COUNTED rows.
 */
export async function estimateRows(
  pools: Pools,
  place: Place,
  tables: readonly Table[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const estimates = new Map(
    tables.flatMap(({ name, rowEstimate }) => (rowEstimate === undefined ? [] : [[name, rowEstimate]])),
  );
  const unknown = tables.filter(({ rowEstimate }) => rowEstimate === undefined).slice(0, COUNTED_TABLES);
  if (unknown.length === 0) return estimates;
  const counts = unknown.map(({ schema, name }) => {
    const rows = `select from ${quoteQualified(schema, name)} limit ${COUNTED_ROWS}`;
    return `(select count(*)::integer from (${rows}) r)`;
  });
  const { rows } = await pools.query(loginOf(place, 'ro'), `select ${counts.join(', ')}`, [], {
    signal,
    prepare: false,
  });
  for (const [i, { name }] of unknown.entries()) estimates.set(name, Number(rows[0]?.[i]));
  return estimates;
}

// Private

const COUNTED_ROWS = 10_000;
const COUNTED_TABLES = 100;
