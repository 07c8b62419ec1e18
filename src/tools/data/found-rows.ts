import type { UntrustedRows } from '../../database/pools.ts';
import type { ColumnType } from '../../tables/column-type.ts';
import { fromPostgres } from '../../tables/values.ts';

/** What a query of the caller's own found, as JSON. */
export interface Found {
  /** Each name once. */
  columns: readonly string[];
  rows: readonly (readonly unknown[])[];
}

/** In the forms of select_rows, by the types that the server names. */
export function toFound({ fields, rows }: UntrustedRows): Found {
  const types = fields.map(({ type }) => TYPES.get(type));
  return {
    columns: distinguish(fields.map(({ name }) => name)),
    rows: rows.map(row => row.map((raw, i) => toCell(types[i], raw))),
  };
}

// Private

/** By their oids in pg_type, which never change. json has the form of jsonb. */
const TYPES: ReadonlyMap<number, ColumnType> = new Map([
  [20, 'bigint'],
  [114, 'json'],
  [1184, 'timestamp'],
  [1700, 'numeric'],
  [3802, 'json'],
]);

function toCell(type: ColumnType | undefined, raw: unknown): unknown {
  try {
    return fromPostgres(type, raw);
  } catch {
    // JSON that is nested too deeply to be read: its text.
    return raw;
  }
}

/** `id`, `id_2`, … whatever else is called so already. */
function distinguish(names: readonly string[]): string[] {
  const taken = new Set(names);
  const last = new Map<string, number>();
  return names.map(name => {
    let number = last.get(name);
    if (number === undefined) {
      last.set(name, 1);
      return name;
    }
    do number += 1;
    while (taken.has(`${name}_${number}`));
    last.set(name, number);
    return `${name}_${number}`;
  });
}
