import { quoteName } from '../../database/quote.ts';
import { writeCheckComment, writeColumnComment } from '../comment.ts';
import { quoteQualified } from '../quote.ts';
import { markOf, storedTypeOf } from '../seal.ts';
import type { Check, Column, ColumnDefault } from '../table.ts';
import { toParameter } from '../values.ts';
import { sqlLiteral, typedLiteral } from './literal.ts';

/** The words of DDL for columns. Everything a caller wrote is a quoted name, a literal, or gone. */
type Typed = Pick<Column, 'type' | 'postgresType'>;

export interface ColumnWords {
  schema: string;
  table: string;
  column: Column;
  /** Names for the constraints that the column brings along. */
  check: string | undefined;
  reference: string | undefined;
}

/** `"total" numeric not null default …`, as in CREATE TABLE and ADD COLUMN; a sealed column brings its companion along. */
export function columnDefinitions(words: ColumnWords): string[] {
  const { seal } = words.column;
  return [columnDefinition(words), ...(seal ? [`${quoteName(seal.companion)} bytea`] : [])];
}
/** The comments that hold what a definition has no place for; none when there is nothing to say. */
export function columnComments({ schema, table, column, check }: ColumnWords): string[] {
  return [
    ...(column.comment || column.pii ? [commentOnColumn(schema, table, column)] : []),
    ...(column.check && check ? [commentOnCheck(schema, table, check, column.check)] : []),
  ];
}

export function commentOnColumn(schema: string, table: string, column: Column): string {
  const { name, comment } = column;
  const text = writeColumnComment({ text: comment, mark: markOf(column) });
  const target = `${quoteQualified(schema, table)}.${quoteName(name)}`;
  return `comment on column ${target} is ${text === '' ? 'null' : sqlLiteral(text)}`;
}

export function commentOnCheck(schema: string, table: string, constraint: string, check: Check): string {
  const target = `${quoteName(constraint)} on ${quoteQualified(schema, table)}`;
  return `comment on constraint ${target} is ${sqlLiteral(writeCheckComment(check))}`;
}

export function checkClause(constraint: string, column: Column, check: Check): string {
  return `constraint ${quoteName(constraint)} check (${checkSql(quoteName(column.name), column, check)})`;
}

export function foreignKeyClause(schema: string, constraint: string, column: string, target: string): string {
  const key = `constraint ${quoteName(constraint)} foreign key (${quoteName(column)})`;
  return `${key} references ${quoteQualified(schema, target)} ("id")`;
}

/** A condition on `value`, an SQL expression of the column's type. Null passes, as every check of SQL lets it. */
export function checkSql(value: string, column: Typed, check: Check): string {
  const literal = (bound: unknown) => literalOf(column, bound);
  const length = `char_length(${value})`;
  const conditions = [
    check.min !== undefined && `${value} >= ${literal(check.min)}`,
    check.max !== undefined && `${value} <= ${literal(check.max)}`,
    check.min_length !== undefined && `${length} >= ${check.min_length}`,
    check.max_length !== undefined && `${length} <= ${check.max_length}`,
    check.one_of !== undefined && `${value} in (${check.one_of.map(literal).join(', ')})`,
    check.pattern !== undefined && `${value} ~ ${sqlLiteral(check.pattern)}`,
  ];
  return conditions.filter(condition => condition !== false).join(' and ');
}

export function defaultSql(schema: string, column: Typed, value: ColumnDefault): string {
  if ('now' in value) return column.type === 'date' ? 'current_date' : 'now()';
  if ('gen_uuid' in value) return `${quoteQualified(schema, '_uuid7')}()`;
  // Never a caller's: it was read from a table that was made elsewhere, as Postgres itself prints it.
  if ('expression' in value) return value.expression;
  return literalOf(column, value.literal);
}

// Private

function columnDefinition({ schema, column, check, reference }: ColumnWords): string {
  const parts = [quoteName(column.name), storedTypeOf(column)];
  if (column.required) parts.push('not null');
  if (column.default) parts.push(`default ${defaultSql(schema, column, column.default)}`);
  if (column.check && check) parts.push(checkClause(check, column, column.check));
  if (column.references && reference) {
    parts.push(`constraint ${quoteName(reference)} references ${quoteQualified(schema, column.references)} ("id")`);
  }
  return parts.join(' ');
}

function literalOf(column: Typed, value: unknown): string {
  return typedLiteral(toParameter(column, value, 'value') ?? '', column.postgresType);
}
