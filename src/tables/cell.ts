import { COLUMN_TYPES, type ColumnType } from './column-type.ts';

/**
 * Values as text, the way files carry them: does a cell hold a value of a type, and which type holds all of a column's
 * cells? Values of tool calls are JSON and have rules of their own in values.ts.
 */
export function holds(type: ColumnType, cell: string): boolean {
  return ACCEPTS[type](cell);
}

/** What a person should have written, for the sentence about a cell that does not fit. */
export function expectationOf(type: ColumnType): string {
  return EXPECTS[type];
}

/** The narrowest type that holds every cell it was shown. */
export interface TypeGuess {
  see(cell: string): void;
  /** `text` when nothing narrower fits, or when no cell was seen. */
  type(): ColumnType;
}

export function guessType(): TypeGuess {
  let candidates: readonly ColumnType[] = NARROW_FIRST;
  let seen = false;
  return {
    see(cell) {
      seen = true;
      if (candidates.length > 0) candidates = candidates.filter(type => ACCEPTS[type](cell));
    },
    type: () => (seen ? (candidates[0] ?? 'text') : 'text'),
  };
}

// Private

const NARROW_FIRST = (['boolean', 'integer', 'bigint', 'numeric', 'date', 'timestamp', 'uuid', 'json'] as const).filter(
  type => COLUMN_TYPES.includes(type),
);

/** No leading zeros: a postal code is not a number. */
const WHOLE = /^-?(?:0|[1-9]\d{0,18})$/;
const DECIMAL = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?$/;
const DATE = /^(\d{4})-(\d\d)-(\d\d)$/;
const TIMESTAMP =
  /^(\d{4}-\d\d-\d\d)[T ]([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?(?:Z|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?$/;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const ACCEPTS: Record<ColumnType, (cell: string) => boolean> = {
  text: cell => !cell.includes('\0'),
  boolean: cell => /^(?:true|false)$/i.test(cell),
  integer: cell => WHOLE.test(cell) && isBetween(cell, -(2n ** 31n), 2n ** 31n - 1n),
  bigint: cell => WHOLE.test(cell) && isBetween(cell, -(2n ** 63n), 2n ** 63n - 1n),
  numeric: cell => DECIMAL.test(cell),
  date: isDate,
  timestamp: cell => isDate(TIMESTAMP.exec(cell)?.[1] ?? ''),
  uuid: cell => UUID.test(cell),
  reference: cell => UUID.test(cell),
  json: isJson,
};

const EXPECTS: Record<ColumnType, string> = {
  text: 'text without a NUL character',
  boolean: 'true or false',
  integer: 'a whole number from -2147483648 to 2147483647',
  bigint: 'a whole number of at most 64 bits',
  numeric: 'a number such as -12.50',
  date: 'a date such as 2026-03-31',
  timestamp: 'a time such as 2026-03-31T14:05:00Z',
  uuid: 'a UUID',
  reference: 'the id of a row',
  json: 'JSON, an object or an array',
};

function isBetween(cell: string, least: bigint, most: bigint): boolean {
  const value = BigInt(cell);
  return value >= least && value <= most;
}

/** The calendar decides: Date would silently turn 31 February into 3 March. */
function isDate(cell: string): boolean {
  const [, year, month, day] = DATE.exec(cell)?.map(Number) ?? [];
  if (!year || !month || !day) return false;
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

/** Objects and arrays only: a bare number or word is better told as what it is. */
function isJson(cell: string): boolean {
  if (!/^\s*[[{]/.test(cell)) return false;
  try {
    JSON.parse(cell);
    return !cell.includes('\\u0000');
  } catch {
    return false;
  }
}
