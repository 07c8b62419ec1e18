import { ENVIRONMENTS } from '../customers/customer.ts';
import { CONTROL_LOGIN } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import type { DataKeys } from './data-keys.ts';
import type { KeyPlace } from './place-keys.ts';

/** Data keys that hear from the other processes when theirs are no more. */
export async function shareDataKeys(keys: DataKeys, pools: Pick<Pools, 'listen'>): Promise<DataKeys> {
  await pools.listen(
    CONTROL_LOGIN,
    CHANNEL,
    payload => keys.forget(toPlace(payload)),
    () => keys.forgetAll(),
  );
  return keys;
}

/** Tells every running gateway that the keys of a place are not what they were. */
export async function announceKeys(pools: Pick<Pools, 'query'>, place: KeyPlace): Promise<void> {
  await pools.query(CONTROL_LOGIN, 'select pg_notify($1, $2)', [CHANNEL, toPayload(place)]);
}

// Private

const CHANNEL = 'frame_data_keys';

/** Neither id contains a slash. */
function toPayload({ customer, entity, environment }: KeyPlace): string {
  return `${customer}/${entity}/${environment}`;
}

function toPlace(payload: string): KeyPlace {
  const [customer = '', entity = '', environment] = payload.split('/');
  return { customer, entity, environment: ENVIRONMENTS.find(known => known === environment) ?? 'prod' };
}
