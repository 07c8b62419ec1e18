import type { Login } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import type { AuditRecord } from './record.ts';

/** Intents from before `before` (milliseconds since 1970) that still wait for an outcome: the oldest 500 at most. */
export async function findOpenIntents(pools: Pools, login: Login, before: number): Promise<AuditRecord[]> {
  const { rows } = await pools.query(login, OPEN_INTENTS, [before]);
  return rows.map(([record]) => JSON.parse(String(record)));
}

// Private

const OPEN_INTENTS = `
  select record from audit.open_intent join audit.log using (chain, seq)
  where at < $1::bigint order by at, position limit 500`;
