import { FrameError } from '../../errors.ts';
import { invalidArgument } from '../argument.ts';
import { type ColumnType, postgresTypeOf } from '../column-type.ts';
import type { Check, Column, ColumnDefault } from '../table.ts';
import { toParameter } from '../values.ts';
import type { ColumnSettings, NewColumn } from './change.ts';
import { toKind } from './change-seal.ts';
import type { Draft } from './draft.ts';
import { requireTable } from './names.ts';

/**
 * From what was asked to what a column is, when its parts fit each other and the draft. `path` is where it was asked. The
 * seal comes later: it depends on the table (change-seal.ts).
 */
export function toColumn(draft: Draft, asked: NewColumn, path: string): Column {
  const { name, type } = asked;
  const columnDefault = readDefault(asked.default, type, `${path}.default`);
  const check = readCheck(asked.check, type, `${path}.check`);
  requireReference(draft, asked, path);
  return {
    name,
    type,
    postgresType: postgresTypeOf(type),
    castType: postgresTypeOf(type),
    required: asked.required ?? false,
    unique: asked.unique ?? false,
    default: columnDefault,
    check,
    references: asked.references,
    comment: asked.comment?.trim() || undefined,
    pii: toKind(asked.pii),
    seal: undefined,
    isProtected: false,
  };
}

/** `column` with `set` put on it: what is not set stays, as far as it fits what is. */
export function withSettings(draft: Draft, column: Column, set: ColumnSettings, path: string): Column {
  if (!column.type) throw invalidArgument(path, `columns of type ${column.postgresType} stay as they are.`);
  const type = set.type ?? column.type;
  const asked: NewColumn = {
    name: column.name,
    type,
    required: set.required ?? column.required,
    unique: set.unique ?? column.unique,
    default: set.default === undefined ? carryOver(column.default, type) : set.default,
    check: set.check === undefined ? column.check : (set.check ?? undefined),
    references: set.references ?? (type === 'reference' ? column.references : undefined),
    comment: set.comment === undefined ? column.comment : (set.comment ?? undefined),
    pii: set.pii ?? column.pii ?? false,
  };
  if (column.default && 'expression' in column.default && set.default === undefined) {
    if (type !== column.type) throw invalidArgument(`${path}.default`, 'set it too, the old one is of another type.');
    return { ...toColumn(draft, { ...asked, default: undefined }, path), default: column.default };
  }
  return toColumn(draft, asked, path);
}

// Private

function readDefault(asked: unknown, type: ColumnType, path: string): ColumnDefault | undefined {
  if (asked === undefined || asked === null) return undefined;
  if (type !== 'json' && typeof asked === 'object') {
    const key = JSON.stringify(asked);
    if (key === '{"now":true}' && (type === 'timestamp' || type === 'date')) return { now: true };
    if (key === '{"gen_uuid":true}' && type === 'uuid') return { gen_uuid: true };
    throw invalidArgument(path, `this cannot be the default of type ${type}.`, DEFAULT_HINT);
  }
  const text = toParameter({ type, postgresType: postgresTypeOf(type) }, asked, path);
  if (text && text.length > MAX_DEFAULT_LENGTH) {
    throw invalidArgument(path, `a default has at most ${MAX_DEFAULT_LENGTH} characters.`);
  }
  return { literal: asked };
}

const MAX_DEFAULT_LENGTH = 2000;

const DEFAULT_HINT = 'Use a literal, {now: true} for timestamp or date, {gen_uuid: true} for uuid, or null for none.';

/** A default in force, as it would be asked for. */
function carryOver(known: ColumnDefault | undefined, type: ColumnType): unknown {
  if (!known || !('literal' in known)) return known;
  return type === 'text' && typeof known.literal !== 'string' ? JSON.stringify(known.literal) : known.literal;
}

