import { quoteName } from '../../database/quote.ts';
import { didYouMean } from '../../did-you-mean.ts';
import { FrameError } from '../../errors.ts';
import { invalidArgument } from '../argument.ts';
import { quoteQualified } from '../quote.ts';
import { indexedColumnOf } from '../seal.ts';
import type { Index } from '../table.ts';
import { unindexable } from './change-seal.ts';
import { type Draft, type DraftTable, nameOf, remember, touch } from './draft.ts';
import { freeName, requireDraftColumn, requireTable } from './names.ts';

export async function createIndex(
  draft: Draft,
  { table: name, columns, unique = false }: { table: string; columns: readonly string[]; unique?: boolean | undefined },
  at: string,
): Promise<void> {
  const table = requireTable(draft, name, `${at}.table`);
  for (const [i, column] of columns.entries()) requireDraftColumn(table, column, `${at}.columns[${i}]`);
  if (new Set(columns).size < columns.length) throw invalidArgument(`${at}.columns`, 'name each column once.');
  const same = table.indexes.find(index => index.columns.join() === columns.join() && (index.unique || !unique));
  if (same) throw new FrameError('table/exists', `\`${at}\`: the index \`${same.name}\` does this already.`);
  const index = await addIndex(draft, table, { columns, unique }, at);
  remember(draft, { drop_index: { table: table.name, index: index.name } });
  draft.done.push(`Created the index \`${index.name}\` on \`${table.name}\`.`);
}

export function dropIndex(draft: Draft, { table: name, index }: { table: string; index: string }, at: string): void {
  const table = requireTable(draft, name, `${at}.table`);
  const found = table.indexes.find(candidate => candidate.name === index);
  if (!found) throw noSuchIndex(table, index, `${at}.index`);
  if (found.isConstraint || found.columns.length === 0) {
    throw new FrameError('table/column-protected', `\`${at}.index\`: \`${index}\` is kept by the database as it is.`);
  }
  removeIndex(draft, table, found);
  remember(draft, { create_index: { table: table.name, index: found } });
  draft.done.push(`Dropped the index \`${index}\` of \`${table.name}\`.`);
}

/** As it was, under its old name. */
export async function putIndex(
  draft: Draft,
  { table, index }: { table: string; index: Index },
  at: string,
): Promise<void> {
  await addIndex(draft, requireTable(draft, table, at), index, at);
  remember(draft, { drop_index: { table, index: index.name } });
  draft.done.push(`Created the index \`${index.name}\` on \`${table}\` again.`);
}

/** Refuses a unique index over values that occur more than once. */
export async function addIndex(
  draft: Draft,
  table: DraftTable,
  { columns, unique, name: wanted }: { columns: readonly string[]; unique: boolean; name?: string },
  at: string,
): Promise<Index> {
  const keys = columns.map(name => quoteName(requireIndexable(table, name, at))).join(', ');
  if (unique) await refuseDuplicates(draft, table, columns, at);
  const name =
    wanted ?? freeName([table.name, ...columns], unique ? 'key' : 'idx', taken => draft.relationNames.has(taken));
  draft.relationNames.add(name);
  touch(draft, table, true);
  draft.statements.push(
    `create ${unique ? 'unique ' : ''}index ${quoteName(name)} on ${nameOf(draft, table)} (${keys})`,
  );
  const index: Index = { name, columns: [...columns], unique, isConstraint: false };
  table.indexes.push(index);
  markUnique(table);
  return index;
}

export function removeIndex(draft: Draft, table: DraftTable, index: Index): void {
  touch(draft, table);
  const name = quoteQualified(draft.place.schema, index.name);
  draft.statements.push(
    index.isConstraint
      ? `alter table ${nameOf(draft, table)} drop constraint ${quoteName(index.name)}`
      : `drop index ${name}`,
  );
  table.indexes = table.indexes.filter(candidate => candidate !== index);
  draft.relationNames.delete(index.name);
  markUnique(table);
}

// Private

function markUnique(table: DraftTable): void {
  const isAlone = (name: string) => table.indexes.some(({ unique, columns }) => unique && columns.join() === name);
  for (const column of table.columns) column.unique = isAlone(column.name);
}

async function refuseDuplicates(
  draft: Draft,
  table: DraftTable,
  columns: readonly string[],
  at: string,
): Promise<void> {
  if (table.origin === undefined) return;
  const found = columns.map(name => requireDraftColumn(table, name, at));
  // What this very plan seals or opens is first seen by the index itself.
  if (found.some(({ isFresh }) => isFresh)) return;
  const values = found.map(({ seal, value }, i) => `${seal ? quoteName(seal.companion) : value} as v${i}`).join(', ');
  const keys = columns.map((_, i) => `v${i}`);
  const repeated = await draft.count(`select count(*) from (
    select from (select ${values} from ${quoteQualified(draft.place.schema, table.origin)}) as counted
    where ${keys.map(key => `${key} is not null`).join(' and ')} group by ${keys.join(', ')} having count(*) > 1
  ) as repeated`);
  if (!repeated) return;
  const what = columns.map(name => `\`${name}\``).join(' and ');
  throw new FrameError('row/duplicate', `\`${at}\`: ${repeated} values of ${what} occur more than once.`, {
    hint: 'Make them different first, or do without unique.',
    nextTool: 'select_rows',
  });
}

/** The column of the database that stands for this one in an index. */
function requireIndexable(table: DraftTable, name: string, at: string): string {
  const column = requireDraftColumn(table, name, at);
  const indexed = indexedColumnOf(column);
  if (indexed !== undefined) return indexed;
  throw unindexable(column.pii, column.type, at);
}

function noSuchIndex(table: DraftTable, name: string, path: string): FrameError {
  const names = table.indexes.map(index => index.name);
  const guess = didYouMean(name, names);
  return new FrameError(
    'table/no-such-index',
    `\`${path}\`: \`${table.name}\` has no index \`${name}\`${guess ? `; did you mean \`${guess}\`?` : '.'}`,
    { hint: `Its indexes: ${names.join(', ') || 'none'}.`, nextTool: 'describe_tables' },
  );
}
