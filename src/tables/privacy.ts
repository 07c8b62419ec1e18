import { setImmediate as nextTurn } from 'node:timers/promises';
import { quoteName } from '../database/quote.ts';
import { FrameError } from '../errors.ts';
import type { DataKeys } from '../vault/data-keys.ts';
import { MASKED, mask } from '../vault/mask.ts';
import type { KeyPlace, PlaceKeys } from '../vault/place-keys.ts';
import { isSealed, type SealedColumn, sealedColumns } from './seal.ts';
import type { Blind } from './statement.ts';
import { type Column, findColumn, type Table } from './table.ts';
import { fromPostgres } from './values.ts';
import type { Answer, Concealment } from './write.ts';

/**
 * Personal data on its way into rows and out of them. Cells are sealed and opened here, in the gateway: the database
 * holds them and cannot read them. Which columns are sealed is a matter of the table; who reads them in plain, of the
 * caller.
 */
export interface Privacy {
  keys: DataKeys;
  place: KeyPlace;
  /** Whether the caller reads personal data in plain. */
  mayRead: boolean;
}

/** What stands for a cell that cannot be opened: never null, which would be a value. */
export const BROKEN_CELL = { error: 'row/sealed-broken' } as const;

/** A sealed column, as far as its cells go. */
export type CellColumn = Pick<SealedColumn, 'name' | 'pii' | 'seal'>;

/** The values of one column, one per row; null where there is none. */
export interface Cells {
  column: CellColumn;
  texts: readonly (string | null)[];
}

/** A column of the database with the texts to write into it, one per row. */
export interface Field {
  name: string;
  castType: string;
  texts: readonly (string | null)[];
}

/** What a statement reads of a column, to be made a value by showRows. */
export function fieldOf(column: Column, row = ''): string {
  const field = `${row}${quoteName(column.name)}`;
  // Whatever bytea_output is.
  return column.seal ? `encode(${field}, 'hex')` : field;
}

/**
 * For statements that compare sealed columns of this table; undefined where there are none. Whoever reads masks may look for
 * some values that they know, and not try a list of all that there can be.
 */
export async function blindFor({ keys, place, mayRead }: Privacy, table: Table): Promise<Blind | undefined> {
  if (sealedColumns(table).length === 0) return undefined;
  const opened = await keys.of(place);
  const asked = new Set<string>();
  return (column, text) => {
    if (!mayRead && asked.add(text).size > MAX_GUESSES) throw tooManyGuesses(column.name);
    return toBytea(opened.blind(column.seal, column.pii, text));
  };
}

/**
 * A dry run of rows tells whether one of their values is in a unique column already, and leaves nothing behind: so it
 * may ask for no more values than a comparison.
 */
export function refuseManyGuesses({ mayRead }: Privacy, table: Table, rows: readonly Record<string, unknown>[]): void {
  if (mayRead) return;
  const isUnique = (name: string) => table.indexes.some(({ unique, columns }) => unique && columns.includes(name));
  const asked = new Set<unknown>();
  for (const { name } of sealedColumns(table).filter(column => isUnique(column.name))) {
    for (const row of rows) if (row[name] !== undefined && row[name] !== null) asked.add(row[name]);
    if (asked.size > MAX_GUESSES) throw tooManyGuesses(name);
  }
}

/** Seals the values of rows with these ids: the cells, and what finds them. */
export async function sealFields(
  { keys, place }: Privacy,
  columns: readonly Cells[],
  rowIds: readonly string[],
): Promise<Field[]> {
  const fields: Field[] = [];
  for (const { column, texts } of columns) {
    const { seal, name, pii } = column;
    const cells: (string | null)[] = [];
    const digests: (string | null)[] = [];
    for await (const some of portions(rowIds)) {
      const count = some.filter(i => texts[i] !== null).length;
      const opened = await keys.of(place, count);
      for (const i of some) {
        const text = texts[i] ?? null;
        cells.push(text === null ? null : toBytea(opened.seal({ ...seal, rowId: rowIds[i] ?? '' }, text)));
        digests.push(text === null || !seal.isIndexed ? null : toBytea(opened.blind(seal, pii, text)));
      }
    }
    fields.push({ name, castType: 'bytea', texts: cells }, { name: seal.companion, castType: 'bytea', texts: digests });
  }
  return fields;
}

/** A cell as it lies in the database, in hex. */
export interface StoredCell {
  rowId: string;
  hex: string;
}

