import { loginOf } from '../../database/place.ts';
import type { Session } from '../../database/pools.ts';
import { FrameError } from '../../errors.ts';
import { quoteQualified } from '../quote.ts';
import { mayNotUnseal } from './change-seal.ts';
import type { Guard } from './draft.ts';
import { explainStatement } from './explain-change.ts';
import { readFresh, type SchemaParts } from './open-draft.ts';
import { isWork, runStatements, type Statements, toTexts } from './run-statements.ts';
import { purgeExpiredDrops, recordMoves } from './soft-drop.ts';
import { PLAN_AGAIN, type PlanBody, takePlan } from './stored-plan.ts';
import { claimVersion } from './versions.ts';

export interface ApplyParts extends SchemaParts {
  planId: string;
  /** Who planned it. */
  caller: string;
  /** For the history. */
  author: string;
  now: number;
  softDropDays: number;
  /** Whether the caller still may lay personal data open. */
  mayUnseal: boolean;
  signal: AbortSignal;
}

export interface Applied {
  version: number;
  /** One sentence per change. */
  done: readonly string[];
}

/**
 * Does what a plan said, all of it or nothing. Throws `plan/stale` when the schema or the rows in question are not as
 * they were, `plan/used`, `plan/expired`, `plan/invalid`, `plan/failed`. After `outcome-unknown` applying again tells:
 * `plan/used` means that it was done.
 */
export async function applyPlan(parts: ApplyParts): Promise<Applied> {
  const { pools, catalog, place, signal } = parts;
  try {
    const applied = await pools.transaction(loginOf(place, 'own'), session => applyIn(session, parts), { signal });
    // What is over its days is no reason to fail: the next change, or the next migrate, tries again.
    await purgeExpiredDrops(pools, place, parts).catch(() => 0);
    return applied;
  } catch (thrown) {
    throw thrown instanceof FrameError && thrown.code === 'outcome-unknown' ? maybeDone(thrown) : thrown;
  } finally {
    catalog.changed(place);
  }
}

// Private

/** Whoever has taken the version number has the schema to itself until the transaction ends. */
async function applyIn(session: Session, parts: ApplyParts): Promise<Applied> {
  const { place, now } = parts;
  const plan = await takePlan(session, place, { id: parts.planId, caller: parts.caller, now }).catch(explainWaiting);
  if (!parts.mayUnseal && plan.statements.some(takesSealOff)) throw mayNotUnseal();
  await takeVersion(session, parts, plan);
  const { fingerprint } = await readFresh(parts);
  if (fingerprint !== plan.fingerprint) throw stale('The tables were changed since.');
  await lockTables(session, parts, plan);
  await checkGuards(session, plan.guards);
  await runStatements(session, plan.statements, parts);
  await recordMoves(session, place, { ...plan, at: now });
  return { version: plan.version, done: plan.done };
}

async function takeVersion(
  session: Session,
  { place, planId, author, now }: ApplyParts,
  plan: PlanBody,
): Promise<void> {
  const { version, statements, undo, done } = plan;
  const summary = done.join(' ');
  const entry = { version, at: now, author, summary, statements: toTexts(statements), undo, planId };
  const isTaken = await claimVersion(session, place, entry).catch(explainWaiting);
  if (!isTaken) throw stale('Another change was applied since.');
}

async function lockTables(session: Session, { place }: ApplyParts, { locks }: PlanBody): Promise<void> {
  if (locks.length === 0) return;
  const tables = locks.map(name => quoteQualified(place.schema, name)).join(', ');
  await session.query(`lock table ${tables} in access exclusive mode`, [], { prepare: false }).catch(explainWaiting);
}

async function checkGuards(session: Session, guards: readonly Guard[]): Promise<void> {
  for (const { query, rows } of guards) {
    const { rows: found } = await session.query(query, [], { prepare: false }).catch(explainWaiting);
    if (Number(found[0]?.[0]) !== rows) throw stale('Rows that it touches were added, changed or deleted since.');
  }
}

function takesSealOff(statement: Statements[number]): boolean {
  return isWork(statement) && statement.deed === 'unseal';
}

function explainWaiting(thrown: unknown): never {
  throw explainStatement(thrown, 'The change');
}

function maybeDone({ message, detail, cause }: FrameError): FrameError {
  const hint = 'Apply the same plan again: `plan/used` means that it was done.';
  return new FrameError('outcome-unknown', message, { hint, detail, cause, nextTool: 'apply_change' });
}

function stale(reason: string): FrameError {
  return new FrameError('plan/stale', `This plan does not hold any more. ${reason}`, PLAN_AGAIN);
}
