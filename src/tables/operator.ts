import { quoteName } from '../database/quote.ts';
import { didYouMean } from '../did-you-mean.ts';
import { invalidArgument, requireList } from './argument.ts';
import { arrayLiteral } from './quote.ts';
import { isSealed, type SealedColumn } from './seal.ts';
import type { Parameters } from './statement.ts';
import type { Column } from './table.ts';
import { toParameter } from './values.ts';

/** One comparison of a column: what `where` calls it, on which columns it works, and how it reads in SQL. */
export interface Operator {
  on: 'any' | 'ordered' | 'text';
  compile: Compile;
}

/** The value as the caller wrote it, and where it stands in the arguments. */
type Compile = (column: Column, value: unknown, path: string, parameters: Parameters) => string;

/** The operator called `key`; throws when there is none, or when it does not work on this column. */
export function requireOperator(column: Column, key: string, path: string): Operator {
  const operator = OPERATORS.get(key);
  if (!operator) {
    const guess = didYouMean(key, OPERATORS.keys());
    const hint = guess ? `Did you mean \`${guess}\`?` : operatorsHint(column);
    throw invalidArgument(path, `no operator \`${key.slice(0, 80)}\`.`, hint);
  }
  if (isAllowed(operator, column)) return operator;
  if (isSealed(column)) {
    const sentence = `\`${column.name}\` is sealed, and \`${key}\` would have to read it.`;
    throw invalidArgument(path, sentence, operatorsHint(column));
  }
  throw invalidArgument(path, `\`${key}\` does not work on a column of type ${column.type}.`, operatorsHint(column));
}

export function isOperator(key: string): boolean {
  return OPERATORS.has(key);
}

// Private

const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>(
  Object.entries({
    eq: { on: 'any', compile: equals },
    ne: { on: 'any', compile: (...given) => `(${equals(...given)}) is not true` },
    in: { on: 'any', compile: isIn },
    not_in: { on: 'any', compile: (...given) => `(${isIn(...given)}) is not true` },
    is_null: { on: 'any', compile: isNull },
    gt: { on: 'ordered', compile: compare('>') },
    gte: { on: 'ordered', compile: compare('>=') },
    lt: { on: 'ordered', compile: compare('<') },
    lte: { on: 'ordered', compile: compare('<=') },
    between: { on: 'ordered', compile: between },
    like: { on: 'text', compile: matches('like', pattern => pattern) },
    ilike: { on: 'text', compile: matches('ilike', pattern => pattern) },
    contains: { on: 'text', compile: matches('like', part => `%${escapePattern(part)}%`) },
    starts_with: { on: 'text', compile: matches('like', start => `${escapePattern(start)}%`) },
  } satisfies Record<string, Operator>),
);

/** Types of tables made elsewhere are left to Postgres to judge. */
function isAllowed({ on }: Operator, { type, seal }: Column): boolean {
  if (on === 'any' || type === undefined) return true;
  if (seal) return false;
  return on === 'text' ? type === 'text' : type !== 'json' && type !== 'boolean';
}

function operatorsHint(column: Column): string {
  const isOpaque = column.seal?.isIndexed === false;
  const allowed = [...OPERATORS].filter(([key, operator]) =>
    isOpaque ? key === 'is_null' : isAllowed(operator, column),
  );
  const note = column.type === 'json' && !column.seal ? ' To compare with an object, write { "eq": {…} }.' : '';
  return `Operators for \`${column.name}\`: ${allowed.map(([key]) => key).join(', ')}.${note}`;
}

function equals(column: Column, value: unknown, path: string, parameters: Parameters): string {
  if (value === null) return `${quoteName(column.name)} is null`;
  if (isSealed(column)) {
    const { name, digest } = hide(column, value, path, parameters);
    return `${name} = ${parameters.add(digest, 'bytea')}`;
  }
  return `${quoteName(column.name)} = ${parameters.add(toParameter(column, value, path), column.castType)}`;
}

function isIn(column: Column, value: unknown, path: string, parameters: Parameters): string {
  const items = requireList(value, path);
  const isListed = isSealed(column)
    ? isHiddenIn(column, items, path, parameters)
    : isOpenIn(column, items, path, parameters);
  return items.includes(null) ? `${isListed} or ${quoteName(column.name)} is null` : isListed;
}

function isOpenIn(column: Column, items: readonly unknown[], path: string, parameters: Parameters): string {
  const texts = items.map((item, i) => toParameter(column, item, `${path}[${i}]`)).filter(text => text !== null);
  return `${quoteName(column.name)} = any(${parameters.add(arrayLiteral(texts), `${column.castType}[]`)})`;
}

function isHiddenIn(column: SealedColumn, items: readonly unknown[], path: string, parameters: Parameters): string {
  if (items.length > MAX_HIDDEN) {
    throw invalidArgument(path, `at most ${MAX_HIDDEN} values of a sealed column can be looked for at once.`);
  }
  const hidden = items.flatMap((item, i) => (item === null ? [] : [hide(column, item, `${path}[${i}]`, parameters)]));
  const [first] = hidden;
  if (!first) return 'false';
  const digests = arrayLiteral(hidden.map(({ digest }) => digest));
  return `${first.name} = any(${parameters.add(digests, 'bytea[]')})`;
}

/** A digest is made of each, while everybody else waits. */
const MAX_HIDDEN = 1000;

/** Where equal values of a sealed column are found, and what is looked for there. */
function hide(column: SealedColumn, value: unknown, path: string, parameters: Parameters) {
  const text = requireValue(column, value, path);
  const { seal, name, pii, type } = column;
  if (seal.isIndexed) return { name: quoteName(seal.companion), digest: parameters.blind(column, text) };
  const why = type === 'text' ? `a ${pii} has` : `values of type ${type} have`;
  const sentence = `\`${name}\` is sealed and cannot be compared: ${why} too few possible values to be hidden by an index.`;
  throw invalidArgument(path, sentence, 'Ask `is_null`, or look for the rows by another column.');
}

function isNull(column: Column, value: unknown, path: string): string {
  if (typeof value !== 'boolean') throw invalidArgument(path, '`is_null` takes true or false.');
  return `${quoteName(column.name)} is ${value ? '' : 'not '}null`;
}

function compare(sign: string): Compile {
  return (column, value, path, parameters) =>
    `${quoteName(column.name)} ${sign} ${parameters.add(requireValue(column, value, path), column.castType)}`;
}

function between(column: Column, value: unknown, path: string, parameters: Parameters): string {
  const [low, high, ...more] = requireList(value, path);
  if (high === undefined || more.length > 0) throw invalidArgument(path, '`between` takes [low, high].');
  const bounds = [low, high].map((bound, i) =>
    parameters.add(requireValue(column, bound, `${path}[${i}]`), column.castType),
  );
  return `${quoteName(column.name)} between ${bounds.join(' and ')}`;
}

function matches(operator: 'like' | 'ilike', toPattern: (text: string) => string): Compile {
  return (column, value, path, parameters) => {
    const text = requireValue({ ...column, type: 'text' }, value, path);
    const subject = column.type === 'text' ? quoteName(column.name) : `${quoteName(column.name)}::text`;
    return `${subject} ${operator} ${parameters.add(toPattern(text), 'text')}`;
  };
}

function requireValue(column: Column, value: unknown, path: string): string {
  const text = toParameter(column, value, path);
  if (text === null) throw invalidArgument(path, 'null is neither more nor less than anything.', 'Use `is_null`.');
  return text;
}

function escapePattern(text: string): string {
  return text.replace(/[\\%_]/g, '\\$&');
}
