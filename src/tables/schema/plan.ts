import { randomUUID } from 'node:crypto';
import { loginOf } from '../../database/place.ts';
import { FrameError, unavailable } from '../../errors.ts';
import { quoteQualified } from '../quote.ts';
import type { Change } from './change.ts';
import type { Draft } from './draft.ts';
import { draftChanges } from './draft-changes.ts';
import { openDraft, runAsOwner, type SchemaParts } from './open-draft.ts';
import { isWork, toTexts, tryStatements } from './run-statements.ts';
import { listRestorable, type Restorable } from './soft-drop.ts';
import { type PlanBody, storePlan } from './stored-plan.ts';

/**
 * What changes would do, exactly: worked out on a draft of the schema, tried in a transaction that is rolled back, and
 * kept until it is applied or expires. Nothing is changed.
 */
export interface Plan {
  id: string;
  statements: readonly string[];
  rowsAffected: number;
  warnings: readonly string[];
  restorable: readonly Restorable[];
  /** Milliseconds since 1970. */
  expiresAt: number;
}

export interface PlanParts extends SchemaParts {
  /** Who alone may apply it. */
  caller: string;
  now: number;
  planMinutes: number;
  softDropDays: number;
  /** Whether the caller reads personal data in plain, and so may lay it open. */
  mayUnseal: boolean;
  signal: AbortSignal;
}

export function planChanges(parts: PlanParts, changes: readonly Change[]): Promise<Plan> {
  return makePlan(parts, changes).catch(mayTryAgain);
}

// Private

async function makePlan(parts: PlanParts, changes: readonly Change[]): Promise<Plan> {
  const { place, now, caller } = parts;
  const run = runAsOwner(parts, parts.signal);
  const { draft, fingerprint } = await openDraft(parts, run);
  await draftChanges(draft, changes);
  await tryUnlessLarge(parts, draft);
  if (draft.moves.some(move => 'drop' in move)) draft.warnings.add(keptAside(draft, parts));
  const id = randomUUID();
  const expiresAt = now + parts.planMinutes * 60_000;
  await storePlan(run, place, { id, caller, now, expiresAt, body: bodyOf(draft, fingerprint) });
  return {
    id,
    statements: toTexts(draft.statements),
    rowsAffected: draft.rowsAffected,
    warnings: [...draft.warnings],
    restorable: await listRestorable(run, place, parts),
    expiresAt,
  };
}

/** Above this, reading a whole table holds up others too long for a mere trial. */
const LARGE_ROWS = 100_000;
const LARGE_WORK_ROWS = 10_000;
const TRIAL_LOCK_WAIT = '1s';

/** Thrown to roll back: the trial went well. */
class TrialOver extends Error {}

async function tryUnlessLarge(parts: PlanParts, draft: Draft): Promise<void> {
  // Sealing values takes the gateway longer than it takes Postgres to look at them.
  const limit = draft.statements.some(isWork) ? LARGE_WORK_ROWS : LARGE_ROWS;
  const large = await findLarge(draft, limit);
  if (large.length === 0) return tryOut(parts, draft);
  const names = large.map(name => `\`${name}\``).join(' and ');
  draft.warnings.add(
    `Not tried out: ${names} has more than ${limit} rows. Applying holds up everybody who uses it meanwhile; ` +
      'it is done as a whole or not at all.',
  );
}

async function findLarge(draft: Draft, limit: number): Promise<string[]> {
  const large: string[] = [];
  for (const table of draft.scans) {
    const some = `select from ${quoteQualified(draft.place.schema, table)} limit ${limit + 1}`;
    const rows = await draft.count(`select count(*) from (${some}) as some_rows`);
    if (rows && rows > limit) large.push(table);
  }
  return large;
}

/** The only proof that Postgres will take the statements. It does not wait long for tables that are in use. */
async function tryOut({ pools, place, keys, signal }: PlanParts, draft: Draft): Promise<void> {
  try {
    await pools.transaction(
      loginOf(place, 'own'),
      async session => {
        await session.query(`set local lock_timeout = '${TRIAL_LOCK_WAIT}'`);
        await tryStatements(session, draft.statements, { keys, place });
        throw new TrialOver();
      },
      { signal },
    );
  } catch (thrown) {
    if (thrown instanceof TrialOver) return;
    if (!(thrown instanceof FrameError) || thrown.code !== 'limit/lock') throw thrown;
    draft.warnings.add('Not tried out: a table is in use by somebody else right now.');
  }
}

function bodyOf(draft: Draft, fingerprint: string): PlanBody {
  const { version, statements, undo, done, guards, moves, locks } = draft;
  return { version, fingerprint, statements, undo, done, guards, moves, locks: [...locks].sort() };
}

function keptAside(draft: Draft, { softDropDays }: PlanParts): string {
  // Without `only` it takes back all that came later, which may be more than can be taken back.
  const back = `restore_version ${draft.version - 1} with only: { table, column? } brings it back`;
  return `What is dropped is kept aside for ${softDropDays} days: until then ${back}.`;
}

/** The login may write, so a lost answer is an unknown outcome to it. A plan changes nothing, stored or not. */
function mayTryAgain(thrown: unknown): never {
  if (!(thrown instanceof FrameError) || thrown.code !== 'outcome-unknown') throw thrown;
  throw unavailable('The plan could not be made.', { detail: thrown.detail, cause: thrown });
}
