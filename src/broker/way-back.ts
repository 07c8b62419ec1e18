import { z } from 'zod';
import type { Keyring } from '../vault/keyring.ts';

/** An answer to a client that a page of ours carries for the person to send off: sealed, for the state of the client is in it. */
export interface WayBack {
  url: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

export function sealWayBack(keyring: Keyring, origin: string, wayBack: WayBack): string {
  return keyring.seal(PURPOSE, origin, wayBack);
}

/** The address; undefined when it is not one of ours any more. */
export function openWayBack(keyring: Keyring, origin: string, sealed: string, nowMs: number): string | undefined {
  const { data } = Sealed.safeParse(keyring.open(PURPOSE, origin, sealed));
  return data && data.expiresAt > nowMs ? data.url : undefined;
}

// Private

const PURPOSE = 'way back';
const Sealed = z.object({ url: z.string(), expiresAt: z.number() });
