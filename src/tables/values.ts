import { FrameError } from '../errors.ts';
import type { ColumnType } from './column-type.ts';
import type { Column } from './table.ts';

/**
 * Values on their way in and out. In: a JSON value becomes the text of a parameter, after an exact check. Out: the text
 * that Postgres sent becomes a JSON value, and nothing is rounded on the way.
 */
type Typed = Pick<Column, 'type' | 'postgresType'>;

/**
 * The text to send for `value`, to be cast to the column's type in the statement; null for null.
 * `path` names the place of the value in the arguments. Throws `row/bad-value`; the message never repeats the value.
 */
export function toParameter({ type, postgresType }: Typed, value: unknown, path: string): string | null {
  if (value === null) return null;
  const { text, expected } = type ? CHECKS[type](value) : checkOther(value, postgresType);
  if (text === undefined) {
    throw new FrameError('row/bad-value', `\`${path}\` must be ${expected}, not ${describe(value)}.`);
  }
  return text;
}

/** The JSON value of what the driver gave for a column: numbers stay numbers only where a double holds them exactly. */
export function fromPostgres(type: ColumnType | undefined, raw: unknown): unknown {
  if (typeof raw === 'number') return Number.isFinite(raw) ? raw : String(raw);
  if (typeof raw !== 'string') return raw;
  switch (type) {
    case 'bigint':
    case 'numeric':
      return exactNumber(raw);
    case 'timestamp':
      return raw.replace(POSTGRES_TIMESTAMP, '$1T$2Z');
    case 'json':
      return JSON.parse(raw, keepDigits);
    default:
      return raw;
  }
}

/** The text that finds the same row again, of a value as the driver gave it. */
export function toText(raw: unknown): string | null {
  return raw === null || raw === undefined ? null : String(raw);
}

/** The number when a double holds exactly what the text says, else the text. */
export function exactNumber(text: string): number | string {
  const number = Number(text);
  return Number.isFinite(number) && digitsOf(`${number}`) === digitsOf(text) ? number : text;
}

// Private

interface Checked {
  /** Undefined when the value is not what was expected. */
  text: string | undefined;
  expected: string;
}

const CHECKS: Record<ColumnType, (value: unknown) => Checked> = {
  text: value => expect('text without NUL characters', isText(value) && value),
  integer: value =>
    expect(
      'a whole number between -2147483648 and 2147483647',
      typeof value === 'number' && value === Math.trunc(value) && value >= -(2 ** 31) && value < 2 ** 31 && `${value}`,
    ),
  bigint: value =>
    expect(
      'a whole number of 64 bits, as text when it has more than 15 digits',
      (Number.isSafeInteger(value) && `${value}`) ||
        (typeof value === 'string' &&
          /^-?\d{1,19}$/.test(value) &&
          BigInt.asIntN(64, BigInt(value)) === BigInt(value) &&
          value),
    ),
  numeric: value =>
    expect(
      'a number, or text of digits for more than a double holds',
      (typeof value === 'number' && Number.isFinite(value) && `${value}`) ||
        (typeof value === 'string' && value.length <= MAX_DIGITS && DECIMAL.test(value) && value),
    ),
  boolean: value => expect('true or false', typeof value === 'boolean' && `${value}`),
  date: value => expect('a date such as 2026-01-31', typeof value === 'string' && isDate(value) && value),
  timestamp: value =>
    expect(
      'an ISO 8601 time with Z or an offset, such as 2026-01-31T09:30:00Z, or a date',
      typeof value === 'string' && isTimestamp(value) && value,
    ),
  json: value =>
    expect('JSON of finite numbers and texts without NUL characters', isStorableJson(value) && JSON.stringify(value)),
  uuid: checkUuid,
  reference: checkUuid,
};

const DECIMAL = /^-?\d+(\.\d+)?([eE][+-]?\d{1,4})?$/;
const MAX_DIGITS = 1000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TIMESTAMP =
  /^(\d{4}-\d{2}-\d{2})(?:T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?))?$/;
const POSTGRES_TIMESTAMP = /^(\d{4,}-\d{2}-\d{2}) ([\d:.]+)\+00$/;

function expect(expected: string, text: string | false): Checked {
  return { expected, text: text === false ? undefined : text };
}

function checkUuid(value: unknown): Checked {
  return expect('a UUID', typeof value === 'string' && UUID.test(value) && value.toLowerCase());
}

function checkOther(value: unknown, postgresType: string): Checked {
  const isPlain = isText(value) || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
  return expect(`the text of a value of type ${postgresType}`, isPlain && `${value}`);
}

/** Postgres stores no NUL, and an unpaired surrogate would silently become another character. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0') && value.isWellFormed();
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || text.startsWith('0000')) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

/** A date alone is its midnight in UTC; a time without a zone would be anybody's guess. */
function isTimestamp(text: string): boolean {
  return isDate(TIMESTAMP.exec(text)?.[1] ?? '');
}

function isStorableJson(value: unknown): boolean {
  if (typeof value === 'string') return isText(value);
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isStorableJson);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).every(([key, inner]) => isText(key) && isStorableJson(inner));
  }
  return value === null || typeof value === 'boolean';
}

/** A decimal number in one form: `150`, `1.5e2` and `150.00` are all `15e1`. */
function digitsOf(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)\.?(\d*)(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  // Not by `0+$`, which begins anew at every zero: enough of them before another digit would hold up everybody.
  let end = digits.length;
  while (digits[end - 1] === '0') end -= 1;
  const significant = digits.slice(0, end);
  const power = Number(exponent) - fraction.length + digits.length - significant.length;
  return significant === '' ? '0' : `${sign}${significant}e${power}`;
}

function keepDigits(_key: string, value: unknown, { source }: { source?: string } = {}): unknown {
  return typeof value === 'number' && source !== undefined ? exactNumber(source) : value;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string') return 'this text';
  if (typeof value === 'number' && !Number.isFinite(value)) return 'a number this large';
  if (typeof value === 'number') return Number.isInteger(value) ? 'this number' : 'a fraction';
  return `${value}`;
}
