import { quoteName } from '../../database/quote.ts';
import { FrameError } from '../../errors.ts';
import type { Column, Table } from '../table.ts';
import type { NewTable } from './change.ts';
import { bringsIndex, goneForGood, ownIndex, readNewColumn, writeColumn } from './change-column.ts';
import { addIndex } from './change-index.ts';
import { commentOnColumn } from './column-sql.ts';
import { addForeignKey, dropConstraint } from './constraint.ts';
import {
  alter,
  type Draft,
  type DraftTable,
  guardRows,
  heldBy,
  hiddenName,
  nameOf,
  remember,
  toDraftTable,
  touch,
} from './draft.ts';
import { sqlLiteral } from './literal.ts';
import { assertNameAt, requireDraftColumn, requireFreeTable, requireTable } from './names.ts';
import { emptyTable, tableDefinition, tableKeeper } from './new-table.ts';
import { closeToAll, hasColumnRights } from './rights.ts';

export async function createTable(draft: Draft, asked: NewTable, at: string): Promise<void> {
  assertNameAt('table', asked.name, `${at}.name`);
  requireFreeTable(draft, asked.name, `${at}.name`);
  const table = emptyTable(draft, asked);
  // Before its columns: they may refer to their own table.
  draft.tables.set(table.name, table);
  draft.relationNames.add(table.name);
  const definitions: string[] = [];
  const comments: string[] = [];
  const indexed: Column[] = [];
  for (const [i, given] of asked.columns.entries()) {
    const column = await readNewColumn(draft, table, given, `${at}.columns[${i}]`);
    const written = writeColumn(draft, table, column);
    definitions.push(...written.definitions);
    comments.push(...written.comments);
    if (bringsIndex(column)) indexed.push(column);
    table.columns.push({ ...column, unique: false, value: quoteName(column.name) });
  }
  draft.statements.push(
    tableDefinition(draft, table, definitions),
    tableKeeper(draft, table),
    ...(table.comment ? [commentOnTable(draft, table)] : []),
    ...comments,
  );
  for (const column of indexed) await addIndex(draft, table, ownIndex(column), at);
  if (hasColumnRights(table)) draft.regrants.add(table);
  remember(draft, { drop_table: { name: table.name } });
  draft.done.push(`Created the table \`${table.name}\`.`);
}

export function renameTable(draft: Draft, { from, to }: { from: string; to: string }, at: string): void {
  const table = requireTable(draft, from, `${at}.from`);
  requireFreeTable(draft, to, `${at}.to`);
  alter(draft, table, `rename to ${quoteName(to)}`);
  renameInDraft(draft, table, to);
  remember(draft, { rename_table: { from: to, to: from } });
  draft.done.push(`Renamed the table \`${from}\` to \`${to}\`.`);
}

/** Moves it aside with its rows, indexes and checks. Its references go: what is hidden must not hold back other rows. */
export async function dropTable(draft: Draft, { name }: { name: string }, at: string): Promise<void> {
  const table = requireTable(draft, name, `${at}.name`);
  const hidden = hiddenName(draft);
  refuseReferenced(draft, table, at);
  const rows = await guardRows(draft, table, 'true');
  const kept = factsOfTable(table);
  for (const { name: reference } of kept.references) dropConstraint(draft, table, reference);
  closeToAll(draft, table);
  alter(draft, table, `rename to ${quoteName(hidden)}`);
  draft.tables.delete(name);
  draft.hiddenTables.set(hidden, {
    ...table,
    columns: new Map(table.columns.map(column => [column.name, heldBy(column)])),
  });
  draft.relationNames.delete(name);
  draft.moves.push({ drop: { kind: 'table', table: name, column: undefined, hidden } });
  draft.rowsAffected += rows;
  remember(draft, { undrop_table: { hidden, table: kept } });
  draft.done.push(`Dropped the table \`${name}\` with ${rows} rows.`);
}

export async function undropTable(
  draft: Draft,
  { hidden, table: kept }: { hidden: string; table: Table },
  at: string,
): Promise<void> {
  const was = draft.hiddenTables.get(hidden);
  if (!was) throw goneForGood(kept.name);
  requireFreeTable(draft, kept.name, at);
  draft.hiddenTables.delete(hidden);
  const table = toDraftTable({ ...kept, references: [] }, was.origin, was.hiddenColumns);
  for (const column of table.columns) Object.assign(column, was.columns.get(column.name));
  alter(draft, { ...table, name: hidden }, `rename to ${quoteName(kept.name)}`);
  draft.tables.set(kept.name, table);
  draft.relationNames.add(kept.name);
  for (const { name, columns, table: target } of kept.references) {
    const [column = ''] = columns;
    await addForeignKey(draft, table, { name, column, target, path: at, isReturning: true });
  }
  draft.regrants.add(table);
  draft.moves.push({ undrop: { hidden } });
  remember(draft, { drop_table: { name: kept.name } });
  draft.done.push(`Brought back the table \`${kept.name}\`.`);
}

export function comment(
  draft: Draft,
  { table: name, column: columnName, text }: { table: string; column?: string | undefined; text: string },
  at: string,
): void {
  const table = requireTable(draft, name, `${at}.table`);
  touch(draft, table);
  if (columnName === undefined) {
    remember(draft, { comment: { table: name, text: table.comment ?? '' } });
    table.comment = text.trim() || undefined;
    draft.statements.push(commentOnTable(draft, table));
  } else {
    const column = requireDraftColumn(table, columnName, `${at}.column`);
    remember(draft, { comment: { table: name, column: columnName, text: column.comment ?? '' } });
    column.comment = text.trim() || undefined;
    draft.statements.push(commentOnColumn(draft.place.schema, name, column));
  }
  draft.done.push(`Commented \`${[name, columnName].filter(Boolean).join('.')}\`.`);
}

// Private

function commentOnTable(draft: Draft, table: DraftTable): string {
  return `comment on table ${nameOf(draft, table)} is ${table.comment ? sqlLiteral(table.comment) : 'null'}`;
}

function renameInDraft(draft: Draft, table: DraftTable, to: string): void {
  const from = table.name;
  draft.tables.delete(from);
  draft.tables.set(to, table);
  draft.relationNames.delete(from);
  draft.relationNames.add(to);
  table.name = to;
  for (const other of draft.tables.values()) {
    other.references = other.references.map(known => (known.table === from ? { ...known, table: to } : known));
    for (const column of other.columns) if (column.references === from) column.references = to;
  }
}

function refuseReferenced(draft: Draft, table: DraftTable, at: string): void {
  const referring = [...draft.tables.values()]
    .filter(other => other !== table)
    .flatMap(other => other.references.filter(known => known.table === table.name).map(known => ({ other, known })))
    .map(({ other, known }) => `\`${other.name}.${known.columns.join(', ')}\``);
  if (referring.length === 0) return;
  throw new FrameError(
    'row/still-referenced',
    `\`${at}\`: \`${table.name}\` is referred to by ${referring.join(' and ')}.`,
    {
      hint: 'Drop these columns or tables in the same plan, before it.',
      nextTool: 'plan_change',
    },
  );
}

/** What has to be known to bring it back. */
function factsOfTable({ origin: _, hiddenColumns: __, columns, references, ...table }: DraftTable): Table {
  return {
    ...table,
    columns: columns.map(({ value: ___, isFresh: ____, ...column }) => column),
    // Those of several columns were made elsewhere and stay on it.
    references: references.filter(reference => reference.columns.length === 1),
  };
}
