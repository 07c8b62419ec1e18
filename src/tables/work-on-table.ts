import type { Place } from '../database/place.ts';
import { FrameError } from '../errors.ts';
import type { Catalog } from './catalog.ts';
import { type Deed, explain, isOldCatalog } from './explain.ts';
import type { Table } from './table.ts';

/**
 * Runs `work` on a table as the catalog knows it, and explains what Postgres refuses. When the catalog may be older than
 * the table, a read is done once more with a new one, and so is whatever failed before it reached Postgres.
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
    const isRenewed = (isUnknownColumn || isOldCatalog(thrown)) && catalog.renew(place);
    if (!isRenewed || (deed !== 'read' && !isUnknownColumn)) throw explain(thrown, deed, table);
  }
  const renewed = await catalog.table(place, name);
  return work(renewed).catch(thrown => {
    throw explain(thrown, deed, renewed);
  });
}
