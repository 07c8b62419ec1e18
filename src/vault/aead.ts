import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** AES-256-GCM with a random nonce and a whole tag: `nonce(12) text tag(16)`. */
export const SEALED_OVERHEAD_BYTES = 28;

export function encrypt(key: Buffer, bound: Buffer, text: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(bound);
  return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

/** Undefined unless this key sealed exactly this, bound to exactly that. Nothing is released before the tag was checked. */
export function decrypt(key: Buffer, bound: Buffer, sealed: Buffer): Buffer | undefined {
  // Shorter ones must never reach the cipher: Node accepts 4-byte tags unless told otherwise.
  if (sealed.length < SEALED_OVERHEAD_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(bound);
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}

// Private

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
