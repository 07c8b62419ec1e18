import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { Secret } from '../secret.ts';

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
    seal(purpose, binding, payload) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', sealingKey(purpose), nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(binding));
      const sealed = Buffer.concat([cipher.update(JSON.stringify(payload), 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, sealed, cipher.getAuthTag()]).toString('base64url');
    },
    open(purpose, binding, blob) {
      const bytes = Buffer.from(blob, 'base64url');
      // Shorter blobs must never reach the cipher: Node accepts 4-byte tags unless told otherwise.
      if (bytes.length <= NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== blob) return undefined;
      const nonce = bytes.subarray(0, NONCE_BYTES);
      const decipher = createDecipheriv('aes-256-gcm', sealingKey(purpose), nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(binding));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        const sealed = bytes.subarray(NONCE_BYTES, -TAG_BYTES);
        return JSON.parse(Buffer.concat([decipher.update(sealed), decipher.final()]).toString('utf8'));
      } catch {
        return undefined;
      }
    },
  };
}

// Private

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
