import { FrameError } from '../../errors.ts';
import type { Column, Table } from '../table.ts';
import { goneForGood, undropColumn } from './change-column.ts';
import { undropTable } from './change-table.ts';
import { freeConstraint } from './constraint.ts';
import type { Draft, DraftTable } from './draft.ts';
import { freeName, requireFreeColumn, requireFreeTable } from './names.ts';
import { type ColumnFacts, oppositeKey, shorten, type Undo } from './undo.ts';

export interface Only {
  table: string;
  column?: string | undefined;
}

/**
 * One thing that was dropped after `version`, alone: all that has changed since stays as it is. Its values are as they
 * were. What stood around it comes back where the names still mean the same, and otherwise is told to be missing.
 */
export async function restoreOnly(draft: Draft, version: number, only: Only, at: string): Promise<void> {
  const steps = await draft.readSteps(version);
  const known = steps.filter(step => (only.column === undefined ? isTable(step, only) : isColumn(draft, step, only)));
  // Of several things of one name: what there was at that version.
  const step = known.findLast(found => isKept(draft, found));
  if (!step) throw notThere(draft, known, only, at);
  // What was taken back since, in this plan too, has changed nothing.
  const names = namesChangedBy(shorten([...draft.undo, ...steps.slice(0, steps.indexOf(step))]));
  // The history finds it again under the hidden name that this key gives.
  draft.nextKey = oppositeKey(step.key);
  if ('undrop_column' in step) await bringColumn(draft, step.undrop_column, names, at);
  if ('undrop_table' in step) await bringTable(draft, step.undrop_table, names, at);
  draft.nextKey = undefined;
}

// Private

function isTable(step: Undo, { table }: Only): boolean {
  return 'undrop_table' in step && step.undrop_table.table.name === table;
}

/** Its table may be named as it was then, or as it is now. */
function isColumn(draft: Draft, step: Undo, { table, column }: Only): boolean {
  if (!('undrop_column' in step) || step.undrop_column.facts.column.name !== column) return false;
  return step.undrop_column.table === table || holderOf(draft, step.undrop_column.hidden)?.name === table;
}

function isKept(draft: Draft, step: Undo): boolean {
  if ('undrop_table' in step) return draft.hiddenTables.has(step.undrop_table.hidden);
  return 'undrop_column' in step && holderOf(draft, step.undrop_column.hidden) !== undefined;
}

function holderOf({ tables }: Draft, hidden: string): DraftTable | undefined {
  return [...tables.values()].find(({ hiddenColumns }) => hiddenColumns.has(hidden));
}

/** Names of tables and columns that may mean something else since, whosever they are. */
function namesChangedBy(steps: readonly Undo[]): ReadonlySet<string> {
  return new Set(
    steps.flatMap(step => {
      if ('rename_table' in step) return Object.values(step.rename_table);
      if ('drop_table' in step) return step.drop_table.name;
      if ('undrop_table' in step) return step.undrop_table.table.name;
      if ('rename_column' in step) return [step.rename_column.from, step.rename_column.to];
      if ('drop_column' in step) return step.drop_column.column;
      return 'undrop_column' in step ? step.undrop_column.facts.column.name : [];
    }),
  );
}

async function bringColumn(
  draft: Draft,
  { table: then, hidden, facts }: { table: string; hidden: string; facts: ColumnFacts },
  changed: ReadonlySet<string>,
  at: string,
): Promise<void> {
  const table = holderOf(draft, hidden);
  if (!table) throw goneForGood(`${then}.${facts.column.name}`);
  const own = facts.column.references === then ? table.name : undefined;
  const column = own ? { ...facts.column, references: own } : withReference(draft, table.name, facts.column, changed);
  const stays = (name: string) => !changed.has(name) && table.columns.some(other => other.name === name);
  const indexes = facts.indexes.flatMap(index => {
    const words = index.columns.map(name => `\`${name}\``).join(' and ');
    if (!index.columns.every(name => name === column.name || stays(name))) {
      draft.warnings.add(`The index \`${index.name}\` on ${words} does not come back: these are not what they were.`);
      return [];
    }
    const isTaken = (name: string) => draft.relationNames.has(name);
    const free = () => freeName([table.name, ...index.columns], index.unique ? 'key' : 'idx', isTaken);
    return [isTaken(index.name) ? { ...index, name: free() } : index];
  });
  const named = [...table.checks, ...table.references, ...table.indexes].map(({ name }) => name);
  const freeOf = (name: string | undefined, ending: string) =>
    name !== undefined && named.includes(name) ? freeConstraint(table, column.name, ending) : name;
  const [check, reference] = [freeOf(facts.check, 'check'), freeOf(facts.reference, 'fkey')];
  await undropColumn(draft, { table: table.name, hidden, facts: { column, check, reference, indexes } }, at);
}

async function bringTable(
  draft: Draft,
  { hidden, table: kept }: { hidden: string; table: Table },
  changed: ReadonlySet<string>,
  at: string,
): Promise<void> {
  const columns = kept.columns.map(column =>
    column.references === kept.name ? column : withReference(draft, kept.name, column, changed),
  );
  const isThere = (name: string | undefined) => columns.some(column => column.name === name && column.references);
  const references = kept.references.filter(known => isThere(known.columns[0]));
  await undropTable(draft, { hidden, table: { ...kept, columns, references } }, at);
}

/** Without its reference where the table is not there, or may be another one. */
function withReference(draft: Draft, table: string, column: Column, changed: ReadonlySet<string>): Column {
  const { references: target, name } = column;
  if (target === undefined || (draft.tables.has(target) && !changed.has(target))) return column;
  draft.warnings.add(`\`${table}.${name}\` comes back without its reference: \`${target}\` is not what it was.`);
  return { ...column, type: column.type === 'reference' ? 'uuid' : column.type, references: undefined };
}

function notThere(draft: Draft, known: readonly Undo[], { table, column }: Only, at: string): FrameError {
  const what = column === undefined ? table : `${table}.${column}`;
  const hint = 'Every answer of `plan_change` lists under `restorable` what can be brought back, and to which version.';
  const fail = (why: string) => new FrameError('plan/not-restorable', `\`${at}\`: ${why}`, { hint });
  if (known.length === 0) return fail(`\`${what}\` was not dropped after this version.`);
  const isInside = (step: Undo) =>
    'undrop_column' in step &&
    [...draft.hiddenTables.values()].some(({ hiddenColumns }) => hiddenColumns.has(step.undrop_column.hidden));
  if (known.some(isInside)) return fail(`the table \`${table}\` is dropped too. Bring it back first.`);
  const found = draft.tables.get(table);
  if (found && column !== undefined) requireFreeColumn(found, column, at);
  if (column === undefined) requireFreeTable(draft, table, at);
  return goneForGood(what);
}
