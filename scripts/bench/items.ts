import { SCHEMA } from './stage.ts';

/** The table that everybody reads and writes, and the same statements for everybody. */
export const TABLE = 'items';
/** The same with one sealed column. */
export const SEALED_TABLE = 'sealed_items';
export type ItemsTable = typeof TABLE | typeof SEALED_TABLE;
export const ITEMS = 10_000;

/** What `select_rows` sends for one row by key, without the casts of its parameters. */
export const SELECT = `select number, name, price, id from ${SCHEMA}.${TABLE} where number = $1 order by id limit 2`;
export const INSERT = `insert into ${SCHEMA}.${TABLE} (id, created_by, number, name, price) values ($1, $2, $3, $4, $5)`;

export interface Item {
  number: number;
  name: string;
  price: string;
}

/** Every name ends with a stop, so that none is the beginning of another. */
export function itemOf(number: number): Item {
  return { number, name: `Item ${number}.`, price: ((number % 997) + 0.5).toFixed(2) };
}

/** One that the table was filled with. */
export function anyItem(): Item {
  return itemOf(1 + Math.floor(Math.random() * ITEMS));
}

/** Gives items that nobody has inserted yet. */
export function createNewItems(): () => Item {
  let last = ITEMS;
  return () => itemOf(++last);
}

/** What `run_sql` is sent: the same, with the number in the text as callers write it. */
export function selectOf(number: number): string {
  return `select number, name, price, id from ${TABLE} where number = ${number} order by id limit 2`;
}

/** What `plan_change` is sent for either table. */
export function createTable(name: ItemsTable): object {
  const columns = [
    { name: 'number', type: 'integer', required: true, unique: true },
    { name: 'name', type: 'text', required: true, ...(name === SEALED_TABLE && { pii: 'name' }) },
    { name: 'price', type: 'numeric', required: true },
  ];
  return { create_table: { name, columns } };
}
