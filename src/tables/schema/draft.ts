import type { Place } from '../../database/place.ts';
import { quoteName } from '../../database/quote.ts';
import { quoteQualified } from '../quote.ts';
import type { Column, Index, NamedCheck, Reference, Table } from '../table.ts';
import type { Step, Undo } from './undo.ts';
import type { ValueWork } from './value-work.ts';

/**
 * A schema as it will be once the changes so far are done, and what doing them takes. The changes of one plan see each
 * other through it. It runs nothing but counts.
 */
export interface Draft extends Effects {
  readonly place: Place;
  /** The version that these changes make. */
  readonly version: number;
  readonly tables: Map<string, DraftTable>;
  /** Tables and indexes share one space of names, hidden ones included. */
  readonly relationNames: Set<string>;
  /** Tables that were dropped and can be brought back, by their hidden names. */
  readonly hiddenTables: Map<string, HiddenTable>;
  /** All the way back from now to `version`. */
  readSteps(version: number): Promise<readonly Undo[]>;
  /** Whether whoever plans this may lay personal data open. */
  readonly mayUnseal: boolean;
  /** The number that `query` gives on the tables as they are now; undefined when this Postgres has no word for it. */
  count(query: string): Promise<number | undefined>;
}

export interface DraftTable extends Table {
  columns: DraftColumn[];
  indexes: Index[];
  checks: NamedCheck[];
  references: Reference[];
  /** Its name in the database now; undefined for one that this draft makes. */
  origin: string | undefined;
  /** Columns that were dropped and can be brought back, by their hidden names. */
  hiddenColumns: Map<string, Held>;
}

/** What a column holds, whatever it is called meanwhile: a plan may drop what it brings back later on its way. */
export type Held = Pick<DraftColumn, 'value' | 'isFresh'>;

export interface HiddenTable extends Pick<DraftTable, 'origin' | 'hiddenColumns'> {
  columns: ReadonlyMap<string, Held>;
}

export interface DraftColumn extends Column {
  /** What it will hold, in terms of a row of `origin`. */
  value: string;
  /** This plan seals its values or opens them: until it is applied, `value` only says where there is one. */
  isFresh?: boolean;
}

/** What doing the changes takes and leaves behind. */
export interface Effects {
  readonly statements: (string | ValueWork)[];
  /** In the order in which they would be run to go back. */
  readonly undo: Undo[];
  /** One sentence per change. */
  readonly done: string[];
  readonly warnings: Set<string>;
  /** Counts that must still hold when the plan is applied. */
  readonly guards: Guard[];
  readonly moves: Move[];
  /** Tables, as they are called now, that some statement locks. */
  readonly locks: Set<string>;
  /** Those of them that some statement reads or rewrites as a whole. */
  readonly scans: Set<string>;
  /** Tables whose rights no longer follow from what a new table gets. */
  readonly regrants: Set<DraftTable>;
  rowsAffected: number;
  /** While a step back is done: the key of the step forth again. */
  nextKey: string | undefined;
}

export interface Guard {
  query: string;
  rows: number;
}

/** A table or column that is renamed away, or comes back. */
export type Move =
  | { drop: { kind: 'table' | 'column'; table: string; column: string | undefined; hidden: string } }
  | { undrop: { hidden: string } };

/** A table of the catalog, or one that was moved aside. */
export function toDraftTable(
  table: Table,
  origin: string | undefined,
  hiddenColumns: Map<string, Held> = new Map(),
): DraftTable {
  return {
    ...table,
    columns: table.columns.map(column => ({ ...column, value: quoteName(column.name) })),
    indexes: [...table.indexes],
    checks: [...table.checks],
    references: [...table.references],
    origin,
    hiddenColumns,
  };
}

export function heldBy({ value, isFresh }: DraftColumn): Held {
  return isFresh === undefined ? { value } : { value, isFresh };
}

export function asHeld(names: readonly string[]): Map<string, Held> {
  return new Map(names.map(name => [name, { value: quoteName(name) }]));
}

export function nameOf(draft: Draft, table: { name: string }): string {
  return quoteQualified(draft.place.schema, table.name);
}

/** A statement that changes `table`; `reads` says that it looks at every row. */
export function alter(draft: Draft, table: DraftTable, action: string, { reads = false } = {}): void {
  touch(draft, table, reads);
  draft.statements.push(`alter table ${nameOf(draft, table)} ${action}`);
}

export function touch(draft: Draft, table: DraftTable, reads = false): void {
  if (table.origin === undefined) return;
  draft.locks.add(table.origin);
  if (reads) draft.scans.add(table.origin);
}

/** The way back from what was just done; `impossible` says why there is none. */
export function remember(draft: Draft, step: Step, impossible?: string): void {
  draft.undo.unshift({ ...step, key: keyOf(draft), ...(impossible && { impossible }) });
}

/**
 * What is moved aside by the change at hand is called like this. Nobody can give such a name; it is short whatever the
 * old one was, and the same each time that the way through the history comes by here.
 */
export function hiddenName(draft: Draft): string {
  return `_dropped_${keyOf(draft).replace('-', '').replace('.', '_')}`;
}

/**
 * How many rows of the table, as it is now, make `condition` true, where `value` stands for what `expression` gives.
 * 0 for a table that is not there yet.
 */
export async function countRows(
  draft: Draft,
  table: DraftTable,
  condition: string,
  expression?: string,
): Promise<number> {
  const query = countQuery(draft, table, condition, expression);
  return (query && (await draft.count(query))) || 0;
}

/** As countRows, and the plan only holds while the count does. */
export async function guardRows(
  draft: Draft,
  table: DraftTable,
  condition: string,
  expression?: string,
): Promise<number> {
  const query = countQuery(draft, table, condition, expression);
  const rows = query && (await draft.count(query));
  if (!query || typeof rows !== 'number') return 0;
  draft.guards.push({ query, rows });
  return rows;
}

// Private

function keyOf({ nextKey, version, undo }: Draft): string {
  return nextKey ?? `${version}.${undo.length + 1}`;
}

function countQuery(draft: Draft, { origin }: DraftTable, condition: string, expression = 'true'): string | undefined {
  if (origin === undefined) return undefined;
  const rows = `select ${expression} as value from ${quoteQualified(draft.place.schema, origin)}`;
  return `select count(*) from (${rows}) as counted where ${condition}`;
}
