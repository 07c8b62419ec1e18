import { type Document, mendDifference, readAlike, readObject, texts } from './documents.ts';
import type { Path } from './path.ts';
import { broken, type Finding, ok, skipped } from './walk.ts';

/** RFC 8414: the gateway as the authorization server, at both addresses that clients make of it. */
export async function lookAtSignIn({ network, customer, origin }: Path): Promise<Finding> {
  if (customer.signIn === 'direct') return skipped('sign_in is direct: programs ask Entra itself.');
  const address = `${origin}/.well-known/oauth-authorization-server`;
  const read = await readAlike(network, [address, `${address}/frame/mcp`]);
  if ('fault' in read) return read.fault;
  const fault = faultOfDocument(read.document, origin);
  return fault === undefined ? ok(`Issuer ${origin}, with S256.`) : broken(fault, mendDifference(customer.id));
}

/** RFC 7591: a program that cannot be registered must be refused in these words. It is, and nothing stays behind. */
export async function lookAtRegistration({ network, customer, origin }: Path): Promise<Finding> {
  if (customer.signIn === 'direct') return skipped('sign_in is direct: Entra registers no programs.');
  const reply = await network.ask(`${origin}/register`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ client_name: 'Frame doctor', redirect_uris: [] }),
  });
  if (reply.status === 400 && readObject(reply)?.error === 'invalid_redirect_uri') {
    return ok('A program without addresses is refused, as it must be; nothing was registered.');
  }
  return broken(
    `A program without addresses is answered with ${reply.status} instead of 400 invalid_redirect_uri.`,
    'Look for rules on POST /register in front of the gateway: claude.ai, Cursor and others begin there.',
  );
}

// Private

/** Whatever is written there, claude.ai asks at these. */
const ENDPOINTS = {
  authorization_endpoint: '/authorize',
  token_endpoint: '/token',
  registration_endpoint: '/register',
};

/** A list, something that must be in it, and what happens without. */
const LISTS = [
  ['code_challenge_methods_supported', 'S256', 'every client refuses'],
  ['response_types_supported', 'code', 'every client refuses'],
  ['token_endpoint_auth_methods_supported', 'none', 'programs without a secret refuse'],
  ['grant_types_supported', 'refresh_token', 'people sign in again every few minutes'],
] as const;

function faultOfDocument(document: Document, origin: string): string | undefined {
  if (document.issuer !== origin) {
    return `\`issuer\` is ${JSON.stringify(document.issuer)}, not "${origin}", so no client goes on.`;
  }
  const elsewhere = Object.entries(ENDPOINTS).find(([key, path]) => document[key] !== `${origin}${path}`);
  if (elsewhere) return `\`${elsewhere[0]}\` is not at ${elsewhere[1]} of the origin, where claude.ai looks for it.`;
  const short = LISTS.find(([key, wanted]) => !texts(document, key).includes(wanted));
  return short && `\`${short[0]}\` lacks ${short[1]}: ${short[2]}.`;
}
