import type { Session } from '../database/pools.ts';
import { quoteName } from '../database/quote.ts';
import { FrameError } from '../errors.ts';
import { invalidArgument } from './argument.ts';
import { requireWritable } from './find-column.ts';
import { type LockedRows, lockMatches, type Match } from './match.ts';
import { type Field, fieldOf, type Privacy, rowIdColumn, sealFields, showRows } from './privacy.ts';
import { quoteQualified } from './quote.ts';
import { isSealed } from './seal.ts';
import { createParameters } from './statement.ts';
import type { Column, Table } from './table.ts';
import { toParameter } from './values.ts';

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
  privacy: Privacy,
): Promise<Updated> {
  const values = checkSet(table, set);
  const columns = table.columns.map(({ name }) => name);
  const locked = await lockMatches(session, table, match, privacy);
  if (locked.count === 0) return { count: 0, columns, before: [], after: [] };
  const before = await readShown(session, table, locked);
  const { count, after } = await change(session, table, locked, values, privacy);
  const show = (rows: readonly (readonly unknown[])[]) =>
    showRows(
      privacy,
      table.columns,
      rows,
      rows.map(row => row.at(-1)),
    );
  return { count, columns, before: await show(before), after: await show(after) };
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

/** The rows as they are read, and behind their columns what cells are bound to. */
type ReadRows = readonly (readonly unknown[])[];

async function readShown(session: Session, table: Table, locked: LockedRows): Promise<ReadRows> {
  const parameters = createParameters();
  const text =
    `select ${fieldsOf(table)} from ${quoteQualified(table.schema, table.name)} t` +
    ` join ${locked.source(parameters, { limit: SHOWN_ROWS })} on ${locked.isSame} order by l.place`;
  return (await session.query(text, parameters.values)).rows;
}

async function change(
  session: Session,
  table: Table,
  locked: LockedRows,
  values: Values,
  privacy: Privacy,
): Promise<{ count: number; after: ReadRows }> {
  const parameters = createParameters();
  const fields = await sealValues(values, locked, privacy);
  const changes = [
    ...values.flatMap(([{ name, castType, seal }, text]) =>
      seal ? [] : [`${quoteName(name)} = ${parameters.add(text, castType)}`],
    ),
    ...fields.map(({ name, castType }, i) => `${quoteName(name)} = l.s${i}::${castType}`),
  ];
  const update =
    `update ${quoteQualified(table.schema, table.name)} t set ${changes.join(', ')}` +
    ` from ${locked.source(parameters, { fields })} where ${locked.isSame} returning ${fieldsOf(table)}, l.place`;
  const aliases = [...table.columns.map((_, i) => `c${i}`), 'row_id'].join(', ');
  const text =
    `with changed as (${update}) select (select count(*)::integer from changed), ${aliases}` +
    ` from changed where place <= ${SHOWN_ROWS} order by place`;
  const { rows } = await session.query(text, parameters.values);
  return { count: Number(rows[0]?.[0] ?? 0), after: rows.map(([, ...row]) => row) };
}

/** One value for all rows becomes another cell for each: a cell opens in its own row alone. */
async function sealValues(values: Values, { ids }: LockedRows, privacy: Privacy): Promise<Field[]> {
  const cells = values.flatMap(([column, text]) => (isSealed(column) ? [{ column, texts: ids.map(() => text) }] : []));
  return await sealFields(privacy, cells, ids);
}

function fieldsOf(table: Table): string {
  const fields = table.columns.map((column, i) => `${fieldOf(column, 't.')} as c${i}`);
  const rowId = rowIdColumn(table);
  return [...fields, `${rowId ? fieldOf(rowId, 't.') : 'null'} as row_id`].join(', ');
}
