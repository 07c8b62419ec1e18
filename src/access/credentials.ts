import type { Refusal } from './refusal.ts';

/**
 * Finds the one Bearer token of a request. It does not look inside; see unverified-token.ts. An API key is refused, not
 * ignored: whoever sends one beside a token asks for the intersection of both rights, and there are no keys yet.
 */
export function readCredential(headers: Headers, url: URL): { token: string } | Refusal {
  if ([...url.searchParams.keys()].some(isCredentialName)) return { refused: 'credential-in-url' };
  const authorization = headers.get('authorization')?.trim();
  const apiKey = headers.get('x-api-key');
  if (apiKey?.includes(',')) return { refused: 'credential-twice' };
  if (apiKey) return { refused: 'api-key-unknown' };
  if (!authorization) return { refused: 'credential-missing' };
  // Headers joins repeated ones with a comma, which no token contains.
  if (authorization.includes(',')) return { refused: 'credential-twice' };
  // RFC 6750 §3.1: an unsupported scheme counts as no credential at all, so the challenge carries no error.
  if (!/^bearer( |$)/i.test(authorization)) return { refused: 'credential-missing', detail: 'not a Bearer credential' };
  const token = /^bearer +([\w.~+/-]+=*)$/i.exec(authorization)?.[1];
  return token ? { token } : { refused: 'credential-malformed' };
}

// Private

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
