import { FrameError } from '../../errors.ts';
import { invalidArgument } from '../argument.ts';
import { dropColumn, putColumn, renameColumn, undropColumn } from './change-column.ts';
import { dropIndex, putIndex } from './change-index.ts';
import { comment, dropTable, renameTable, undropTable } from './change-table.ts';
import type { Draft } from './draft.ts';
import { type Only, restoreOnly } from './restore-only.ts';
import { oppositeKey, type Step, shorten } from './undo.ts';

/** The steps back of all later versions, newest first: as a new version, so that it can itself be taken back. */
export async function restoreVersion(
  draft: Draft,
  { version, only }: { version: number; only?: Only | undefined },
  at: string,
): Promise<void> {
  const current = draft.version - 1;
  if (version >= current) {
    throw invalidArgument(`${at}.version`, `the schema is at version ${current}; name an earlier one.`);
  }
  if (only) return restoreOnly(draft, version, only, `${at}.only`);
  if (draft.done.length > 0) throw invalidArgument(at, 'this must be the first change of its plan.');
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

// Private

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
