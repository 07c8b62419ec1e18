import type { JWK } from 'jose';
import { v1Issuer, v2Issuer } from './claims.ts';

/** What a tenant publishes about itself. As Entra's, it says nothing of PKCE, of `iss` in answers, or of registration. */
export function openidConfiguration(authority: string, tenantId: string, version: 1 | 2) {
  const tenant = `${authority}/${tenantId}`;
  return {
    issuer: version === 2 ? v2Issuer(authority, tenantId) : v1Issuer(authority, tenantId),
    authorization_endpoint: `${tenant}/oauth2/v2.0/authorize`,
    token_endpoint: `${tenant}/oauth2/v2.0/token`,
    jwks_uri: version === 2 ? `${tenant}/discovery/v2.0/keys` : `${tenant}/discovery/keys`,
    token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'],
    response_modes_supported: ['query'],
    response_types_supported: ['code'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    request_uri_parameter_supported: false,
    claims_supported: [
      'sub',
      'iss',
      'aud',
      'exp',
      'iat',
      'nonce',
      'name',
      'oid',
      'preferred_username',
      'tid',
      'ver',
      'email',
    ],
  };
}

export function keyDocument(authority: string, tenantId: string, keys: readonly JWK[]) {
  return { keys: keys.map(key => ({ ...key, issuer: v2Issuer(authority, tenantId) })) };
}
