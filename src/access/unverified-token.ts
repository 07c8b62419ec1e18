import { decodeJwt, decodeProtectedHeader } from 'jose';
import type { Refusal } from './refusal.ts';

/** A token that has the form of an Entra access token. Nothing in it may be believed: it only says where to look. */
export interface UnverifiedToken {
  text: string;
  keyId: string;
  /** Who it says has signed it. */
  issuer: unknown;
}

export function readToken(text: string): UnverifiedToken | Refusal {
  if (text.length > MAX_LENGTH) return { refused: 'token-too-large' };
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) return { refused: 'token-malformed' };
  const parts = decode(text);
  if (!parts) return { refused: 'token-malformed' };
  const { header, claims } = parts;
  const forbidden = FORBIDDEN_HEADERS.find(name => Object.hasOwn(header, name));
  if (forbidden) return { refused: 'header-forbidden', detail: forbidden };
  if (header.alg !== 'RS256') return { refused: 'wrong-algorithm' };
  if (header.typ !== undefined && header.typ !== 'JWT') return { refused: 'wrong-type' };
  if (typeof header.kid !== 'string' || header.kid === '') return { refused: 'key-id-missing' };
  return { text, keyId: header.kid, issuer: claims.iss };
}

// Private

const MAX_LENGTH = 16 * 1024;

/** Extensions change what is signed, `nonce` marks Graph tokens, and the others would let a token bring its own key. */
const FORBIDDEN_HEADERS = ['crit', 'b64', 'zip', 'nonce', 'jwk', 'jku', 'x5u', 'x5c'];

function decode(text: string) {
  try {
    return { header: decodeProtectedHeader(text), claims: decodeJwt(text) };
  } catch {
    return undefined;
  }
}
