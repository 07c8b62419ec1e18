import { CONTROL_LOGIN, type Place } from '../database/place.ts';
import { readPlaces } from '../database/registry.ts';
import { orDidYouMean } from '../did-you-mean.ts';
import { WrongUsage } from './command.ts';
import type { OpenDatabase } from './open-database.ts';

/** All places of the registry, also those that customers.yaml names no more. Throws WrongUsage when there is none. */
export async function findPlaces(
  { pools }: OpenDatabase,
  { customer, entity }: { customer: string | undefined; entity: string | undefined },
): Promise<Place[]> {
  const all = await readPlaces((text, params) => pools.query(CONTROL_LOGIN, text, params));
  const ofCustomer = all.filter(place => customer === undefined || place.customer === customer);
  const found = ofCustomer.filter(place => entity === undefined || place.entity === entity);
  if (found.length > 0) return found;
  const known = ofCustomer.map(place => place.entity);
  throw new WrongUsage(
    entity === undefined
      ? 'There is nothing here yet: run `frame migrate`.'
      : `There is no entity \`${entity}\`${orDidYouMean(entity, known) || '.'}`,
  );
}
