import { createHmac, hkdfSync } from 'node:crypto';
import type { Secret } from '../secret.ts';
import { decrypt, encrypt, SEALED_OVERHEAD_BYTES } from './aead.ts';

/**
 * Everything that is derived from the master key: role passwords and sealed blobs. Nothing derived is ever stored, so
 * there is no table of secrets to lose. It does not read the key file; see master-key.ts.
 */
export interface Keyring {
  /** The password of a Postgres login. The same key gives the same password, on every slot. */
  rolePassword(role: string): string;
  /** A keyed digest, 22 characters base64url: equal texts give equal digests, and nobody without the key can guess one. */
  digest(purpose: string, text: string): string;
  /** Encrypts `payload` (JSON) so that only `open` with the same purpose and binding reads it. */
  seal(purpose: string, binding: string, payload: unknown): string;
  /** The payload, or undefined when the blob was altered, made for another purpose or binding, or is no blob at all. */
  open(purpose: string, binding: string, blob: string): unknown;
}

export function createKeyring(master: Secret<Buffer>): Keyring {
  const derive = (label: string, bytes = 32) =>
    Buffer.from(hkdfSync('sha256', master.reveal(), Buffer.alloc(0), `frame/1/${label}`, bytes));
  const sealingKeys = new Map<string, Buffer>();
  const sealingKey = (purpose: string) => {
    const known = sealingKeys.get(purpose) ?? derive(`seal/${purpose}`);
    sealingKeys.set(purpose, known);
    return known;
  };
  return {
    rolePassword: role => derive(`role/${role}`, 24).toString('base64url'),
    digest: (purpose, text) =>
      createHmac('sha256', derive(`digest/${purpose}`))
        .update(text)
        .digest('base64url')
        .slice(0, 22),
    seal: (purpose, binding, payload) =>
      encrypt(sealingKey(purpose), Buffer.from(binding), Buffer.from(JSON.stringify(payload))).toString('base64url'),
    open(purpose, binding, blob) {
      const bytes = Buffer.from(blob, 'base64url');
      // There is one way to write a blob.
      if (bytes.length <= SEALED_OVERHEAD_BYTES || bytes.toString('base64url') !== blob) return undefined;
      const text = decrypt(sealingKey(purpose), Buffer.from(binding), bytes)?.toString('utf8');
      return text === undefined ? undefined : JSON.parse(text);
    },
  };
}
