import { createLocalLimit } from '../access/local-limit.ts';
import { networkOf } from '../address.ts';

/** How often one address may do something in a minute. */
export interface AddressLimit {
  /** Counts one; seconds to wait when that is one too many. */
  take(from: string): number | undefined;
}

export function createAddressLimit(perMinute: number, now: () => number): AddressLimit {
  const limit = createLocalLimit(perMinute, now);
  return { take: from => limit.take(networkOf(from)) };
}
