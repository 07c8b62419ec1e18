import { isDeepStrictEqual } from 'node:util';
import { quoteName } from '../../database/quote.ts';
import { FrameError } from '../../errors.ts';
import { invalidArgument } from '../argument.ts';
import { isSealed, storedTypeOf } from '../seal.ts';
import type { Column, Index } from '../table.ts';
import { type ColumnSettings, MAX_COLUMNS, type NewColumn } from './change.ts';
import { addIndex, removeIndex } from './change-index.ts';
import { newSeal, sealAfter, unindexable } from './change-seal.ts';
import { bareColumn, factsOf } from './column-facts.ts';
import { columnComments, columnDefinitions, defaultSql } from './column-sql.ts';
import { freeConstraint } from './constraint.ts';
import { alter, countRows, type Draft, type DraftTable, guardRows, heldBy, hiddenName, remember } from './draft.ts';
import { assertNameAt, freeName, requireFreeColumn, requireOwnColumn, requireTable } from './names.ts';
import { toColumn, withSettings } from './new-column.ts';
import { reshape } from './reshape.ts';
import { hasColumnRights } from './rights.ts';
import { tryColumn } from './try-column.ts';
import type { ColumnFacts } from './undo.ts';

export async function addColumn(draft: Draft, asked: { table: string; column: NewColumn }, at: string): Promise<void> {
  const table = requireTable(draft, asked.table, `${at}.table`);
  const column = await readNewColumn(draft, table, asked.column, `${at}.column`);
  await refuseForRows(draft, table, column, `${at}.column`);
  const { definitions, comments } = writeColumn(draft, table, column);
  const additions = definitions.map(definition => `add column ${definition}`);
  alter(draft, table, additions.join(', '), { reads: needsEveryRow(column) });
  draft.statements.push(...comments);
  const value = column.default
    ? defaultSql(draft.place.schema, column, column.default)
    : `null::${storedTypeOf(column)}`;
  table.columns.push({ ...column, unique: false, value, isFresh: isSealed(column) });
  if (bringsIndex(column)) await addIndex(draft, table, ownIndex(column), `${at}.column.unique`);
  if (hasColumnRights(table)) draft.regrants.add(table);
  remember(draft, { drop_column: { table: table.name, column: column.name } });
  draft.done.push(`Added the column \`${table.name}.${column.name}\`.`);
}

export async function alterColumn(
  draft: Draft,
  { table: name, column: columnName, set }: { table: string; column: string; set: ColumnSettings },
  at: string,
): Promise<void> {
  const table = requireTable(draft, name, `${at}.table`);
  const column = requireOwnColumn(table, columnName, `${at}.column`);
  const before = factsOf(table, column);
  const wanted = withSettings(draft, before.column, set, `${at}.set`);
  const after = { ...wanted, seal: sealAfter(table, before.column, wanted, set.pii, `${at}.set`) };
  if (isDeepStrictEqual(after, before.column)) throw invalidArgument(`${at}.set`, 'this changes nothing.');
  await tryColumn(draft, after, `${at}.set`);
  const indexes = indexesAfter(draft, table, before, after, `${at}.set`);
  const lost = await reshape(draft, table, column, { column: after, indexes }, `${at}.set`);
  const lossy = `the change of \`${name}.${columnName}\` to ${after.type} lost detail of ${lost} values`;
  remember(draft, { put_column: { table: name, facts: before } }, lost > 0 ? lossy : undefined);
  draft.done.push(`Changed the column \`${name}.${columnName}\`: ${Object.keys(set).join(', ')}.`);
}

/** A column as it was before it was altered. */
export async function putColumn(
  draft: Draft,
  { table: name, facts }: { table: string; facts: ColumnFacts },
  at: string,
): Promise<void> {
  const table = requireTable(draft, name, at);
  const column = requireOwnColumn(table, facts.column.name, at);
  const before = factsOf(table, column);
  const lost = await reshape(draft, table, column, facts, at);
  const lossy = `going back on \`${name}.${column.name}\` lost detail of ${lost} values`;
  remember(draft, { put_column: { table: name, facts: before } }, lost > 0 ? lossy : undefined);
  draft.done.push(`Changed the column \`${name}.${column.name}\` back.`);
}

export function renameColumn(
  draft: Draft,
  { table: name, from, to }: { table: string; from: string; to: string },
  at: string,
): void {
  const table = requireTable(draft, name, `${at}.table`);
  requireOwnColumn(table, from, `${at}.from`);
  requireFreeColumn(table, to, `${at}.to`);
  alter(draft, table, `rename column ${quoteName(from)} to ${quoteName(to)}`);
  renameInDraft(table, from, to);
  remember(draft, { rename_column: { table: name, from: to, to: from } });
  draft.done.push(`Renamed the column \`${name}.${from}\` to \`${to}\`.`);
}

/** Moves it aside: its values stay for some days, and rows without them can be inserted. */
export async function dropColumn(
  draft: Draft,
  { table: name, column: columnName }: { table: string; column: string },
  at: string,
): Promise<void> {
  const table = requireTable(draft, name, `${at}.table`);
  const column = requireOwnColumn(table, columnName, `${at}.column`);
  const facts = factsOf(table, column);
  const hidden = hiddenName(draft);
  const values = await guardRows(draft, table, 'value is not null', column.value);
  await reshape(draft, table, column, { column: bareColumn(facts.column), indexes: [] }, at);
  const covering = table.indexes.filter(({ columns }) => columns.includes(columnName));
  for (const index of covering) removeIndex(draft, table, index);
  alter(draft, table, `rename column ${quoteName(columnName)} to ${quoteName(hidden)}`);
  table.columns = table.columns.filter(other => other !== column);
  table.hiddenColumns.set(hidden, heldBy(column));
  draft.regrants.add(table);
  draft.moves.push({ drop: { kind: 'column', table: name, column: columnName, hidden } });
  draft.rowsAffected += values;
  remember(draft, { undrop_column: { table: name, hidden, facts } });
  draft.done.push(`Dropped the column \`${name}.${columnName}\` with ${values} values.`);
}

