import { createPrivateKey, createPublicKey, hkdfSync, sign } from 'node:crypto';
import type { Secret } from '../secret.ts';

/**
 * The key that signs checkpoints of the audit log. Derived from the master key, so Postgres never has it: who rules there
 * can rewrite the log, but not what was signed of it.
 */
export interface CheckpointKey {
  /** SPKI in PEM: whoever has it can verify. */
  publicKey: string;
  /** Ed25519, in hex. */
  sign(text: string): string;
}

export function createCheckpointKey(master: Secret<Buffer>): CheckpointKey {
  const seed = hkdfSync('sha256', master.reveal(), Buffer.alloc(0), 'frame/1/checkpoint', 32);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, Buffer.from(seed)]), format: 'der', type: 'pkcs8' });
  return {
    publicKey: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString(),
    sign: text => sign(null, Buffer.from(text), key).toString('hex'),
  };
}

// Private

/** What stands before the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