const RULES_OF: Record<keyof Check, readonly ColumnType[]> = {
  min: ['integer', 'bigint', 'numeric', 'date', 'timestamp'],
  max: ['integer', 'bigint', 'numeric', 'date', 'timestamp'],
  min_length: ['text'],
  max_length: ['text'],
  one_of: ['text', 'integer', 'bigint', 'numeric'],
  pattern: ['text'],
};

function readCheck(asked: Check | undefined, type: ColumnType, path: string): Check | undefined {
  if (!asked || Object.keys(asked).length === 0) return undefined;
  for (const [rule, types] of Object.entries(RULES_OF)) {
    if (Object.hasOwn(asked, rule) && !types.includes(type)) {
      throw invalidArgument(`${path}.${rule}`, `this is for ${types.join(', ')}, not for ${type}.`);
    }
  }
  const typed = { type, postgresType: postgresTypeOf(type) };
  for (const rule of ['min', 'max'] as const) {
    if (asked[rule] !== undefined) toParameter(typed, asked[rule], `${path}.${rule}`);
  }
  asked.one_of?.forEach((value, i) => {
    toParameter(typed, value, `${path}.one_of[${i}]`);
  });
  refuseEmptyRange(asked, type, path);
  if (asked.pattern !== undefined) refuseCostlyPattern(asked.pattern, `${path}.pattern`);
  return asked;
}

/** No value passes a check whose least is more than its most. */
function refuseEmptyRange(
  { min, max, min_length: minLength, max_length: maxLength }: Check,
  type: ColumnType,
  path: string,
): void {
  const isEmpty = min !== undefined && max !== undefined && isMore(type, min, max);
  if (isEmpty) throw invalidArgument(`${path}.min`, 'this is more than `max`: no value would pass.');
  if (minLength !== undefined && maxLength !== undefined && minLength > maxLength) {
    throw invalidArgument(`${path}.min_length`, 'this is more than `max_length`: no value would pass.');
  }
}

function isMore(type: ColumnType, one: number | string, other: number | string): boolean {
  if (type === 'date') return one > other;
  if (type === 'timestamp') return Date.parse(withMinutes(`${one}`)) > Date.parse(withMinutes(`${other}`));
  const [a, b] = [toDecimal(`${one}`), toDecimal(`${other}`)];
  const power = Math.min(a.power, b.power);
  return a.digits * 10n ** BigInt(a.power - power) > b.digits * 10n ** BigInt(b.power - power);
}

/** Date.parse knows no `+09` and no `+0900`. */
function withMinutes(time: string): string {
  return time.replace(/(T.*[+-]\d\d):?(\d\d)?$/, (_, hours, minutes = '00') => `${hours}:${minutes}`);
}

/** Digit by digit: a double would take numbers for equal that are not. */
function toDecimal(text: string): { digits: bigint; power: number } {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)\.?(\d*)(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  return { digits: BigInt(`${sign}${whole}${fraction}`), power: Number(exponent) - fraction.length };
}

/** Patterns run in the database only, under its time limit, where repetitions cost little. This is what costs (CWE-1333). */
function refuseCostlyPattern(pattern: string, path: string): void {
  if (!/\\[1-9]/.test(pattern.replaceAll('\\\\', ''))) return;
  throw invalidArgument(path, 'a pattern that refers back to a group of its own is too costly.');
}

function requireReference(draft: Draft, { type, references }: NewColumn, path: string): void {
  if (type !== 'reference') {
    if (references === undefined) return;
    throw invalidArgument(`${path}.references`, 'this is for columns of type reference.');
  }
  if (references === undefined) throw invalidArgument(`${path}.references`, 'name the table that is referred to.');
  const { primaryKey } = requireTable(draft, references, `${path}.references`);
  if (primaryKey.length === 1 && primaryKey[0] === 'id') return;
  throw new FrameError('table/no-such-column', `\`${path}.references\`: \`${references}\` has no key \`id\`.`, {
    hint: 'Only tables made here can be referred to.',
  });
}
