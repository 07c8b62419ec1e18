import type { ColumnType } from '../column-type.ts';
import { postgresTypeOf } from '../column-type.ts';
import { sqlLiteral } from './literal.ts';

/** How the values of a column become another type. All are SQL on `value`, an expression of the old type. */
export interface Conversion {
  /** The new value. */
  using: string;
  /** True for a value that cannot be converted; undefined when all can. */
  fails: string | undefined;
  /** True for a value that would not come back the same; to be asked only where nothing fails. */
  loses: string | undefined;
  /** True for a value that means the same, and is written otherwise from then on; asked where nothing fails, too. */
  respells?: string | undefined;
  /** True for a time that says no zone and is taken for one of UTC; undefined where there are none. */
  assumesUtc?: string | undefined;
}

/** Undefined when there is no way that keeps what the values mean. */
export function conversionOf(value: string, from: ColumnType, to: ColumnType): Conversion | undefined {
  const [source, target] = [alike(from), alike(to)];
  const using = `${value}::${postgresTypeOf(to)}`;
  const safe = { using, fails: undefined, loses: undefined };
  if (source === target) return { ...safe, using: value };
  if (target === 'text') return safe;
  if (source === 'text') {
    const fails = `not (${isText(value, target)})`;
    const assumesUtc = target === 'timestamp' ? `not (${matches(value, ZONED)})` : undefined;
    if (isNumber(target)) return { using, fails, loses: `(${using})::text <> btrim(${value})` };
    // JSON may hold what Postgres only refuses when it stores it; that is for the trial run to tell.
    const isStorable = target === 'json' ? `position('\\u0000' in ${value}) = 0` : 'true';
    const respells = `case when ${isStorable} then (${using})::text <> ${value} else false end`;
    return { using, fails, loses: undefined, respells, assumesUtc };
  }
  switch (`${source} ${target}`) {
    case 'integer bigint':
    case 'integer numeric':
    case 'bigint numeric':
    case 'date timestamp':
      return safe;
    case 'bigint integer':
    case 'numeric integer':
    case 'numeric bigint':
      return { ...safe, fails: `not (${isWhole(value, target)})` };
    case 'timestamp date':
      return { ...safe, loses: `${using}::timestamptz <> ${value}` };
    default:
      return undefined;
  }
}

// Private

type Plain = Exclude<ColumnType, 'reference'>;

/** A reference is a uuid with a foreign key. */
function alike(type: ColumnType): Plain {
  return type === 'reference' ? 'uuid' : type;
}

const RANGES: Partial<Record<Plain, string>> = {
  integer: '-2147483648 and 2147483647',
  bigint: '-9223372036854775808 and 9223372036854775807',
};

function isWhole(value: string, type: Plain): string {
  return `${value} between ${RANGES[type]} and ${value} = trunc(${value}::numeric)`;
}

/** Zeros in front of one are its spelling, and may be a postal code; blanks around it say nothing. */
function isNumber(type: Plain): boolean {
  return type === 'integer' || type === 'bigint' || type === 'numeric';
}

// Digits by name: \d and \s would also mean those of other scripts, depending on the locale of the database.
const WHOLE = '^ *[-+]?[0-9]{1,100} *$';
const NUMBER = String.raw`^ *[-+]?([0-9]{1,200}(\.[0-9]{0,200})?|\.[0-9]{1,200}) *$`;
const UUID = '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$';
const DATE = '^(?!0000)[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])';
const ZONE = '(Z|[-+](0[0-9]|1[0-4])(:?[0-5][0-9])?)';
const CLOCK = String.raw`[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)? ?`;
const TIME = `(${CLOCK}${ZONE}?)?`;
const ZONED = `${DATE}${CLOCK}${ZONE}$`;

/**
 * True exactly for the texts that are a value of the type. Postgres reads more: `today` is a date to it, and 01/02/2026
 * anybody's guess. It never raises: of all constructs only CASE promises to evaluate its parts in order.
 */
function isText(value: string, type: Plain): string {
  switch (type) {
    case 'integer':
    case 'bigint':
      return `case when ${matches(value, WHOLE)} then ${value}::numeric between ${RANGES[type]} else false end`;
    case 'numeric':
      return matches(value, NUMBER);
    case 'boolean':
      return `lower(${value}) in ('true', 'false', 't', 'f', 'yes', 'no', 'y', 'n', 'on', 'off', '1', '0')`;
    case 'uuid':
      return matches(value, UUID);
    case 'date':
      return isDate(value, `${DATE}$`);
    case 'timestamp':
      return isDate(value, `${DATE}${TIME}$`);
    case 'json':
      return `${value} is json`;
    case 'text':
      return 'true';
  }
}

function matches(value: string, pattern: string): string {
  return `${value} ~ ${sqlLiteral(pattern)}`;
}

function isDate(value: string, shape: string): string {
  const firstDay = `make_date(substr(${value}, 1, 4)::int, substr(${value}, 6, 2)::int, 1)`;
  const lastDay = `extract(day from ${firstDay} + interval '1 month' - interval '1 day')`;
  return `case when ${matches(value, shape)} then substr(${value}, 9, 2)::int <= ${lastDay} else false end`;
}
