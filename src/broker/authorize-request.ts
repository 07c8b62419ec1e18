import { mayRead, mayWrite, READ_SCOPE, toScopes, WRITE_SCOPE } from '../access/scopes.ts';
import { areResources } from './grant-request.ts';

/** The rules for what a client may ask at /authorize, in order. Pure: the client and its address were checked before. */
export interface AuthorizeRequest {
  codeChallenge: string;
  scopes: readonly string[];
}

/** Goes back to the client: an error of RFC 6749 §4.1.2.1 or RFC 8707 §2, and a sentence for whoever builds it. */
export interface AuthorizeRefusal {
  error: 'invalid_request' | 'unsupported_response_type' | 'invalid_scope' | 'invalid_target';
  description: string;
}

/** `resource`: the only one there is at this origin. */
export function readAuthorizeRequest(
  parameters: URLSearchParams,
  resource: string,
): AuthorizeRequest | AuthorizeRefusal {
  const refusal =
    checkForm(parameters) ??
    checkResponse(parameters) ??
    checkChallenge(parameters) ??
    checkResource(parameters.getAll('resource'), resource);
  if (refusal) return refusal;
  const scopes = readScopes(parameters.get('scope') ?? '');
  if (scopes.length === 0) {
    return { error: 'invalid_scope', description: 'The scopes here are frame:read and frame:write.' };
  }
  return { codeChallenge: parameters.get('code_challenge') ?? '', scopes };
}

/** The one value of a parameter; undefined when it is missing, empty, repeated or holds what no database stores. */
export function single(parameters: URLSearchParams, name: string): string | undefined {
  const [value, ...others] = parameters.getAll(name);
  return value && others.length === 0 && isStorable(value) ? value : undefined;
}

// Private

/** RFC 6749 §3.1: none of them twice, but for `resource` (RFC 8707 §2). */
function checkForm(parameters: URLSearchParams): AuthorizeRefusal | undefined {
  const names = [...parameters.keys()].filter(name => name !== 'resource');
  const repeated = names.find((name, at) => names.indexOf(name) !== at);
  if (repeated !== undefined) return invalid('A parameter is repeated.');
  if (![...parameters.values()].every(isStorable)) return invalid('A parameter holds a character that is not text.');
  return undefined;
}

function checkResponse(parameters: URLSearchParams): AuthorizeRefusal | undefined {
  const type = parameters.get('response_type');
  if (!type) return invalid('response_type is missing.');
  if (type !== 'code') return { error: 'unsupported_response_type', description: 'response_type must be code.' };
  if ((parameters.get('response_mode') ?? 'query') !== 'query') return invalid('response_mode must be query.');
  return undefined;
}

/** RFC 7636 §4.3: a method that is left out means `plain`, which protects nothing. */
function checkChallenge(parameters: URLSearchParams): AuthorizeRefusal | undefined {
  if (!parameters.get('code_challenge')) return invalid('code_challenge is missing: PKCE is required.');
  if (parameters.get('code_challenge_method') !== 'S256') return invalid('code_challenge_method must be S256.');
  if (!/^[\w-]{43}$/.test(parameters.get('code_challenge') ?? '')) {
    return invalid('code_challenge must be 43 characters base64url.');
  }
  return undefined;
}

function checkResource(given: readonly string[], resource: string): AuthorizeRefusal | undefined {
  if (areResources(given, resource)) return undefined;
  return { error: 'invalid_target', description: `The resource here is ${resource}.` };
}

/** What we do not know is not granted; whoever names nothing of ours is offered everything, for the person chooses. */
function readScopes(text: string): string[] {
  const asked = toScopes(text);
  const isVague = asked.every(scope => OF_OTHERS.has(scope));
  if (!isVague && !mayRead(asked)) return [];
  return [
    READ_SCOPE,
    ...(isVague || mayWrite(asked) ? [WRITE_SCOPE] : []),
    ...(asked.includes(OFFLINE_ACCESS) ? [OFFLINE_ACCESS] : []),
  ];
}

const OFFLINE_ACCESS = 'offline_access';

/** Asked for out of habit: they say nothing about what the client wants here. */
const OF_OTHERS = new Set(['openid', 'profile', 'email', OFFLINE_ACCESS]);

function invalid(description: string): AuthorizeRefusal {
  return { error: 'invalid_request', description };
}

/** Postgres' text has no NUL. */
function isStorable(value: string): boolean {
  return !value.includes('\0');
}
