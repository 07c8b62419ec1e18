import type { Session } from '../../database/pools.ts';
import { FrameError } from '../../errors.ts';
import type { NewTable } from './change.ts';
import { draftChanges } from './draft-changes.ts';
import { openDraft, type SchemaParts } from './open-draft.ts';
import { runStatements, toTexts } from './run-statements.ts';
import { claimVersion } from './versions.ts';

/**
 * Creates a table in a transaction of the operator's own (login `own_`), as a version of the history like any other.
 * The caller forgets the catalog once it has committed. Throws `plan/stale` when somebody else changes the schema now.
 */
export async function createTableAsOperator(
  parts: SchemaParts,
  session: Session,
  table: NewTable,
  now: number,
): Promise<{ version: number }> {
  const run = (text: string, params: readonly unknown[] = []) => session.query(text, params, { prepare: false });
  const { draft } = await openDraft({ ...parts, mayUnseal: false }, run);
  await draftChanges(draft, [{ create_table: table }]);
  const { version, statements, undo, done } = draft;
  const facts = { version, at: now, author: 'operator', summary: done.join(' '), undo, planId: undefined };
  if (!(await claimVersion(session, parts.place, { ...facts, statements: toTexts(statements) }))) {
    throw new FrameError('plan/stale', 'Somebody else changed the tables at the same time.', { retryable: true });
  }
  await runStatements(session, statements, parts);
  return { version };
}
