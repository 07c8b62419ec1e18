import type { PiiKind } from '../vault/pii-kind.ts';
import type { SealedColumnId } from '../vault/place-keys.ts';
import type { ColumnType } from './column-type.ts';

/** What a table is, as read from the catalog: a value, replaced as a whole when the schema changes. */
export interface SchemaSnapshot {
  /** Visible tables, by name. Soft-dropped and internal ones are left out. */
  tables: readonly Table[];
  /** Names of those that have columns which are not shown: nobody may ask Postgres for `*` of them. */
  partial: ReadonlySet<string>;
  /** Changes whenever anything of the structure does, hidden things included; row estimates do not count. */
  fingerprint: string;
  /** Milliseconds since 1970. */
  loadedAt: number;
}

export interface Table {
  schema: string;
  name: string;
  comment: string | undefined;
  /** In the order of creation. Soft-dropped columns are left out. */
  columns: readonly Column[];
  /** Empty for a table made elsewhere without one. */
  primaryKey: readonly string[];
  /** All of them: of the primary key, of unique constraints, and plain ones. */
  indexes: readonly Index[];
  checks: readonly NamedCheck[];
  references: readonly Reference[];
  /** The planner's guess; undefined until Postgres has counted once. */
  rowEstimate: number | undefined;
}

export interface Column {
  name: string;
  /** Undefined for a type that only tables made elsewhere have. */
  type: ColumnType | undefined;
  /** As `format_type` spells it, with its modifier: `numeric(10,2)`. */
  postgresType: string;
  /** The same without a modifier: an explicit cast to `varchar(3)` would cut a value silently. */
  castType: string;
  required: boolean;
  /** Alone: values of several columns that are unique together are an index of the table. */
  unique: boolean;
  default: ColumnDefault | undefined;
  check: Check | undefined;
  /** The table of the same schema whose row this column names. */
  references: string | undefined;
  comment: string | undefined;
  /** The kind of personal data that it holds. */
  pii: PiiKind | undefined;
  /** How it is sealed; undefined for a column whose values lie open, personal or not. */
  seal: Seal | undefined;
  /** Kept by the database or by Frame; callers may read it only. */
  isProtected: boolean;
}

/** A sealed column is of type bytea to Postgres, whatever it is to callers. */
export interface Seal extends SealedColumnId {
  /** The hidden column beside it, written with it: what finds equal values, where `isIndexed`, else nothing. */
  companion: string;
  isIndexed: boolean;
}

/** `expression` is one that Frame did not make, such as a sequence's next value; its text is Postgres's. */
export type ColumnDefault = { literal: unknown } | { now: true } | { gen_uuid: true } | { expression: string };

export interface Check {
  min?: number | string;
  max?: number | string;
  min_length?: number;
  max_length?: number;
  one_of?: readonly (string | number)[];
  pattern?: string;
}

export interface Index {
  name: string;
  /** Empty when it is over an expression. */
  columns: readonly string[];
  unique: boolean;
  /** It belongs to the primary key or to a unique constraint and cannot be dropped by itself. */
  isConstraint: boolean;
}

export interface NamedCheck {
  name: string;
  /** The column, when it is about one. */
  column: string | undefined;
  /** Undefined for a check that Frame did not make. */
  check: Check | undefined;
}

export interface Reference {
  name: string;
  columns: readonly string[];
  table: string;
}

/** The columns that every table made by Frame has, with their types. Callers read them and never write them. */
export const SYSTEM_COLUMNS = {
  id: 'uuid',
  created_at: 'timestamp',
  updated_at: 'timestamp',
  created_by: 'text',
} as const satisfies Record<string, ColumnType>;

export function isSystemColumn(name: string, type: ColumnType | undefined): boolean {
  return (
    type !== undefined &&
    Object.hasOwn(SYSTEM_COLUMNS, name) &&
    SYSTEM_COLUMNS[name as keyof typeof SYSTEM_COLUMNS] === type
  );
}

/** The columns of the primary key, in its order; none when there is no key, or when a part of it is hidden. */
export function keyColumns(table: Table): readonly Column[] {
  const found = table.primaryKey.flatMap(name => findColumn(table, name) ?? []);
  return found.length === table.primaryKey.length ? found : [];
}

export function findColumn(table: Table, name: string): Column | undefined {
  return table.columns.find(column => column.name === name);
}
