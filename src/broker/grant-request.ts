import { OAuthError } from './oauth-error.ts';

/**
 * The form of /token and /revoke. RFC 6749 §3.2: nothing twice, and what has no value counts as left out. Only `resource`
 * may come several times (RFC 8707 §2).
 */
export function readParameters(sent: URLSearchParams): ReadonlyMap<string, string> {
  const parameters = new Map([...sent].filter(([, value]) => value !== ''));
  const names = [...sent.keys()].filter(name => name !== 'resource');
  if (new Set(names).size !== names.length) throw new OAuthError('invalid_request', 'A parameter is repeated.');
  return parameters;
}

export function required(parameters: ReadonlyMap<string, string>, name: string): string {
  const value = parameters.get(name);
  if (value === undefined) throw new OAuthError('invalid_request', `${name} is missing.`);
  return value;
}

/**
 * Our clients have no secret, but some send one all the same, or their name by HTTP Basic: both are let pass, as long as
 * they name one client. A code or token is good only for the client that it was given to.
 */
export function readClientId(headers: Headers, parameters: ReadonlyMap<string, string>): string | undefined {
  const named = parameters.get('client_id');
  const basic = readBasic(headers.get('authorization') ?? '');
  if (named !== undefined && basic !== undefined && named !== basic) {
    throw new OAuthError('invalid_request', 'The request names two clients.');
  }
  return named ?? basic;
}

/** Whether whatever was given as `resource` means ours; clients of 2025-03-26 name none. */
export function areResources(given: readonly string[], resource: string): boolean {
  return given.every(one => isResource(one, resource));
}

// Private

/** Clients write it with a slash at the end, or scheme and host in capitals; all else must be as it was agreed. */
function isResource(given: string, resource: string): boolean {
  const [, start = '', rest = ''] = /^([a-z]+:\/\/[^/?#]*)(.*)$/is.exec(given) ?? [];
  return `${start.toLowerCase()}${rest.replace(/\/$/, '')}` === resource;
}

/** The user name, which may be an address: then not every client encodes it (RFC 6749 §2.3.1), and the last colon counts. */
function readBasic(authorization: string): string | undefined {
  if (!/^basic( |$)/i.test(authorization)) return undefined;
  const encoded = /^basic +([\w+/-]+=*)$/i.exec(authorization)?.[1] ?? '';
  const pair = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = pair.lastIndexOf(':');
  if (colon < 1) throw new OAuthError('invalid_request', 'The Authorization header is malformed.');
  return decode(pair.slice(0, colon));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
