import type { Run } from '../access/sessions.ts';
import { type Asked, resourceOf } from './asked.ts';
import type { GrantRefusal } from './grant-refusal.ts';
import { isResource, readClientId, readParameters, required } from './grant-request.ts';
import { OAuthError } from './oauth-error.ts';
import { type Granted, redeemCode } from './redeem-code.ts';
import { type RefreshLimits, refresh } from './refresh.ts';

/** POST /token, read: what is asked for, and how to do it once a transaction is open. */
export interface TokenRequest {
  tool: 'sign_in.token' | 'sign_in.refresh';
  grant(run: Run, limits: RefreshLimits, nowMs: number): Promise<Granted | GrantRefusal>;
}

/** Throws OAuthError for what is no token request at all. */
export function readTokenRequest({ headers, parameters: sent, site }: Asked): TokenRequest {
  const parameters = readParameters(sent);
  const clientId = readClientId(headers, parameters) ?? required(parameters, 'client_id');
  if (!isResource(parameters.get('resource'), resourceOf(site))) {
    throw new OAuthError('invalid_target', `The resource here is ${resourceOf(site)}.`);
  }
  switch (required(parameters, 'grant_type')) {
    case 'authorization_code': {
      const code = required(parameters, 'code');
      const redirectUri = required(parameters, 'redirect_uri');
      const codeVerifier = required(parameters, 'code_verifier');
      const redemption = { code, clientId, site, redirectUri, codeVerifier };
      return { tool: 'sign_in.token', grant: (run, lives, nowMs) => redeemCode(run, redemption, lives, nowMs) };
    }
    case 'refresh_token': {
      const refreshToken = required(parameters, 'refresh_token');
      const request = { refreshToken, clientId, site, scope: parameters.get('scope') };
      return { tool: 'sign_in.refresh', grant: (run, limits, nowMs) => refresh(run, request, limits, nowMs) };
    }
    default:
      throw new OAuthError('unsupported_grant_type', 'grant_type must be authorization_code or refresh_token.');
  }
}
