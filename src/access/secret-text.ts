import { hash, randomBytes } from 'node:crypto';

/**
 * Codes and tokens that we give out: 256 random bits behind a name that scanners find. Only their digest is ever stored;
 * it needs no salt and no slow hash, for nobody can guess what it is of.
 */
export type SecretKind = keyof typeof PREFIXES;

export function makeSecretText(kind: SecretKind): string {
  return `${PREFIXES[kind]}${randomBytes(32).toString('base64url')}`;
}

/** Has the form of one; whether we made it is for the database to say. */
export function isSecretText(kind: SecretKind, text: string): boolean {
  return text.startsWith(PREFIXES[kind]) && /^[\w-]{43}$/.test(text.slice(PREFIXES[kind].length));
}

/** SHA-256, as Postgres reads a bytea. */
export function digestOf(text: string): string {
  return `\\x${hash('sha256', text, 'hex')}`;
}

// Private

const PREFIXES = { access: 'frame_at_', refresh: 'frame_rt_', code: 'frame_ac_' } as const;
