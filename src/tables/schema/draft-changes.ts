import { FrameError } from '../../errors.ts';
import { invalidArgument } from '../argument.ts';
import type { Change } from './change.ts';
import { addColumn, alterColumn, dropColumn, putColumn, renameColumn, undropColumn } from './change-column.ts';
import { createIndex, dropIndex, putIndex } from './change-index.ts';
import { comment, createTable, dropTable, renameTable, undropTable } from './change-table.ts';
import type { Draft } from './draft.ts';
import { explainStatement } from './explain-change.ts';
import type { Undo } from './undo.ts';

/** Every change there is, one after the other on the draft. Throws at the first that cannot be, naming its place. */
export async function draftChanges(draft: Draft, changes: readonly Change[]): Promise<void> {
  for (const [i, change] of changes.entries()) {
    const at = `changes[${i}].${Object.keys(change).join()}`;
    await draftChange(draft, change, at).catch(thrown => {
      throw explainStatement(thrown, `\`${at}\``);
    });
  }
}

// Private

async function draftChange(draft: Draft, change: Change, at: string): Promise<void> {
  if (change.create_table) return createTable(draft, change.create_table, at);
  if (change.add_column) return addColumn(draft, change.add_column, at);
  if (change.alter_column) return alterColumn(draft, change.alter_column, at);
  if (change.rename_column) return renameColumn(draft, change.rename_column, at);
  if (change.drop_column) return dropColumn(draft, change.drop_column, at);
  if (change.create_index) return createIndex(draft, change.create_index, at);
  if (change.drop_index) return dropIndex(draft, change.drop_index, at);
  if (change.rename_table) return renameTable(draft, change.rename_table, at);
  if (change.drop_table) return dropTable(draft, change.drop_table, at);
  if (change.comment) return comment(draft, change.comment, at);
  if (change.restore_version) return restoreVersion(draft, change.restore_version, at);
}

async function draftUndo(draft: Draft, undo: Undo, at: string): Promise<void> {
  if ('drop_table' in undo) return dropTable(draft, undo.drop_table, at);
  if ('undrop_table' in undo) return undropTable(draft, undo.undrop_table, at);
  if ('rename_table' in undo) return renameTable(draft, undo.rename_table, at);
  if ('drop_column' in undo) return dropColumn(draft, undo.drop_column, at);
  if ('undrop_column' in undo) return undropColumn(draft, undo.undrop_column, at);
  if ('rename_column' in undo) return renameColumn(draft, undo.rename_column, at);
  if ('put_column' in undo) return putColumn(draft, undo.put_column, at);
  if ('create_index' in undo) return putIndex(draft, undo.create_index, at);
  if ('drop_index' in undo) return dropIndex(draft, undo.drop_index, at);
  if ('comment' in undo) return comment(draft, undo.comment, at);
  throw new FrameError('plan/not-restorable', `${undo.impossible.reason}.`);
}

/** The steps back of all later versions, newest first: as a new version, so that it can itself be taken back. */
async function restoreVersion(draft: Draft, { version }: { version: number }, at: string): Promise<void> {
  const current = draft.version - 1;
  if (draft.done.length > 0) throw invalidArgument(at, 'this must be the first change of its plan.');
  if (version >= current) {
    throw invalidArgument(`${at}.version`, `the schema is at version ${current}; name an earlier one.`);
  }
  draft.done.push(`Restored version ${version}.`);
  for (const logged of await draft.readLog(version)) {
    for (const undo of logged.undo) {
      await draftUndo(draft, undo, at).catch(thrown => {
        throw thrown instanceof FrameError ? notRestorable(thrown, logged.version, at) : thrown;
      });
    }
  }
}

function notRestorable({ message, hint, detail }: FrameError, version: number, at: string): FrameError {
  const reason = message.replace(/^`changes[^`]*`: /, '');
  return new FrameError('plan/not-restorable', `\`${at}\`: version ${version} cannot be taken back: ${reason}`, {
    hint,
    detail,
  });
}
