import type { Refusal } from './refusal.ts';

/** What a request carries: a person's token, the key of a script or agent, or both together. */
export interface Credentials {
  token?: string;
  apiKey?: string;
}

/**
 * Finds at most one credential of each kind: a key may stand in X-API-Key or, for programs that know nothing else, where
 * a token stands. It does not look inside; see unverified-token.ts and api-key-text.ts.
 */
export function readCredentials(headers: Headers, url: URL): Credentials | Refusal {
  const { pathname, searchParams } = url;
  if (
    KEY_SOMEWHERE.test([pathname, ...searchParams.values()].join(' ')) ||
    [...searchParams.keys()].some(isCredentialName)
  ) {
    return { refused: 'credential-in-url' };
  }
  const bearer = readBearer(headers.get('authorization')?.trim());
  const header = headers.get('x-api-key')?.trim();
  if (header?.includes(',')) return { refused: 'credential-twice' };
  const key = header ? { apiKey: header } : undefined;
  if ('refused' in bearer) return key && bearer.refused === 'credential-missing' ? key : bearer;
  if (!KEY.test(bearer.token)) return { ...bearer, ...key };
  return key ? { refused: 'credential-twice' } : { apiKey: bearer.token };
}

// Private

const KEY = /^frame_[a-z][a-z0-9-]*_[0-9A-Za-z]{48}$/;
const KEY_SOMEWHERE = /frame_[a-z][a-z0-9-]*_[0-9A-Za-z]{48}/;

function readBearer(authorization: string | undefined): { token: string } | Refusal {
  if (!authorization) return { refused: 'credential-missing' };
  // Headers joins repeated ones with a comma, which no token contains.
  if (authorization.includes(',')) return { refused: 'credential-twice' };
  // RFC 6750 §3.1: an unsupported scheme counts as no credential at all, so the challenge carries no error.
  if (!/^bearer( |$)/i.test(authorization)) return { refused: 'credential-missing', detail: 'not a Bearer credential' };
  const token = /^bearer +([\w.~+/-]+=*)$/i.exec(authorization)?.[1];
  return token ? { token } : { refused: 'credential-malformed' };
}

const CREDENTIAL_NAMES = new Set([
  'accesstoken',
  'apikey',
  'authorization',
  'bearer',
  'clientsecret',
  'idtoken',
  'jwt',
  'refreshtoken',
  'token',
  'xapikey',
]);

function isCredentialName(name: string): boolean {
  return CREDENTIAL_NAMES.has(name.toLowerCase().replaceAll(/[_-]/g, ''));
}
