import type { Environment } from '../customers/customer.ts';
import type { Place } from './place.ts';

/** The registry of places in memory. It changes only by `frame migrate`, so a miss is a reason to look again. */
export interface Places {
  find(customer: string, entity: string, environment: Environment): Place | undefined;
  all(): readonly Place[];
  refresh(): Promise<void>;
}

/** A miss reads the registry again in the background, at most once in this time. */
const COOLDOWN_MS = 1000;

export async function createPlaces(
  read: () => Promise<readonly Place[]>,
  now: () => number,
  onFailure: (error: unknown) => void,
): Promise<Places> {
  let byKey = new Map<string, Place>();
  let refreshedAt = 0;

  async function refresh(): Promise<void> {
    refreshedAt = now();
    const places = await read();
    byKey = new Map(places.map(place => [keyOf(place.customer, place.entity, place.environment), place]));
  }

  await refresh();
  return {
    all: () => [...byKey.values()],
    refresh,
    find(customer, entity, environment) {
      const place = byKey.get(keyOf(customer, entity, environment));
      if (!place && now() - refreshedAt > COOLDOWN_MS) refresh().catch(onFailure);
      return place;
    },
  };
}

// Private

/** Ids have no slash, so two places never share a key. */
const keyOf = (customer: string, entity: string, environment: string) => `${customer}/${entity}/${environment}`;
