import { isOver, type SignInSession } from '../access/session.ts';
import { resourceOf, type Site } from './asked.ts';
import { OAuthError } from './oauth-error.ts';

/** Why no tokens are given. Inside every reason has its own name, for our log; outside they collapse. */
export interface GrantRefusal {
  refused: GrantReason;
  /** Whose code or token it was. */
  session?: SignInSession;
}

export type GrantReason =
  | 'code-unknown'
  | 'code-expired'
  | 'code-replayed'
  | 'token-unknown'
  | 'client-gone'
  | 'token-expired'
  | 'token-replayed'
  | 'session-over'
  | 'wrong-client'
  | 'wrong-customer'
  | 'wrong-redirect'
  | 'wrong-verifier'
  | 'wrong-resource'
  | 'wrong-scope';

/** Who asks for tokens, and where. */
export interface Asker {
  clientId: string;
  site: Site;
}

/** What holds for every grant. */
export function judgeSession(
  session: SignInSession,
  { clientId, site }: Asker,
  nowMs: number,
): GrantReason | undefined {
  if (session.client.id !== clientId) return 'wrong-client';
  if (isOver(session, nowMs)) return 'session-over';
  if (session.resource !== resourceOf(site)) return 'wrong-resource';
  const customer = site.customers.find(({ id }) => id === session.customer);
  return customer?.entra.tenantId === session.person.tenantId ? undefined : 'wrong-customer';
}

/** `usedBasic`: the client named itself by HTTP Basic. */
export function oauthErrorOf({ refused }: GrantRefusal, usedBasic: boolean): OAuthError {
  const facts = { detail: refused };
  switch (refused) {
    case 'client-gone':
      return new OAuthError('invalid_client', 'The client is not registered here any more: register again.', {
        ...facts,
        status: 401,
        usedBasic,
      });
    case 'wrong-scope':
      return new OAuthError('invalid_scope', 'The person did not agree to this scope.', facts);
    case 'code-unknown':
    case 'code-expired':
    case 'code-replayed':
    case 'token-unknown':
    case 'token-expired':
    case 'token-replayed':
    case 'session-over':
    case 'wrong-client':
    case 'wrong-customer':
    case 'wrong-resource':
    case 'wrong-redirect':
    case 'wrong-verifier':
      return new OAuthError('invalid_grant', 'The code or token is invalid, expired or revoked: sign in again.', facts);
  }
}
