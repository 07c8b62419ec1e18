import type { Place } from '../../database/place.ts';
import type { Session } from '../../database/pools.ts';
import { FrameError } from '../../errors.ts';
import { quoteQualified } from '../quote.ts';
import type { Guard, Move } from './draft.ts';
import type { Statements } from './run-statements.ts';
import type { Undo } from './undo.ts';
import type { Run } from './versions.ts';

/** What a plan is while it waits to be applied: exactly what will be done, and what must still be true then. */
export interface PlanBody {
  version: number;
  fingerprint: string;
  statements: Statements;
  undo: readonly Undo[];
  done: readonly string[];
  guards: readonly Guard[];
  locks: readonly string[];
  moves: readonly Move[];
}

const DAY_MS = 86_400_000;

/** Also clears away what expired more than a day ago: until then applying it again answers with what became of it. */
export async function storePlan(
  run: Run,
  place: Place,
  plan: { id: string; caller: string; now: number; expiresAt: number; body: PlanBody },
): Promise<void> {
  const plans = quoteQualified(place.schema, '_plans');
  await run(
    `with gone as (delete from ${plans} where expires_at < $6::text::timestamptz)
    insert into ${plans} (id, caller, created_at, expires_at, body)
    values ($1::text::uuid, $2, $3::text::timestamptz, $4::text::timestamptz, $5::text::jsonb)`,
    [
      plan.id,
      plan.caller,
      toTime(plan.now),
      toTime(plan.expiresAt),
      JSON.stringify(plan.body),
      toTime(plan.now - DAY_MS),
    ],
  );
}

/**
 * Marks the plan as used, which ends with the transaction. Whoever comes second waits for the first to end, and takes it
 * when the first gave up. Throws `plan/used`, `plan/expired` or `plan/invalid`.
 */
export async function takePlan(
  session: Session,
  place: Place,
  { id, caller, now }: { id: string; caller: string; now: number },
): Promise<PlanBody> {
  const { rows } = await session.query(
    `update ${quoteQualified(place.schema, '_plans')} set used_at = $2::text::timestamptz
    where id = $1::text::uuid and caller = $3 and used_at is null
    returning extract(epoch from expires_at)::float8, body::text`,
    [id, toTime(now), caller],
  );
  const [found] = rows;
  if (!found) throw await becameOf(session, place, id, caller);
  const [expiresAtSeconds, body] = found;
  if (Math.round(Number(expiresAtSeconds) * 1000) <= now) {
    throw new FrameError('plan/expired', 'This plan has expired.', PLAN_AGAIN);
  }
  return JSON.parse(String(body));
}

export const PLAN_AGAIN = { hint: 'Plan the change again.', nextTool: 'plan_change' };

// Private

async function becameOf(session: Session, place: Place, id: string, caller: string): Promise<FrameError> {
  const { rows } = await session.query(
    `select v.version from ${quoteQualified(place.schema, '_plans')} p
    left join ${quoteQualified(place.schema, '_versions')} v on v.plan_id = p.id
    where p.id = $1::text::uuid and p.caller = $2`,
    [id, caller],
  );
  const [found] = rows;
  if (!found) return new FrameError('plan/invalid', 'This is no plan of yours for these tables.', PLAN_AGAIN);
  return new FrameError('plan/used', `This plan was applied: the schema got version ${found[0]} by it.`, {
    hint: 'Nothing is left to do. `describe_tables` shows the tables as they are.',
    nextTool: 'describe_tables',
  });
}

function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
