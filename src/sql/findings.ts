/** A table as a query may see it. */
export interface SqlTable {
  name: string;
  /** What may be read, in order. */
  columns: readonly string[];
  /** What is known and may not be read here. */
  sealed: readonly string[];
  /** There are columns that may not be read, sealed or not known at all: `*` would ask for them. */
  isPartial: boolean;
  /** How many there are, as far as Postgres knows. */
  rows: number | undefined;
}

/** What stands in FROM under one name. */
export type Source =
  | { kind: 'table'; table: SqlTable; columns: readonly string[] }
  /** A subquery, a CTE or a join: its row is a record. */
  | { kind: 'query' }
  /** Its row may be a plain value. */
  | { kind: 'function'; columns: readonly string[] };

/** A column, as the query names it. */
export interface Reference {
  qualifier: string | undefined;
  name: string;
  /** In bytes. */
  at: number;
}

/** One SELECT of the query; those of WITH stand beside the one that they are written for. */
export interface Scope {
  parent: Scope | undefined;
  /** As the grammar gives it. */
  from: unknown;
  /** References that stand alone in the list of what is selected, and may be written out there. */
  listed: ReadonlySet<unknown>;
}

/** `*`, `t.*` or NATURAL: columns are meant that are not named. */
export interface Star {
  scope: Scope;
  qualifier: string | undefined;
  /** In bytes. */
  at: number;
  /** Alone in the list of a SELECT that groups. */
  isListed: boolean;
  /** What TABLE stands for: nowhere in the text. */
  isTable: boolean;
}

export interface NamedJoin {
  alias: string;
  renamesColumns: boolean;
}

/** A table in FROM, as it stands in the text. */
export interface TableUse {
  table: SqlTable;
  scope: Scope;
  /** In bytes: where its name begins. */
  at: number;
  alias: string | undefined;
  /** Of the joins that it is a part of. */
  joinAliases: readonly string[];
  renamesColumns: boolean;
}

/** What a query consists of. */
export interface Findings {
  uses: TableUse[];
  sources: Map<string, Source[]>;
  references: Reference[];
  /** Names that the query itself gives to columns. */
  declared: Set<string>;
  stars: Star[];
  /** Of each table, subquery and function in FROM, the SELECT that it stands in. */
  fromItems: Scope[];
}

/** The tables of a query, each once. */
export function tablesOf({ uses }: Findings): SqlTable[] {
  return [...new Set(uses.map(({ table }) => table))];
}

/** Where in the tree of a query we are, and what is known there. */
export interface Spot {
  text: string;
  /** In bytes: the nearest place that is known. */
  at: number;
  depth: number;
  /** What a name of a table may mean here before it means a table. */
  ctes: ReadonlySet<string>;
  scope: Scope;
  /** The joins around it that have a name. */
  joins: readonly NamedJoin[];
  tables: ReadonlyMap<string, SqlTable>;
  findings: Findings;
}
