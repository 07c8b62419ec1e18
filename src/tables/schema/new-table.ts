import { quoteName } from '../../database/quote.ts';
import { type ColumnType, postgresTypeOf } from '../column-type.ts';
import { quoteQualified } from '../quote.ts';
import { type Column, SYSTEM_COLUMNS, type Table } from '../table.ts';
import type { NewTable } from './change.ts';
import { type Draft, type DraftTable, nameOf, toDraftTable } from './draft.ts';
import { freeName } from './names.ts';

/** With its key and the columns that every table has, and not yet those that were asked for. */
export function emptyTable(draft: Draft, { name, comment: text }: NewTable): DraftTable {
  const key = freeName([name], 'pkey', taken => draft.relationNames.has(taken));
  draft.relationNames.add(key);
  const table: Table = {
    schema: draft.place.schema,
    name,
    comment: text?.trim() || undefined,
    columns: Object.entries(SYSTEM_COLUMNS).map(([column, type]) => systemColumn(column, type)),
    primaryKey: ['id'],
    indexes: [{ name: key, columns: ['id'], unique: true, isConstraint: true }],
    checks: [],
    references: [],
    rowEstimate: undefined,
  };
  return toDraftTable(table, undefined);
}

/** `own` are the definitions of the columns that were asked for. */
export function tableDefinition(draft: Draft, table: DraftTable, own: readonly string[]): string {
  const [key] = table.indexes;
  const lines = [
    `"id" uuid constraint ${quoteName(key?.name ?? '')} primary key default ${quoteQualified(draft.place.schema, '_uuid7')}()`,
    ...own,
    '"created_at" timestamp with time zone not null default now()',
    '"updated_at" timestamp with time zone not null default now()',
    '"created_by" text',
  ];
  return `create table ${nameOf(draft, table)} (\n  ${lines.join(',\n  ')}\n)`;
}

/** The database keeps the system columns, whatever is sent. */
export function tableKeeper(draft: Draft, table: DraftTable): string {
  const keep = `${quoteQualified(draft.place.schema, '_touch')}()`;
  return `create trigger "_touch" before insert or update on ${nameOf(draft, table)} for each row execute function ${keep}`;
}

// Private

function systemColumn(name: string, type: ColumnType): Column {
  return {
    name,
    type,
    postgresType: postgresTypeOf(type),
    castType: postgresTypeOf(type),
    required: name !== 'created_by',
    unique: name === 'id',
    default: undefined,
    check: undefined,
    references: undefined,
    comment: undefined,
    pii: undefined,
    seal: undefined,
    isProtected: true,
  };
}
