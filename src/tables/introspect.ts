import { createHash } from 'node:crypto';
import { columnTypeOf, postgresTypeOf } from './column-type.ts';
import { readCheckComment, readColumnComment } from './comment.ts';
import { readDefault } from './default.ts';
import { isHiddenColumn, isHiddenTable } from './name.ts';
import { sealOf } from './seal.ts';
import {
  type Column,
  type Index,
  isSystemColumn,
  type NamedCheck,
  type Reference,
  type SchemaSnapshot,
  type Table,
} from './table.ts';

/**
 * Reads one schema from pg_catalog: information_schema costs ten times as much with many schemas.
 * One row, two texts of JSON: the structure, in a fixed order, and the row estimates; no row for a missing schema.
 */
export const CATALOG_QUERY = `
with home as (select oid from pg_catalog.pg_namespace where nspname = $1::text),
tables as (
  select c.oid, c.relname, c.reltuples from pg_catalog.pg_class c join home on c.relnamespace = home.oid
  where c.relkind = 'r'
)
select
  json_build_object(
    'tables', (
      select coalesce(json_agg(json_build_object(
        'oid', t.oid::text, 'name', t.relname, 'comment', d.description
      ) order by t.relname collate "C"), '[]')
      from tables t
      left join pg_catalog.pg_description d
        on d.objoid = t.oid and d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid = 0
    ),
    'columns', (
      select coalesce(json_agg(json_build_object(
        'table', a.attrelid::text, 'number', a.attnum, 'name', a.attname,
        'type', pg_catalog.format_type(a.atttypid, a.atttypmod),
        'cast', pg_catalog.format_type(a.atttypid, -1), 'required', a.attnotnull,
        'generated', a.attidentity <> '' or a.attgenerated <> '',
        'default', pg_catalog.pg_get_expr(f.adbin, f.adrelid), 'comment', d.description
      ) order by a.attrelid, a.attnum), '[]')
      from tables t
      join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
      left join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
      left join pg_catalog.pg_description d
        on d.objoid = a.attrelid and d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid = a.attnum
    ),
    'constraints', (
      select coalesce(json_agg(json_build_object(
        'table', k.conrelid::text, 'name', k.conname, 'kind', k.contype, 'columns', k.conkey,
        'target', k.confrelid::text, 'index', k.conindid::text, 'comment', d.description
      ) order by k.conrelid, k.conname collate "C"), '[]')
      from tables t
      join pg_catalog.pg_constraint k on k.conrelid = t.oid and k.contype in ('p', 'u', 'f', 'c')
      left join pg_catalog.pg_description d
        on d.objoid = k.oid and d.classoid = 'pg_catalog.pg_constraint'::regclass and d.objsubid = 0
    ),
    'indexes', (
      select coalesce(json_agg(json_build_object(
        'table', i.indrelid::text, 'oid', i.indexrelid::text, 'name', c.relname, 'unique', i.indisunique,
        'partial', i.indpred is not null, 'columns', (i.indkey::int2[])[0:i.indnkeyatts - 1]
      ) order by i.indrelid, c.relname collate "C"), '[]')
      from tables t
      join pg_catalog.pg_index i on i.indrelid = t.oid and i.indisvalid
      join pg_catalog.pg_class c on c.oid = i.indexrelid
    )
  )::text,
  (select coalesce(json_object_agg(relname, reltuples), '{}') from tables)::text
from home`;

/** From the texts of CATALOG_QUERY. */
export function readSnapshot(schema: string, structure: string, estimates: string, loadedAt: number): SchemaSnapshot {
  const rows: CatalogRows = JSON.parse(structure);
  const rowEstimates: Record<string, number> = JSON.parse(estimates);
  const columns = Map.groupBy(rows.columns, ({ table }) => table);
  const constraints = Map.groupBy(rows.constraints, ({ table }) => table);
  const indexes = Map.groupBy(rows.indexes, ({ table }) => table);
  const shown = new Map(rows.tables.filter(({ name }) => !isHiddenTable(name)).map(table => [table.oid, table]));
  const nameOf = (oid: string) => shown.get(oid)?.name ?? [];
  return {
    tables: [...shown].map(([oid, { name, comment }]) => ({
      schema,
      name,
      comment: comment ?? undefined,
      ...readParts(columns.get(oid) ?? [], constraints.get(oid) ?? [], indexes.get(oid) ?? [], shown),
      rowEstimate: readEstimate(rowEstimates[name]),
    })),
    partial: new Set(rows.columns.flatMap(({ table, name }) => (isHiddenColumn(name) ? nameOf(table) : []))),
    fingerprint: createHash('sha256').update(structure).digest('base64url'),
    loadedAt,
  };
}

