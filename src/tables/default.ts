import type { ColumnType } from './column-type.ts';
import type { ColumnDefault } from './table.ts';
import { fromPostgres } from './values.ts';

/** A column's default, read back from what `pg_get_expr` prints. */
export function readDefault(expression: string, type: ColumnType | undefined): ColumnDefault {
  if (NOW.test(expression)) return { now: true };
  if (NEW_UUID.test(expression)) return { gen_uuid: true };
  const literal = readLiteral(expression);
  if (literal === undefined || !type) return { expression };
  return {
    literal:
      type === 'integer' ? Number(literal) : type === 'boolean' ? literal === 'true' : fromPostgres(type, literal),
  };
}

// Private

const NOW = /^\(?(now\(\)|CURRENT_TIMESTAMP|CURRENT_DATE)\)?(::[a-z ]+)?$/;
const NEW_UUID = /^(gen_random_uuid|uuidv7|("?\w+"?\.)?_uuid7)\(\)$/;
const QUOTED = /^'((?:[^']|'')*)'::[\w ]+$/;
const BARE = /^\(?(-?[\d.]+|true|false)\)?(::[\w ]+)?$/;

/** The text of a constant; undefined for anything that has to be worked out. */
function readLiteral(expression: string): string | undefined {
  const quoted = QUOTED.exec(expression)?.[1]?.replaceAll("''", "'");
  return quoted ?? BARE.exec(expression)?.[1];
}
