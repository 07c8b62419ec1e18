import { loginOf, type Place } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { quoteName } from '../database/quote.ts';
import { invalidArgument } from './argument.ts';
import { staleCursor } from './cursor.ts';
import { compileFilter } from './filter.ts';
import { requireColumn } from './find-column.ts';
import { afterPosition, type Order, orderText, type Position, parseOrder } from './order.ts';
import { quoteQualified } from './quote.ts';
import { createParameters, type Statement } from './statement.ts';
import type { Column, Table } from './table.ts';
import { fromPostgres, toText } from './values.ts';

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
  /** JSON values, at most `limit` rows. */
  rows: readonly (readonly unknown[])[];
  /** There are rows after these. */
  hasMore: boolean;
  /** Where row `i` stands; undefined in a table without a primary key. */
  positionOf(i: number): Position | undefined;
  total: number | undefined;
}

/** Reads one page with one statement, as the place's read login. Postgres errors come through as they are. */
export async function selectPage(
  pools: Pools,
  place: Place,
  table: Table,
  selection: Selection,
  signal?: AbortSignal,
): Promise<Page> {
  const plan = planSelection(table, selection);
  const { rows } = await pools.query(loginOf(place, 'ro'), plan.text, plan.params, { signal });
  const { columns, read, order, limit } = plan;
  const found = selection.count ? rows.filter(row => row.at(-2) !== null) : rows;
  const shown = found.slice(0, limit);
  const placeOf = (row: readonly unknown[]) => order.items.map(({ column }) => toText(row[read.indexOf(column)]));
  return {
    columns: columns.map(({ name }) => name),
    rows: shown.map(row => columns.map(({ type }, i) => fromPostgres(type, row[i]))),
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
  order: Order;
  limit: number;
}

function planSelection(
  table: Table,
  { columns: names, where, orderBy, limit, after, count }: Selection,
): SelectionPlan {
  const parameters = createParameters();
  const columns = chooseColumns(table, names);
  const order = parseOrder(table, orderBy);
  if (after && (!order.isTotal || after.length !== order.items.length)) throw staleCursor();

  const read = [...new Set([...columns, ...order.items.map(({ column }) => column)])];
  const fields = read.map(({ name }, i) => `${quoteName(name)} as c${i}`).join(', ');
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
  return { text, params: parameters.values, columns, read, order, limit };
}

function chooseColumns(table: Table, names: readonly string[] | undefined): readonly Column[] {
  if (names === undefined) return table.columns;
  if (names.length === 0) throw invalidArgument('columns', 'name at least one, or leave it out for all.');
  const twice = names.findIndex((name, i) => names.indexOf(name) < i);
  if (twice >= 0) throw invalidArgument(`columns[${twice}]`, `\`${names[twice]}\` stands there already.`);
  return names.map((name, i) => requireColumn(table, name, `columns[${i}]`));
}
