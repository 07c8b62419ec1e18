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
  if (isKeyIn(url) || isCredentialIn(url)) return { refused: 'credential-in-url' };
  const bearer = readBearer(headers.get('authorization')?.trim());
  const header = headers.get('x-api-key')?.trim();
  if (header?.includes(',')) return { refused: 'credential-twice' };
  const key = header ? { apiKey: header } : undefined;
  if ('refused' in bearer) return key && bearer.refused === 'credential-missing' ? key : bearer;
  if (!KEY.test(bearer.token)) return { ...bearer, ...key };
  return key ? { refused: 'credential-twice' } : { apiKey: bearer.token };
}

/** In letters: no address that is shorter has a key in it. */
export const SHORTEST_KEY = 'frame_r_'.length + 48;

/** Whoever sees the address has the key, whatever it was asked for. */
export function isKeyIn(url: URL): boolean {
  return KEY_SOMEWHERE.test(decodeAddress(url));
}

/** Byte by byte, so that nothing else in it can keep a key from being seen. */
export function decodeAddress({ pathname, search }: URL): string {
  return `${pathname}${search}`.replaceAll(/%[0-9a-f]{2}/gi, code => String.fromCharCode(Number(`0x${code.slice(1)}`)));
}

// Private

const KEY = /^frame_[a-z][a-z0-9-]*_[0-9A-Za-z]{48}$/;
const KEY_SOMEWHERE = /frame_[a-z][a-z0-9-]*_[0-9A-Za-z]{48}/;
/** Of ours, or a JWT. */
const TOKEN_SOMEWHERE = /frame_(at|rt|ac)_[\w-]{43}|eyJ[\w-]+\.eyJ[\w-]+\.[\w-]*/;

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
  'accesskey',
  'accesstoken',
  'apikey',
  'apitoken',
  'authorization',
  'authtoken',
  'bearer',
  'bearertoken',
  'clientsecret',
  'idtoken',
  'jwt',
  'password',
  'refreshtoken',
  'secret',
  'sessiontoken',
  'token',
  'xapikey',
]);

function isCredentialIn({ searchParams }: URL): boolean {
  return [...searchParams].some(([name, value]) => isCredentialName(name) || TOKEN_SOMEWHERE.test(value));
}

function isCredentialName(name: string): boolean {
  return CREDENTIAL_NAMES.has(name.toLowerCase().replaceAll(/[_-]/g, ''));
}
