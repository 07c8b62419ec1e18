import { loginOf, type Place } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { quoteQualified } from './quote.ts';
import { purgeExpiredDrops } from './schema/soft-drop.ts';

/** An idempotency key is remembered this long: nobody repeats a call a month later. */
const REQUEST_DAYS = 30;
const DAY_MS = 86_400_000;

/**
 * Lets go of what a schema keeps only for a while: dropped things over their days, and answers to repeated calls. Safe
 * to repeat, and on two slots at once.
 */
export async function keepHouse(
  pools: Pools,
  place: Place,
  times: { now: number; softDropDays: number },
): Promise<void> {
  await purgeExpiredDrops(pools, place, times);
  await pools.query(
    loginOf(place, 'own'),
    `delete from ${quoteQualified(place.schema, '_requests')} where at < $1::text::timestamptz`,
    [new Date(times.now - REQUEST_DAYS * DAY_MS).toISOString()],
  );
}
