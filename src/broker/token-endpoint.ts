import { digestOf } from '../access/secret-text.ts';
import type { Run } from '../access/sessions.ts';
import { type Asked, resourceOf } from './asked.ts';
import type { GrantRefusal } from './grant-refusal.ts';
import { areResources, readClientId, readParameters, required } from './grant-request.ts';
import { OAuthError } from './oauth-error.ts';
import { type Granted, redeemCode, settleCode } from './redeem-code.ts';
import { type RefreshLimits, refresh, settleRefresh } from './refresh.ts';

/** POST /token, read: what is asked for, and how to do it. */
export interface TokenRequest {
  tool: 'sign_in.token' | 'sign_in.refresh';
  clientId: string;
  /** The code, or the refresh token. */
  secret: string;
  /** Who asks for the same at the same time gets the same answer. Undefined: a code that comes twice was stolen. */
  sameAs: string | undefined;
  /** What one read can tell, so that strangers begin no transactions; undefined: grant() has to be asked. */
  settle(run: Run, limits: RefreshLimits, nowMs: number): Promise<Granted | GrantRefusal | undefined>;
  /** In a transaction. */
  grant(run: Run, limits: RefreshLimits, nowMs: number): Promise<Granted | GrantRefusal>;
}

/** Throws OAuthError for what is no token request at all. */
export function readTokenRequest({ headers, parameters: sent, site }: Asked): TokenRequest {
  const parameters = readParameters(sent);
  const clientId = readClientId(headers, parameters) ?? required(parameters, 'client_id');
  if (!areResources(sent.getAll('resource').filter(Boolean), resourceOf(site))) {
    throw new OAuthError('invalid_target', `The resource here is ${resourceOf(site)}.`);
  }
  switch (required(parameters, 'grant_type')) {
    case 'authorization_code': {
      const code = required(parameters, 'code');
      const redirectUri = required(parameters, 'redirect_uri');
      const codeVerifier = required(parameters, 'code_verifier');
      const redemption = { code, clientId, site, redirectUri, codeVerifier };
      return {
        tool: 'sign_in.token',
        clientId,
        secret: code,
        sameAs: undefined,
        settle: (run, _limits, nowMs) => settleCode(run, redemption, nowMs),
        grant: (run, lives, nowMs) => redeemCode(run, redemption, lives, nowMs),
      };
    }
    case 'refresh_token': {
      const refreshToken = required(parameters, 'refresh_token');
      const scope = parameters.get('scope');
      const request = { refreshToken, clientId, site, scope };
      return {
        tool: 'sign_in.refresh',
        clientId,
        secret: refreshToken,
        sameAs: digestOf(JSON.stringify([refreshToken, clientId, scope, site.origin])),
        settle: (run, limits, nowMs) => settleRefresh(run, request, limits, nowMs),
        grant: (run, limits, nowMs) => refresh(run, request, limits, nowMs),
      };
    }
    default:
      throw new OAuthError('unsupported_grant_type', 'grant_type must be authorization_code or refresh_token.');
  }
}