// Private

interface CatalogRows {
  tables: TableRow[];
  columns: ColumnRow[];
  constraints: ConstraintRow[];
  indexes: IndexRow[];
}

interface TableRow {
  oid: string;
  name: string;
  comment: string | null;
}

interface ColumnRow {
  table: string;
  number: number;
  name: string;
  type: string;
  cast: string;
  required: boolean;
  generated: boolean;
  default: string | null;
  comment: string | null;
}

interface ConstraintRow {
  table: string;
  name: string;
  kind: 'p' | 'u' | 'f' | 'c';
  columns: number[] | null;
  target: string;
  index: string;
  comment: string | null;
}

interface IndexRow {
  table: string;
  oid: string;
  name: string;
  unique: boolean;
  partial: boolean;
  columns: number[];
}

/** Postgres says -1 until it has counted. */
function readEstimate(rows: number | undefined): number | undefined {
  return rows !== undefined && rows >= 0 ? rows : undefined;
}

function readParts(
  columnRows: readonly ColumnRow[],
  constraints: readonly ConstraintRow[],
  indexRows: readonly IndexRow[],
  shown: ReadonlyMap<string, TableRow>,
): Pick<Table, 'columns' | 'primaryKey' | 'indexes' | 'checks' | 'references'> {
  const sealedBy = new Map(columnRows.map(column => [sealedOf(column)?.seal.companion, column.name]));
  const nameOf = (number: number) => {
    const name = columnRows.find(column => column.number === number)?.name ?? '';
    return sealedBy.get(name) ?? name;
  };
  const namesOf = (numbers: number[] | null) => (numbers ?? []).map(nameOf);

  const references: Reference[] = constraints
    .filter(({ kind }) => kind === 'f')
    .flatMap(({ name, columns, target }) => {
      const table = shown.get(target)?.name;
      return table === undefined ? [] : [{ name, columns: namesOf(columns), table }];
    });
  const checks: NamedCheck[] = constraints
    .filter(({ kind }) => kind === 'c')
    .map(({ name, columns, comment }) => ({
      name,
      column: columns?.length === 1 ? nameOf(columns[0] ?? 0) : undefined,
      check: readCheckComment(comment),
    }));
  const indexes: Index[] = indexRows.map(({ oid, name, unique, columns }) => ({
    name,
    columns: columns.includes(0) ? [] : namesOf(columns),
    unique,
    isConstraint: constraints.some(({ kind, index }) => kind !== 'f' && index === oid),
  }));
  const isUnique = ({ name }: ColumnRow) =>
    indexRows.some(
      ({ unique, partial, columns: [number = 0, ...others] }) =>
        unique && !partial && others.length === 0 && nameOf(number) === name,
    );

  return {
    columns: columnRows
      .filter(({ name }) => !isHiddenColumn(name))
      .map(row => readColumn(row, isUnique(row), references, checks)),
    primaryKey: namesOf(constraints.find(({ kind }) => kind === 'p')?.columns ?? null),
    indexes,
    checks,
    references,
  };
}

function readColumn(
  row: ColumnRow,
  unique: boolean,
  references: readonly Reference[],
  checks: readonly NamedCheck[],
): Column {
  const target = references.find(({ columns }) => columns.length === 1 && columns[0] === row.name)?.table;
  const { text, mark } = readColumnComment(row.comment);
  const sealed = sealedOf(row);
  const type = sealed?.type ?? columnTypeOf(row.cast, target !== undefined);
  return {
    name: row.name,
    type,
    postgresType: sealed ? postgresTypeOf(sealed.type) : row.type,
    castType: sealed ? postgresTypeOf(sealed.type) : row.cast,
    required: row.required,
    unique,
    default: row.default === null ? undefined : readDefault(row.default, type),
    check: checks.find(({ column, check }) => column === row.name && check)?.check,
    references: target,
    comment: text,
    pii: mark?.kind,
    seal: sealed?.seal,
    isProtected: row.generated || isSystemColumn(row.name, type),
  };
}

/** A mark alone makes no sealed column: its values must be of the type of cells too. */
function sealedOf({ comment, cast }: ColumnRow) {
  const { mark } = readColumnComment(comment);
  if (!mark?.sealed || cast !== 'bytea') return undefined;
  return { type: mark.sealed.type, seal: sealOf(mark.kind, mark.sealed.type, mark.sealed) };
}
