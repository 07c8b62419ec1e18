import type { SqlTable } from '../../sql/findings.ts';
import type { Column, SchemaSnapshot } from '../../tables/table.ts';

/** The tables of a place, as a query may see them. */
export function sqlTablesOf({ tables, partial }: SchemaSnapshot): SqlTable[] {
  return tables.map(({ name, columns, rowEstimate }) => ({
    name,
    columns: columns.filter(isReadableInSql).map(column => column.name),
    sealed: columns.filter(column => !isReadableInSql(column)).map(column => column.name),
    isPartial: partial.has(name) || !columns.every(isReadableInSql),
    rows: rowEstimate,
  }));
}

// Private

/** The read login has no right to a sealed column, not even to what it is sealed as. */
function isReadableInSql({ seal }: Column): boolean {
  return seal === undefined;
}
