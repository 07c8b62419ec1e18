import type { Customer, EntraTenant } from '../customers/customer.ts';
import type { FrameError } from '../errors.ts';
import { v2Issuer } from './issuers.ts';
import { SCOPES } from './scopes.ts';

/** What clients are told about signing in: RFC 9728 documents and RFC 6750 challenges, as data. */
export interface ProtectedResource {
  resource: string;
  resource_name: string;
  authorization_servers: readonly string[];
  scopes_supported: readonly string[];
  bearer_methods_supported: readonly ['header'];
}

/** `customers`: those served at `origin`. */
export function protectedResource(origin: string, customers: readonly Customer[]): ProtectedResource {
  return {
    resource: `${origin}/frame/mcp`,
    resource_name: 'Frame',
    authorization_servers: [...new Set(customers.map(customer => issuerFor(origin, customer)))],
    scopes_supported: scopesOf(customers),
    bearer_methods_supported: ['header'],
  };
}

/** The value of WWW-Authenticate for this error; undefined when the answer must carry none. */
export function challenge(origin: string, customers: readonly Customer[], error: FrameError): string | undefined {
  const parameters = {
    resource_metadata: `${origin}/.well-known/oauth-protected-resource/frame/mcp`,
    scope: scopesOf(customers).join(' '),
  };
  switch (error.code) {
    case 'access/token-missing':
      return bearer(parameters);
    case 'access/token-invalid':
      return bearer({ ...parameters, error: 'invalid_token', error_description: error.message });
    case 'access/scope-missing':
      return bearer({ ...parameters, error: 'insufficient_scope', error_description: error.message });
    default:
      return undefined;
  }
}

// Private

function issuerFor(origin: string, { signIn, entra }: Customer): string {
  return signIn === 'broker' ? origin : v2Issuer(entra);
}

function scopesOf(customers: readonly Customer[]): string[] {
  return [
    ...new Set(customers.flatMap(({ signIn, entra }) => (signIn === 'broker' ? SCOPES : [qualifiedScope(entra)]))),
  ];
}

/** Entra reads a bare scope as one of Graph, so ours carries the name of the application. */
function qualifiedScope({ audience, scope }: EntraTenant): string {
  const uri = audience.find(value => value.includes('://')) ?? `api://${audience[0]}`;
  return `${uri}/${scope}`;
}

function bearer(parameters: Record<string, string>): string {
  return `Bearer ${Object.entries(parameters)
    .map(([name, value]) => `${name}=${quote(value)}`)
    .join(', ')}`;
}

/** RFC 9110 §5.6.4. A header line holds no control characters, and clients read it as ASCII. */
function quote(value: string): string {
  return `"${value.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(/["\\]/g, '\\$&')}"`;
}
