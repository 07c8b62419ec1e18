import { quoteName } from '../database/quote.ts';
import { invalidArgument } from './argument.ts';
import { requireColumn } from './find-column.ts';
import type { Parameters } from './statement.ts';
import { type Column, keyColumns, type Table } from './table.ts';

/**
 * `order_by` → an order in which every row has one place, and the condition for the rows after a given one. Nulls come
 * last in both directions. Without a primary key rows have no place of their own, and nothing can be said of "after".
 */
export interface Order {
  items: readonly OrderItem[];
  /** No two rows are equal in it. */
  isTotal: boolean;
}

export interface OrderItem {
  column: Column;
  descending: boolean;
}

/** The values of one row in the columns of an order, as Postgres prints them: nothing is rounded on the way. */
export type Position = readonly (string | null)[];

export function parseOrder(table: Table, orderBy: readonly string[] = []): Order {
  const asked = new Map<Column, boolean>();
  for (const [i, text] of orderBy.entries()) {
    const descending = text.startsWith('-');
    const path = `order_by[${i}]`;
    const column = requireColumn(table, descending ? text.slice(1) : text, path);
    if (column.seal) {
      throw invalidArgument(path, `rows cannot be ordered by \`${column.name}\`: it is sealed.`);
    }
    if (column.type === 'json')
      throw invalidArgument(path, `rows cannot be ordered by \`${column.name}\`: it is json.`);
    if (asked.has(column)) throw invalidArgument(path, `\`${column.name}\` stands there already.`);
    asked.set(column, descending);
  }
  const items = [...asked].map(([column, descending]) => ({ column, descending }));
  const descending = items.at(-1)?.descending ?? false;
  const key = keyColumns(table);
  const tieBreak = key.filter(column => !asked.has(column)).map(column => ({ column, descending }));
  return { items: [...items, ...tieBreak], isTotal: key.length > 0 };
}

/** For ORDER BY; `expressionOf` gives another name to the columns of a surrounding query. */
export function orderText({ items }: Order, expressionOf = (item: OrderItem) => quoteName(item.column.name)): string {
  const texts = items.map(item => {
    // A plain index serves `desc` only while nothing is said of nulls, so nothing is where there are none.
    const nulls = item.descending && !item.column.required ? ' nulls last' : '';
    return `${expressionOf(item)}${item.descending ? ' desc' : ''}${nulls}`;
  });
  return texts.length === 0 ? '' : ` order by ${texts.join(', ')}`;
}

/** The condition that holds for the rows after `position`, which has one value per item. */
export function afterPosition({ items }: Order, position: Position, parameters: Parameters): string {
  const places = items.map((item, i) => place(item, position[i] ?? null, parameters));
  const laterAt = places.map(({ later }, i) => [...places.slice(0, i).map(({ same }) => same), later].join(' and '));
  // Says nothing new, but it is what an index on the first column can start from.
  const bound = places[0]?.notBefore;
  return `${bound ? `${bound} and ` : ''}(${laterAt.map(text => `(${text})`).join(' or ')})`;
}

// Private

interface PlacedColumn {
  same: string;
  later: string;
  /** Only where an index can use it. */
  notBefore: string | undefined;
}

function place({ column, descending }: OrderItem, value: string | null, parameters: Parameters): PlacedColumn {
  const name = quoteName(column.name);
  if (value === null) return { same: `${name} is null`, later: 'false', notBefore: undefined };
  const parameter = parameters.add(value, column.castType);
  const sign = descending ? '<' : '>';
  return {
    same: `${name} = ${parameter}`,
    later: column.required ? `${name} ${sign} ${parameter}` : `(${name} ${sign} ${parameter} or ${name} is null)`,
    notBefore: column.required ? `${name} ${sign}= ${parameter}` : undefined,
  };
}
