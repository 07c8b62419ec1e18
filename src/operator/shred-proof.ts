import type { Place } from '../database/place.ts';
import { quoteName } from '../database/quote.ts';
import { openCells, type StoredCell } from '../tables/privacy.ts';
import { quoteQualified } from '../tables/quote.ts';
import { readStoredColumns, type StoredColumn } from '../tables/stored-cells.ts';
import type { DataKeys } from '../vault/data-keys.ts';
import { connectDesigner } from './connect-designer.ts';
import type { OpenDatabase } from './open-database.ts';

/** One sealed value, as it lies in the database. */
export interface Sample {
  place: Place;
  column: StoredColumn;
  cell: StoredCell;
}

/** One of every sealed column of these places that has any. */
export async function takeSamples(database: OpenDatabase, places: readonly Place[]): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const place of places) {
    const columns = await readStoredColumns(database.pools, place);
    if (columns.length === 0) continue;
    const connection = await connectDesigner(database, place);
    try {
      for (const column of columns) {
        const name = quoteName(column.name);
        const { rows } = await connection.query(
          `select id::text, encode(${name}, 'hex') from ${quoteQualified(place.schema, column.table)}
           where ${name} is not null order by id limit 1`,
          [],
          false,
        );
        const [rowId, hex] = rows[0] ?? [];
        if (rowId !== undefined) samples.push({ place, column, cell: { rowId: String(rowId), hex: String(hex) } });
      }
    } finally {
      await connection.close();
    }
  }
  return samples;
}

/** How many of them can be opened. */
export async function countOpening(keys: DataKeys, samples: readonly Sample[]): Promise<number> {
  let opening = 0;
  for (const { place, column, cell } of samples) {
    const [text] = await openCells({ keys, place }, column, [cell]);
    if (text !== undefined) opening += 1;
  }
  return opening;
}
