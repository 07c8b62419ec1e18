import { FrameError } from '../../errors.ts';
import { invalidArgument } from '../argument.ts';
import type { Change } from './change.ts';
import { addColumn, alterColumn, dropColumn, putColumn, renameColumn, undropColumn } from './change-column.ts';
import { createIndex, dropIndex, putIndex } from './change-index.ts';
import { comment, createTable, dropTable, renameTable, undropTable } from './change-table.ts';
import type { Draft } from './draft.ts';
import { explainStatement } from './explain-change.ts';
import { assertNameAt } from './names.ts';
import { grantVisible } from './rights.ts';
import { oppositeKey, type Step, shorten } from './undo.ts';

/** Every change there is, one after the other on the draft. Throws at the first that cannot be, naming its place. */
export async function draftChanges(draft: Draft, changes: readonly Change[]): Promise<void> {
  for (const [i, change] of changes.entries()) {
    const at = `changes[${i}].${Object.keys(change).join()}`;
    await draftChange(draft, change, at).catch(thrown => {
      throw explainStatement(thrown, `\`${at}\``);
    });
  }
  for (const table of draft.regrants) if (draft.tables.get(table.name) === table) grantVisible(draft, table);
}

// Private

async function draftChange(draft: Draft, change: Change, at: string): Promise<void> {
  if (change.create_table) return createTable(draft, change.create_table, at);
  if (change.add_column) return addColumn(draft, change.add_column, at);
  if (change.alter_column) return alterColumn(draft, change.alter_column, at);
  if (change.rename_column) {
    assertNameAt('column', change.rename_column.to, `${at}.to`);
    return renameColumn(draft, change.rename_column, at);
  }
  if (change.drop_column) return dropColumn(draft, change.drop_column, at);
  if (change.create_index) return createIndex(draft, change.create_index, at);
  if (change.drop_index) return dropIndex(draft, change.drop_index, at);
  if (change.rename_table) {
    assertNameAt('table', change.rename_table.to, `${at}.to`);
    return renameTable(draft, change.rename_table, at);
  }
  if (change.drop_table) return dropTable(draft, change.drop_table, at);
  if (change.comment) return comment(draft, change.comment, at);
  if (change.restore_version) return restoreVersion(draft, change.restore_version, at);
}

/** The steps back of all later versions, newest first: as a new version, so that it can itself be taken back. */
async function restoreVersion(draft: Draft, { version }: { version: number }, at: string): Promise<void> {
  const current = draft.version - 1;
  if (draft.done.length > 0) throw invalidArgument(at, 'this must be the first change of its plan.');
  if (version >= current) {
    throw invalidArgument(`${at}.version`, `the schema is at version ${current}; name an earlier one.`);
  }
  draft.done.push(`Restored version ${version}.`);
  for (const step of shorten(await draft.readSteps(version))) {
    if (step.impossible) throw notRestorable(step.impossible, at);
    draft.nextKey = oppositeKey(step.key);
    await takeStep(draft, step, at).catch(thrown => {
      throw thrown instanceof FrameError ? notRestorable(thrown.message, at, thrown) : thrown;
    });
  }
  draft.nextKey = undefined;
}

async function takeStep(draft: Draft, step: Step, at: string): Promise<void> {
  if ('drop_table' in step) return dropTable(draft, step.drop_table, at);
  if ('undrop_table' in step) return undropTable(draft, step.undrop_table, at);
  if ('rename_table' in step) return renameTable(draft, step.rename_table, at);
  if ('drop_column' in step) return dropColumn(draft, step.drop_column, at);
  if ('undrop_column' in step) return undropColumn(draft, step.undrop_column, at);
  if ('rename_column' in step) return renameColumn(draft, step.rename_column, at);
  if ('put_column' in step) return putColumn(draft, step.put_column, at);
  if ('create_index' in step) return putIndex(draft, step.create_index, at);
  if ('drop_index' in step) return dropIndex(draft, step.drop_index, at);
  return comment(draft, step.comment, at);
}

function notRestorable(reason: string, at: string, { hint, detail }: Partial<FrameError> = {}): FrameError {
  const why = reason.replace(/^`changes[^`]*`: /, '').replace(/\.$/, '');
  return new FrameError('plan/not-restorable', `\`${at}\`: there is no way back to this version: ${why}.`, {
    hint,
    detail,
  });
}
