import type { Customer } from '../customers/customer.ts';
import { CONTROL_LOGIN } from '../database/place.ts';
import { isWanted, readPlaces } from '../database/registry.ts';
import { checkDataKeys } from './check-data-keys.ts';
import { type KeyStore, makeDataKeys } from './make-data-keys.ts';

/**
 * Before anything of these customers is served or loaded: the keys of all their places are there and open. `mayMake`, as
 * `frame migrate` and an embedded database may, gives keys to places that have none yet. Throws WrongConfiguration.
 */
export async function prepareDataKeys(
  store: KeyStore,
  customers: readonly Customer[],
  { mayMake }: { mayMake: boolean },
): Promise<void> {
  const known = await readPlaces((text, params) => store.pools.query(CONTROL_LOGIN, text, params), customers);
  const places = known.filter(place => isWanted(place, customers));
  if (mayMake) await makeDataKeys(store, places);
  await checkDataKeys(store, places);
}
