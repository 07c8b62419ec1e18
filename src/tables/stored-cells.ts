import { catalogLogin, type Place } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { quoteName } from '../database/quote.ts';
import { readColumnComment } from './comment.ts';
import type { CellColumn } from './privacy.ts';
import { quoteQualified } from './quote.ts';
import { sealOf } from './seal.ts';

/** A sealed column as it stands in the database, those that were dropped and can be brought back included. */
export interface StoredColumn extends CellColumn {
  table: string;
}

/** All of a place. */
export async function readStoredColumns(pools: Pick<Pools, 'query'>, place: Place): Promise<StoredColumn[]> {
  const { rows } = await pools.query(
    catalogLogin(place.database),
    `select c.relname::text, a.attname::text, col_description(c.oid, a.attnum)
     from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped
       and format_type(a.atttypid, a.atttypmod) = 'bytea'
     order by c.relname, a.attnum`,
    [place.schema],
  );
  return rows.flatMap(([table, name, comment]) => {
    const { mark } = readColumnComment(comment === null ? null : String(comment));
    if (!mark?.sealed) return [];
    const { kind: pii, sealed } = mark;
    return [{ table: String(table), name: String(name), pii, seal: sealOf(pii, sealed.type, sealed) }];
  });
}

/** How many cells of a column each key has sealed, by the number that the cells name; malformed ones under undefined. */
export async function countCells(
  run: (text: string) => Promise<{ rows: unknown[][] }>,
  place: Place,
  { table, name }: StoredColumn,
): Promise<Map<number | undefined, number>> {
  const { rows } = await run(
    `select ${keyNumberOf(name)}, count(*)::text from ${quoteQualified(place.schema, table)}
     where ${quoteName(name)} is not null group by 1`,
  );
  return new Map(
    rows.map(([kid, count]) => [
      String(kid).length === 8 ? Number.parseInt(String(kid), 16) : undefined,
      Number(count),
    ]),
  );
}

/** In hex, as it stands in a cell. */
export function keyNumberOf(column: string): string {
  return `encode(substring(${quoteName(column)} from 2 for 4), 'hex')`;
}

export function toHex(kid: number): string {
  return kid.toString(16).padStart(8, '0');
}
