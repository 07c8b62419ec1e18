import type { Pools } from '../database/pools.ts';
import { runOn } from './sessions.ts';

/** Deletes what nobody will ask about any more. Two gateways may do it at once. */
export async function sweepSessions(pools: Pick<Pools, 'query'>, nowMs: number): Promise<void> {
  const run = runOn(pools);
  await run(TOKENS, [nowMs - KEEP_EXPIRED_MS]);
  await run(CODES, [nowMs - KEEP_EXPIRED_MS]);
  await run(ANSWERS, [nowMs - KEEP_ANSWERS_MS]);
  await run(SESSIONS, [nowMs - KEEP_ENDED_MS]);
}

// Private

const HOUR_MS = 3_600_000;
/** So that our log can say "expired" rather than "unknown". */
const KEEP_EXPIRED_MS = 24 * HOUR_MS;
/** Longer than an exchanged refresh token may come again. */
const KEEP_ANSWERS_MS = HOUR_MS;
const KEEP_ENDED_MS = 30 * 24 * HOUR_MS;

const TOKENS = 'delete from frame.oauth_tokens where expires_at < to_timestamp($1::float8 / 1000)';

/** One that was redeemed stays as long as its session, so that a replay is always known for one. */
const CODES = `
  delete from frame.oauth_codes where used_at is null and expires_at < to_timestamp($1::float8 / 1000)`;

const ANSWERS = `
  update frame.oauth_tokens set answer = null
  where answer is not null and used_at < to_timestamp($1::float8 / 1000)`;

const SESSIONS = `
  delete from frame.oauth_sessions s
  where coalesce(revoked_at, expires_at) < to_timestamp($1::float8 / 1000)
    or (last_used_at < to_timestamp($1::float8 / 1000)
      and not exists (select from frame.oauth_tokens t where t.session_id = s.id))`;
