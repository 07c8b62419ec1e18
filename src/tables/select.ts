import { loginOf, type Place } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { FrameError, unavailable } from '../errors.ts';
import { invalidArgument } from './argument.ts';
import { staleCursor } from './cursor.ts';
import { compileFilter } from './filter.ts';
import { requireColumn } from './find-column.ts';
import { afterPosition, type Order, orderText, type Position, parseOrder } from './order.ts';
import { blindFor, fieldOf, type Privacy, rowIdColumn, showRows } from './privacy.ts';
import { quoteQualified } from './quote.ts';
import { sealedColumns } from './seal.ts';
import { type Blind, createParameters, type Statement } from './statement.ts';
import type { Column, Table } from './table.ts';
import { toText } from './values.ts';

/** What to read; the names are the caller's and are checked here. */
export interface Selection {
  columns?: readonly string[] | undefined;
  where?: Record<string, unknown> | undefined;
  orderBy?: readonly string[] | undefined;
  limit: number;
  /** Go on after this row. */
  after?: Position | undefined;
  /** Count all rows that match, wherever the page begins. */
  count?: boolean | undefined;
}

export interface Page {
  columns: readonly string[];
  /** Those of them that hold personal data which the caller sees in plain. */
  revealed: readonly string[];
  /** JSON values, at most `limit` rows. */
  rows: readonly (readonly unknown[])[];
  /** There are rows after these. */
  hasMore: boolean;
  /** Where row `i` stands; undefined in a table without a primary key. */
  positionOf(i: number): Position | undefined;
  total: number | undefined;
}

/** Reads one page with one statement. Postgres errors come through as they are. */
export async function selectPage(
  pools: Pools,
  place: Place,
  table: Table,
  selection: Selection,
  privacy: Privacy,
  signal?: AbortSignal,
): Promise<Page> {
  const plan = planSelection(table, selection, await blindFor(privacy, table));
  const rows = await readRows(pools, place, plan, signal);
  const { columns, read, order, limit, rowId } = plan;
  const found = selection.count ? rows.filter(row => row.at(-2) !== null) : rows;
  const shown = found.slice(0, limit);
  const placeOf = (row: readonly unknown[]) => order.items.map(({ column }) => toText(row[read.indexOf(column)]));
  return {
    columns: columns.map(({ name }) => name),
    revealed: privacy.mayRead ? sealedColumns({ columns }).map(({ name }) => name) : [],
    rows: await showRows(
      privacy,
      columns,
      shown,
      shown.map(row => rowId && row[read.indexOf(rowId)]),
    ),
    hasMore: found.length > limit,
    positionOf: i => (order.isTotal ? placeOf(shown[i] ?? []) : undefined),
    total: selection.count ? Number(rows[0]?.at(-1)) : undefined,
  };
}

// Private

interface SelectionPlan extends Statement {
  columns: readonly Column[];
  /** What the statement reads: the columns, then what else tells the place of a row. */
  read: readonly Column[];
  /** What the cells of a row are bound to, when some of them are sealed. */
  rowId: Column | undefined;
  order: Order;
  limit: number;
}

/** The read login may not touch sealed columns, for it runs what members write: of such tables the other one reads. */
async function readRows(pools: Pools, place: Place, { text, params, rowId }: SelectionPlan, signal?: AbortSignal) {
  const login = loginOf(place, rowId ? 'rw' : 'ro');
  const { rows } = await pools.query(login, text, params, { signal }).catch(onlyRead);
  return rows;
}

/** That login may write, so a lost answer is an unknown outcome to it. */
function onlyRead(thrown: unknown): never {
  if (!(thrown instanceof FrameError) || thrown.code !== 'outcome-unknown') throw thrown;
  throw unavailable('The database cannot be reached now.', { detail: thrown.detail, cause: thrown });
}

function planSelection(
  table: Table,
  { columns: names, where, orderBy, limit, after, count }: Selection,
  blind: Blind | undefined,
): SelectionPlan {
  const parameters = createParameters(blind);
  const columns = chooseColumns(table, names);
  const order = parseOrder(table, orderBy);
  if (after && (!order.isTotal || after.length !== order.items.length)) throw staleCursor();

  const rowId = rowIdColumn(table);
  const read = [...new Set([...columns, ...order.items.map(({ column }) => column), ...(rowId ? [rowId] : [])])];
  const fields = read.map((column, i) => `${fieldOf(column)} as c${i}`).join(', ');
  const from = quoteQualified(table.schema, table.name);
  const filter = compileFilter(table, where, parameters).text;
  const rest = after ? ` and ${afterPosition(order, after, parameters)}` : '';
  const page = `from ${from} where ${filter}${rest}${orderText(order)} limit ${parameters.add(`${limit + 1}`, 'integer')}`;
  // One statement sees one state of the table; an empty page still brings its total.
  const text = count
    ? `select ${read.map((_, i) => `p.c${i}`).join(', ')}, p.here, t.total` +
      ` from (select count(*) as total from ${from} where ${filter}) t` +
      ` left join (select ${fields}, true as here ${page}) p on true` +
      orderText(order, ({ column }) => `p.c${read.indexOf(column)}`)
    : `select ${fields} ${page}`;
  return { text, params: parameters.values, columns, read, rowId, order, limit };
}

function chooseColumns(table: Table, names: readonly string[] | undefined): readonly Column[] {
  if (names === undefined) return table.columns;
  if (names.length === 0) throw invalidArgument('columns', 'name at least one, or leave it out for all.');
  // One by one: whatever is asked, it ends after as many names as the table has columns.
  const columns = new Set<Column>();
  for (const [i, name] of names.entries()) {
    const column = requireColumn(table, name, `columns[${i}]`);
    if (columns.has(column)) throw invalidArgument(`columns[${i}]`, `\`${name}\` stands there already.`);
    columns.add(column);
  }
  return [...columns];
}
