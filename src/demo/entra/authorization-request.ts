import { EntraError } from './entra-error.ts';
import type { Parameters } from './parameters.ts';
import { checkResource, type RequestedScopes, readScopes } from './scopes.ts';
import { findRedirect, type Platform, type StandInClient, type StandInTenant } from './tenant.ts';

/** Where an answer may be sent, once client and address are known to belong together. */
export interface ReturnAddress {
  client: StandInClient;
  redirectUri: string;
  platform: Platform;
  state: string | undefined;
}

/** A request to sign in that Entra would show its page for. */
export interface AuthorizationRequest {
  scopes: RequestedScopes;
  challenge: string | undefined;
  nonce: string | undefined;
  loginHint: string | undefined;
}

/** Throws what must be shown on a page of our own: nothing may be sent to an address that is not registered. */
export function readReturnAddress(parameters: Parameters, tenant: StandInTenant): ReturnAddress {
  const client = findClient(tenant, parameters.required('client_id'));
  const redirectUri = parameters.required('redirect_uri');
  const redirect = findRedirect(client, redirectUri);
  if (!redirect) {
    throw new EntraError(
      50011,
      `The redirect URI '${redirectUri}' specified in the request does not match the redirect URIs configured for the application '${client.clientId}'.`,
    );
  }
  return { client, redirectUri, platform: redirect.platform, state: parameters.optional('state') };
}

/** Throws what is sent back to the client. */
export function readAuthorizationRequest(
  parameters: Parameters,
  { platform }: ReturnAddress,
  { api }: StandInTenant,
): AuthorizationRequest {
  const responseType = parameters.required('response_type');
  if (responseType !== 'code') {
    throw new EntraError(700054, `response_type '${responseType}' is not enabled for the application.`);
  }
  if ((parameters.optional('response_mode') ?? 'query') !== 'query') {
    throw new EntraError(70007, "The stand-in knows no other value of 'response_mode' than 'query'.");
  }
  const scopes = readScopes(parameters.required('scope'), api);
  checkResource(parameters.optional('resource'), scopes, api);
  checkPrompt(parameters.optional('prompt'));
  return {
    scopes,
    challenge: readChallenge(parameters, platform),
    nonce: parameters.optional('nonce'),
    loginHint: parameters.optional('login_hint'),
  };
}

export function findClient(tenant: StandInTenant, clientId: string): StandInClient {
  const client = tenant.clients.find(candidate => candidate.clientId === clientId);
  if (client) return client;
  throw new EntraError(
    700016,
    `Application with identifier '${clientId}' was not found in the directory '${tenant.name}'.`,
  );
}

// Private

function checkPrompt(prompt: string | undefined): void {
  if (prompt === 'none') throw new EntraError(50058, 'A silent sign-in request was sent but no user is signed in.');
  if (prompt === undefined || ['login', 'consent', 'select_account'].includes(prompt)) return;
  throw new EntraError(90023, `Unsupported 'prompt' value '${prompt}'.`);
}

function readChallenge(parameters: Parameters, platform: Platform): string | undefined {
  const challenge = parameters.optional('code_challenge');
  if (!challenge && platform === 'web') return undefined;
  if (!challenge) {
    throw new EntraError(9002325, 'Proof Key for Code Exchange is required for authorization code redemption.');
  }
  const method = parameters.optional('code_challenge_method') ?? 'plain';
  if (method === 'S256' && /^[\w-]{43}$/.test(challenge)) return challenge;
  throw new EntraError(50147, 'The code challenge parameter is not valid: it must be S256.');
}
