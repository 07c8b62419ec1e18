import { timingSafeEqual } from 'node:crypto';
import { findClient } from './authorization-request.ts';
import { accessTokenClaims, accessTokenHeader, idTokenClaims, TOKEN_SECONDS } from './claims.ts';
import { EntraError } from './entra-error.ts';
import { type Codes, openRefreshToken, type SignIn, sealRefreshToken } from './grants.ts';
import { Parameters } from './parameters.ts';
import { checkResource, readScopes } from './scopes.ts';
import { findPerson, type Platform, type StandInClient, type StandInTenant } from './tenant.ts';
import type { TenantKeys } from './tenant-keys.ts';

export interface TokenRequest {
  form: URLSearchParams;
  authorization: string | undefined;
  /** The Origin header, which browsers send. */
  origin: string | undefined;
}

export interface TokenParts {
  authority: string;
  tenant: StandInTenant;
  keys: TenantKeys;
  codes: Codes;
  now(): number;
}

/** Redeems a code or a refresh token for the body of a token response. Throws EntraError. */
export async function redeem(request: TokenRequest, parts: TokenParts): Promise<Record<string, unknown>> {
  const { tenant, codes } = parts;
  const parameters = new Parameters(withBasicCredentials(request));
  const client = findClient(tenant, parameters.required('client_id'));
  const { signIn, nonce, code } = await readGrant(parameters, client, parts);
  checkOrigin(signIn.platform, request.origin);
  checkSecret(client, signIn.platform, parameters.optional('client_secret'));
  checkScopes(parameters, signIn, tenant);
  if (code) codes.spend(code);
  return issueTokens(signIn, nonce, parts);
}

// Private

interface FoundGrant {
  signIn: SignIn;
  nonce?: string | undefined;
  code?: string;
}

async function readGrant(
  parameters: Parameters,
  { clientId }: StandInClient,
  { tenant, codes, keys, now }: TokenParts,
): Promise<FoundGrant> {
  const grantType = parameters.required('grant_type');
  switch (grantType) {
    case 'authorization_code': {
      const code = parameters.required('code');
      const { tenantId } = tenant;
      const redirectUri = parameters.required('redirect_uri');
      const verifier = parameters.optional('code_verifier');
      const facts = codes.find(code, { tenantId, clientId, redirectUri, verifier });
      return { signIn: facts, nonce: facts.nonce, code };
    }
    case 'refresh_token': {
      const signIn = await openRefreshToken(parameters.required('refresh_token'), await keys.sealingKey(), now());
      if (signIn.clientId !== clientId) throw new EntraError(70000, 'Provided grant is invalid or malformed.');
      return { signIn };
    }
    default:
      throw new EntraError(70003, `The app requested an unsupported grant type '${grantType}'.`);
  }
}

/** Client id and secret may come in a Basic header (RFC 6749 §2.3.1) instead of the form. */
function withBasicCredentials({ form, authorization }: TokenRequest): URLSearchParams {
  const basic = /^basic (.+)$/i.exec(authorization ?? '')?.[1];
  if (!basic) return form;
  const [id = '', secret = ''] = Buffer.from(basic, 'base64').toString('utf8').split(':', 2);
  const both = new URLSearchParams(form);
  both.set('client_id', decodeForm(id));
  both.set('client_secret', decodeForm(secret));
  return both;
}

function decodeForm(text: string): string {
  return new URLSearchParams(`_=${text}`).get('_') ?? '';
}

function checkOrigin(platform: Platform, origin: string | undefined): void {
  if (platform === 'spa' && !origin) {
    throw new EntraError(
      9002327,
      "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests.",
    );
  }
  if (platform !== 'spa' && origin) {
    throw new EntraError(
      9002326,
      "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type.",
    );
  }
}

function checkSecret(client: StandInClient, platform: Platform, secret: string | undefined): void {
  if (platform !== 'web') {
    if (!secret) return;
    throw new EntraError(
      700025,
      "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
    );
  }
  if (!secret) {
    throw new EntraError(
      7000218,
      "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
    );
  }
  if (client.secret === undefined || !isEqual(secret, client.secret)) {
    throw new EntraError(7000215, 'Invalid client secret provided.');
  }
}

function isEqual(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Scopes may be named again, but nobody agreed to others. */
function checkScopes(parameters: Parameters, { scopes }: SignIn, { api }: StandInTenant): void {
  checkResource(parameters.optional('resource'), scopes, api);
  const text = parameters.optional('scope');
  if (!text) return;
  const again = readScopes(text, api);
  if (again.names.every(name => scopes.names.includes(name))) return;
  throw new EntraError(65001, 'The user or administrator has not consented to use the application.');
}

async function issueTokens(signIn: SignIn, nonce: string | undefined, { authority, tenant, keys, now }: TokenParts) {
  const { clientId, scopes } = signIn;
  const person = findPerson(tenant, signIn.objectId);
  if (!person) throw new EntraError(50034, 'The user account does not exist in the directory.');
  const grant = { tenant, person, clientId, scopes };
  return {
    token_type: 'Bearer',
    scope: scopes.names.map(name => `${scopes.resource}/${name}`).join(' ') || 'openid profile email',
    expires_in: TOKEN_SECONDS,
    ext_expires_in: TOKEN_SECONDS,
    access_token: await keys.sign(accessTokenClaims(authority, grant, now()), accessTokenHeader(grant)),
    ...(scopes.offlineAccess && { refresh_token: await sealRefreshToken(signIn, await keys.sealingKey(), now()) }),
    ...(scopes.openid && { id_token: await keys.sign(idTokenClaims(authority, grant, nonce, now())) }),
  };
}
