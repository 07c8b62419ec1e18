import { createGate } from '../database/gate.ts';
import type { Pools } from '../database/pools.ts';

/** What the authorization server needs of the pools. */
export type BrokerPools = Pick<Pools, 'query' | 'transaction'>;

/**
 * The pools with a gate in front: anybody on the internet may ask the authorization server, and however many do, the rest
 * of the connections is left to who is signed in already. Whoever waits in vain hears `unavailable`.
 */
export function gatePools(pools: BrokerPools, atOnce: number, patienceMs = PATIENCE_MS): BrokerPools {
  const gate = createGate(atOnce, patienceMs);
  return {
    query: (login, text, params, options) =>
      gate.pass(() => pools.query(login, text, params, options), options?.signal),
    transaction: (login, work, options) => gate.pass(() => pools.transaction(login, work, options), options?.signal),
  };
}

// Private

/** Programs wait for tokens for 10 s and more. */
const PATIENCE_MS = 3000;