/** The texts of cells of one column; undefined for those that cannot be opened. */
export async function openCells(
  { keys, place }: Pick<Privacy, 'keys' | 'place'>,
  column: CellColumn,
  cells: readonly StoredCell[],
): Promise<(string | undefined)[]> {
  const texts: (string | undefined)[] = [];
  const broken: string[] = [];
  for await (const some of portions(cells)) {
    const sealed = some.map(i => Buffer.from(cells[i]?.hex ?? '', 'hex'));
    const opened = await keysFor({ keys, place }, sealed);
    for (const [at, i] of some.entries()) {
      const found = opened.open({ ...column.seal, rowId: cells[i]?.rowId ?? '' }, sealed[at] ?? Buffer.alloc(0));
      texts.push('text' in found ? found.text : undefined);
      if ('broken' in found) broken.push(found.broken);
    }
  }
  if (broken.length > 0) keys.reportBroken(place, column.seal.columnId, broken);
  return texts;
}

/** JSON values of what fieldOf() read of `columns`; `rowIds` are those of the rows, where a column is sealed. */
export async function showRows(
  privacy: Privacy,
  columns: readonly Column[],
  rows: readonly (readonly unknown[])[],
  rowIds: readonly unknown[],
): Promise<unknown[][]> {
  const shown = rows.map(row => columns.map(({ type, seal }, i) => (seal ? null : fromPostgres(type, row[i]))));
  for (const [at, column] of columns.entries()) {
    if (!isSealed(column)) continue;
    const filled = [...rows.keys()].filter(i => typeof rows[i]?.[at] === 'string');
    const cells = filled.map(i => ({ rowId: String(rowIds[i]), hex: String(rows[i]?.[at]) }));
    const texts = await openCells(privacy, column, cells);
    for (const [n, i] of filled.entries()) shown[i]?.splice(at, 1, show(privacy, column, texts[n]));
  }
  return shown;
}

/** For a table with sealed columns: how a call on it is kept for those who repeat it. */
export async function concealmentFor({ keys, place }: Privacy, table: Table): Promise<Concealment | undefined> {
  const sealed = new Set(sealedColumns(table).map(({ name }) => name));
  if (sealed.size === 0) return undefined;
  const { digest } = await keys.of(place);
  return { digest, conceal: answer => concealRows(answer, sealed) };
}

/** The column that says which row a cell is of. */
export function rowIdColumn(table: Table): Column | undefined {
  return sealedColumns(table).length > 0 ? findColumn(table, 'id') : undefined;
}

// Private

const MAX_GUESSES = 20;

function tooManyGuesses(column: string): FrameError {
  return new FrameError('args/invalid', `More than ${MAX_GUESSES} values of personal data are asked for at once.`, {
    hint: `Ask for fewer of \`${column}\`, or with a role that has the right pii:read.`,
  });
}

/** Sealing is work for the processor: others have their turn in between. */
const PORTION = 256;

async function* portions(all: readonly unknown[]): AsyncGenerator<number[]> {
  for (let first = 0; first < all.length; first += PORTION) {
    if (first > 0) await nextTurn();
    yield Array.from({ length: Math.min(PORTION, all.length - first) }, (_, i) => first + i);
  }
}

async function keysFor(
  { keys, place }: Pick<Privacy, 'keys' | 'place'>,
  sealed: readonly Buffer[],
): Promise<PlaceKeys> {
  const opened = await keys.of(place);
  // Another process has made a new key and we have not heard of it yet.
  return sealed.every(cell => opened.knows(cell)) ? opened : await keys.renew(place);
}

function concealRows(answer: Answer, sealed: ReadonlySet<string>): Answer {
  const { columns } = answer;
  if (!Array.isArray(columns)) return answer;
  const conceal = (rows: unknown) =>
    Array.isArray(rows) &&
    rows.map((row: unknown[]) => row.map((value, i) => (value !== null && sealed.has(columns[i]) ? MASKED : value)));
  return { ...answer, before: conceal(answer.before), after: conceal(answer.after) };
}

function show({ mayRead }: Privacy, { pii, type }: SealedColumn, text: string | undefined): unknown {
  if (text === undefined) return BROKEN_CELL;
  return mayRead ? fromPostgres(type, text) : mask(pii, text);
}

function toBytea(bytes: Buffer): string {
  return `\\x${bytes.toString('hex')}`;
}
