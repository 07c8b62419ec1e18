import { hkdfSync, randomBytes, randomInt } from 'node:crypto';
import { decrypt, encrypt } from './aead.ts';
import type { EntityKey } from './entity-key.ts';
import { framed } from './framed.ts';
import type { KeyPlace } from './place-keys.ts';

/** What a data key is for: sealing cells, or finding equal values again. */
export type Purpose = 'cells' | 'index';
export type KeyState = 'current' | 'retiring' | 'retired';

/** A data key as the control database keeps it. */
export interface WrappedKey extends KeyPlace {
  kid: number;
  purpose: Purpose;
  state: KeyState;
  /** The key of the entity that wraps it. */
  kekId: string;
  /** In base64. */
  wrapped: string;
  check: string;
}

export function makeDataKey(place: KeyPlace, purpose: Purpose, kek: EntityKey): WrappedKey {
  const { customer, entity, environment } = place;
  const kid = randomInt(1, 2 ** 32);
  return wrap({ customer, entity, environment, kid, purpose, state: 'current' }, randomBytes(32), kek);
}

/** The key itself; undefined when this is not the entity key that wraps it, or anything of the row was altered. */
export function unwrap(wrapped: WrappedKey, kek: EntityKey): Buffer | undefined {
  const bound = boundTo(wrapped, wrapped.kekId);
  const key = decrypt(kek.key.reveal(), bound, Buffer.from(wrapped.wrapped, 'base64'));
  return key && checkOf(key) === wrapped.check ? key : undefined;
}

/** The same key under another entity key: what it sealed stays as it is. */
export function rewrap(wrapped: WrappedKey, key: Buffer, kek: EntityKey): WrappedKey {
  return wrap(wrapped, key, kek);
}

// Private

type Unwrapped = Omit<WrappedKey, 'kekId' | 'wrapped' | 'check'>;

function wrap(row: Unwrapped, key: Buffer, kek: EntityKey): WrappedKey {
  const wrapped = encrypt(kek.key.reveal(), boundTo(row, kek.id), key).toString('base64');
  return { ...row, kekId: kek.id, wrapped, check: checkOf(key) };
}

/** The state is not in it: it changes, and says nothing of what the key opens. */
function boundTo({ kid, customer, entity, environment, purpose }: Unwrapped, kekId: string): Buffer {
  return framed('frame-data-key/1', `${kid}`, customer, entity, environment, purpose, kekId);
}

function checkOf(key: Buffer): string {
  return Buffer.from(hkdfSync('sha256', key, Buffer.alloc(0), 'frame/1/key-check', 12)).toString('base64url');
}
