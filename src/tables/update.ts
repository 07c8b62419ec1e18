import type { Session } from '../database/pools.ts';
import { quoteName } from '../database/quote.ts';
import { FrameError } from '../errors.ts';
import { invalidArgument } from './argument.ts';
import { requireWritable } from './find-column.ts';
import { type LockedRows, lockMatches, type Match } from './match.ts';
import { quoteQualified } from './quote.ts';
import { createParameters } from './statement.ts';
import type { Column, Table } from './table.ts';
import { fromPostgres, toParameter } from './values.ts';

export interface Updated {
  count: number;
  columns: readonly string[];
  /** The first rows as they were, and the same rows as they are now. */
  before: readonly (readonly unknown[])[];
  after: readonly (readonly unknown[])[];
}

/** Sets columns of the rows that match, all or none; belongs into a transaction. */
export async function updateMatches(
  session: Session,
  table: Table,
  match: Match,
  set: Record<string, unknown>,
): Promise<Updated> {
  const values = checkSet(table, set);
  const columns = table.columns.map(({ name }) => name);
  const locked = await lockMatches(session, table, match);
  if (locked.count === 0) return { count: 0, columns, before: [], after: [] };
  const before = await readShown(session, table, locked);
  const { count, after } = await change(session, table, locked, values);
  return { count, columns, before, after };
}

// Private

const SHOWN_ROWS = 5;

type Values = readonly (readonly [Column, string | null])[];

function checkSet(table: Table, set: Record<string, unknown>): Values {
  const values = Object.entries(set).map(([name, value]) => {
    const path = `set.${name.slice(0, 80)}`;
    const column = requireWritable(table, name, path);
    const text = toParameter(column, value, path);
    if (text === null && column.required) {
      throw new FrameError('row/missing-value', `\`${path}\` is required and cannot be null.`);
    }
    return [column, text] as const;
  });
  if (values.length === 0) throw invalidArgument('set', 'name at least one column.');
  return values;
}

async function readShown(session: Session, table: Table, locked: LockedRows) {
  const parameters = createParameters();
  const text =
    `select ${fieldsOf(table)} from ${quoteQualified(table.schema, table.name)} t` +
    ` join ${locked.source(parameters, SHOWN_ROWS)} on ${locked.isSame} order by l.place`;
  const { rows } = await session.query(text, parameters.values);
  return rows.map(row => toJson(table, row));
}

async function change(session: Session, table: Table, locked: LockedRows, values: Values) {
  const parameters = createParameters();
  const changes = values.map(([{ name, castType }, text]) => `${quoteName(name)} = ${parameters.add(text, castType)}`);
  const update =
    `update ${quoteQualified(table.schema, table.name)} t set ${changes.join(', ')}` +
    ` from ${locked.source(parameters)} where ${locked.isSame} returning ${fieldsOf(table)}, l.place`;
  const aliases = table.columns.map((_, i) => `c${i}`).join(', ');
  const text =
    `with changed as (${update}) select ${aliases}, (select count(*)::integer from changed)` +
    ` from changed where place <= ${SHOWN_ROWS} order by place`;
  const { rows } = await session.query(text, parameters.values);
  return { count: Number(rows[0]?.at(-1) ?? 0), after: rows.map(row => toJson(table, row)) };
}

function fieldsOf({ columns }: Table): string {
  return columns.map(({ name }, i) => `t.${quoteName(name)} as c${i}`).join(', ');
}

function toJson({ columns }: Table, row: readonly unknown[]): readonly unknown[] {
  return columns.map(({ type }, i) => fromPostgres(type, row[i]));
}
