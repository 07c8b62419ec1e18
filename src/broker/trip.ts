import { hash } from 'node:crypto';
import { z } from 'zod';
import { digestOf } from '../access/secret-text.ts';
import type { Keyring } from '../vault/keyring.ts';
import { newSecret } from './browser.ts';

/** One trip of a browser to Entra and back: what goes with it, and what stays here, sealed, until it returns. */
export interface Trip {
  state: string;
  nonce: string;
  codeVerifier: string;
}

export function newTrip(): Trip {
  return { state: newSecret(), nonce: newSecret(), codeVerifier: newSecret() };
}

/** PKCE, S256. */
export function challengeOf({ codeVerifier }: Trip): string {
  return hash('sha256', codeVerifier, 'base64url');
}

export function sealTrip(keyring: Keyring, { state, nonce, codeVerifier }: Trip): string {
  return keyring.seal(PURPOSE, digestOf(state), { nonce, codeVerifier });
}

/** Undefined when it was not sealed with this key, for this state. */
export function openTrip(keyring: Keyring, state: string, sealed: string): Trip | undefined {
  const { data } = Sealed.safeParse(keyring.open(PURPOSE, digestOf(state), sealed));
  return data && { state, ...data };
}

// Private

const PURPOSE = 'sign-in trip';
const Sealed = z.object({ nonce: z.string(), codeVerifier: z.string() });
