import type { Login } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import type { AuditRecord } from './record.ts';

/**
 * Intents from before `before` (milliseconds since 1970) that still wait for an outcome: the oldest 500 at most. Those of
 * the operator's commands, whose deeds take longer than a call, from before `deedsBefore`.
 */
export async function findOpenIntents(
  pools: Pools,
  login: Login,
  before: number,
  deedsBefore = before,
): Promise<AuditRecord[]> {
  const { rows } = await pools.query(login, OPEN_INTENTS, [before, deedsBefore]);
  return rows.map(([record]) => JSON.parse(String(record)));
}

// Private

const OPEN_INTENTS = `
  select record from audit.open_intent join audit.log using (chain, seq)
  where at < case actor when 'operator' then $2::bigint else $1::bigint end order by at, position limit 500`;
