import { createPublicKey, hash, verify } from 'node:crypto';

/** Signs what is said of the log. Its private half is nowhere in the database. */
export interface Signer {
  /** SPKI in PEM. */
  publicKey: string;
  /** Ed25519, in hex. */
  sign(text: string): string;
}

export interface Verifier {
  /** In PEM, as Node writes it. */
  publicKey: string;
  /** Names the key: the beginning of its SHA-256. */
  keyId: string;
  isSigned(text: string, signature: string): boolean;
}

/** Throws when the text is no Ed25519 key in PEM. */
export function createVerifier(publicKey: string): Verifier {
  const key = createPublicKey(publicKey);
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`It is a key for ${key.asymmetricKeyType}, not Ed25519.`);
  return {
    publicKey: key.export({ type: 'spki', format: 'pem' }).toString(),
    keyId: hash('sha256', key.export({ type: 'spki', format: 'der' }), 'hex').slice(0, 16),
    isSigned: (text, signature) => verify(null, Buffer.from(text), key, Buffer.from(signature, 'hex')),
  };
}
