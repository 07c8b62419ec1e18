import { isDeepStrictEqual } from 'node:util';
import type { Place } from '../database/place.ts';
import { FrameError } from '../errors.ts';
import type { Catalog } from './catalog.ts';
import { type Deed, explain, explainChanged, isOldCatalog } from './explain.ts';
import type { Table } from './table.ts';

/**
 * Runs `work` on a table as the catalog knows it, and explains what Postgres refuses. When the catalog may be older than
 * the table, a read is done once more with a new one, and so is whatever failed before it reached Postgres. The caller
 * of a write hears that the table was changed, if it was, and may try again.
 */
export async function workOnTable<T>(
  catalog: Catalog,
  place: Place,
  name: string,
  deed: Deed,
  work: (table: Table) => Promise<T>,
): Promise<T> {
  const table = await catalog.table(place, name);
  try {
    return await work(table);
  } catch (thrown) {
    const isUnknownColumn = thrown instanceof FrameError && thrown.code === 'table/no-such-column';
    if (!isUnknownColumn && !isOldCatalog(thrown)) throw explain(thrown, deed, table);
    if (deed !== 'read' && !isUnknownColumn) {
      // Even what the catalog read a moment ago may be from before the change that this waited for.
      catalog.forget(place);
      const now = await catalog.table(place, name).catch(() => table);
      throw isSame(now, table) ? explain(thrown, deed, table) : explainChanged(thrown, deed, table);
    }
    if (!catalog.renew(place)) throw explain(thrown, deed, table);
  }
  const renewed = await catalog.table(place, name);
  return work(renewed).catch(thrown => {
    throw explain(thrown, deed, renewed);
  });
}

// Private

/** But for what only time changes. */
function isSame(one: Table, other: Table): boolean {
  return isDeepStrictEqual({ ...one, rowEstimate: 0 }, { ...other, rowEstimate: 0 });
}