export async function undropColumn(
  draft: Draft,
  { table: name, hidden, facts }: { table: string; hidden: string; facts: ColumnFacts },
  at: string,
): Promise<void> {
  const table = requireTable(draft, name, at);
  const { name: columnName } = facts.column;
  const held = table.hiddenColumns.get(hidden);
  if (!held) throw goneForGood(`${name}.${columnName}`);
  requireFreeColumn(table, columnName, at);
  table.hiddenColumns.delete(hidden);
  alter(draft, table, `rename column ${quoteName(hidden)} to ${quoteName(columnName)}`);
  const column = { ...bareColumn(facts.column), ...held };
  table.columns.push(column);
  await reshape(draft, table, column, facts, at, true);
  for (const index of facts.indexes) {
    if (!table.indexes.some(known => known.name === index.name)) await addIndex(draft, table, index, at);
  }
  draft.regrants.add(table);
  draft.moves.push({ undrop: { hidden } });
  remember(draft, { drop_column: { table: name, column: columnName } });
  draft.done.push(`Brought back the column \`${name}.${columnName}\`.`);
}

/** With a name that is free and parts that fit each other. */
export async function readNewColumn(draft: Draft, table: DraftTable, asked: NewColumn, path: string): Promise<Column> {
  assertNameAt('column', asked.name, `${path}.name`);
  requireFreeColumn(table, asked.name, `${path}.name`);
  if (table.columns.length >= MAX_COLUMNS) {
    throw invalidArgument(path, `a table has at most ${MAX_COLUMNS} columns.`);
  }
  const column = toColumn(draft, asked, path);
  await tryColumn(draft, column, path);
  return { ...column, seal: column.pii && newSeal(table, column, path) };
}

/** What defines it, and the statements that complete it. Its constraints are in the draft from now on. */
export function writeColumn(
  draft: Draft,
  table: DraftTable,
  column: Column,
): { definitions: string[]; comments: string[] } {
  const check = column.check && freeConstraint(table, column.name, 'check');
  const reference = column.references && freeConstraint(table, column.name, 'fkey');
  if (check) table.checks.push({ name: check, column: column.name, check: column.check });
  if (reference && column.references) {
    table.references.push({ name: reference, columns: [column.name], table: column.references });
  }
  const words = { schema: draft.place.schema, table: table.name, column, check, reference };
  return { definitions: columnDefinitions(words), comments: columnComments(words) };
}

/** A sealed column without an index could be found by nothing but reading all of it. */
export function bringsIndex({ unique, seal }: Column): boolean {
  return unique || seal?.isIndexed === true;
}

export function ownIndex({ name, unique }: Column): { columns: string[]; unique: boolean } {
  return { columns: [name], unique };
}

export function goneForGood(what: string): FrameError {
  return new FrameError('plan/not-restorable', `What \`${what}\` held was dropped for good when its days were over.`);
}

// Private

/** Those over a column that is sealed or opened: Postgres has to make them anew, over what is there then. */
function indexesAfter(
  draft: Draft,
  table: DraftTable,
  before: ColumnFacts,
  after: Column,
  path: string,
): readonly Index[] {
  if (before.column.seal?.columnId === after.seal?.columnId) return [];
  const isAlone = ({ columns }: Index) => columns.length === 1;
  // What a sealed column was found by goes with its seal: values that lie open may be too long for an index.
  const isKept = (index: Index) => !isAlone(index) || (index.unique ? after.unique : after.seal !== undefined);
  const kept = before.indexes.filter(isKept);
  if (after.seal && !after.seal.isIndexed && kept.length > 0) throw unindexable(after.pii, after.type, `${path}.pii`);
  if (!after.seal?.isIndexed || kept.some(isAlone)) return kept;
  const name = freeName([table.name, after.name], after.unique ? 'key' : 'idx', taken =>
    draft.relationNames.has(taken),
  );
  return [...kept, { name, ...ownIndex(after), isConstraint: false }];
}

async function refuseForRows(draft: Draft, table: DraftTable, column: Column, path: string): Promise<void> {
  if (!column.required && !column.unique) return;
  const rows = await countRows(draft, table, 'true');
  if (rows > 0 && column.required && !column.default) {
    const missing = `\`${table.name}\` has ${rows} rows without a value for it.`;
    throw new FrameError('row/missing-value', `\`${path}.required\`: ${missing}`, {
      hint: 'Give it a default, which they get, or add it without required, fill it and alter it.',
    });
  }
  if (rows > 1 && column.unique && column.default && !('gen_uuid' in column.default)) {
    const same = `all ${rows} rows of \`${table.name}\` would get the same default.`;
    throw new FrameError('row/duplicate', `\`${path}.unique\`: ${same}`);
  }
}

/** A default that differs from row to row rewrites the table; a check or a reference reads it. */
function needsEveryRow({ default: value, check, references }: Column): boolean {
  return Boolean(check || references || (value && 'gen_uuid' in value));
}

function renameInDraft(table: DraftTable, from: string, to: string): void {
  const renamed = (name: string) => (name === from ? to : name);
  for (const column of table.columns) column.name = renamed(column.name);
  table.indexes = table.indexes.map(index => ({ ...index, columns: index.columns.map(renamed) }));
  table.checks = table.checks.map(check => ({ ...check, column: check.column && renamed(check.column) }));
  table.references = table.references.map(known => ({ ...known, columns: known.columns.map(renamed) }));
}
