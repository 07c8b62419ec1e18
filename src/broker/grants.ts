import type { SessionFacts, SignInSession } from '../access/session.ts';
import { addCode } from '../access/session-codes.ts';
import { openSession, type Run } from '../access/sessions.ts';
import { sweepSessions } from '../access/sweep-sessions.ts';
import type { AuditLog } from '../audit/audit.ts';
import { CONTROL_LOGIN } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { FrameError, toFrameError, unavailable } from '../errors.ts';
import type { Observe } from '../observe.ts';
import type { Asked } from './asked.ts';
import type { Clients } from './clients.ts';
import { type GrantRefusal, oauthErrorOf } from './grant-refusal.ts';
import type { RefreshLimits } from './refresh.ts';
import { readRevocation, revoke } from './revoke-endpoint.ts';
import { tokenAnswer } from './token-answer.ts';
import { readTokenRequest, type TokenRequest } from './token-endpoint.ts';

/**
 * What comes of a person's agreement: a code, tokens for it, new ones for old ones, and their end. Who the person is and
 * whether they agreed was found out before; what a token opens is decided in access/.
 */
export interface Grants {
  /** Opens the session. Resolves to the code for the client. */
  issueCode(grant: Grant): Promise<string>;
  /** POST /token. Throws OAuthError. */
  token(asked: Asked): Promise<Response>;
  /** POST /revoke. Throws OAuthError. */
  revoke(asked: Asked): Promise<Response>;
  /** Deletes what is long over. */
  sweep(): Promise<void>;
}

export interface Grant extends SessionFacts {
  redirectUri: string;
  /** PKCE, S256. */
  codeChallenge: string;
}

/** The section `sign_in` of config/gateway.yaml. */
export interface GrantLimits extends RefreshLimits {
  codeSeconds: number;
  sessionDays: number;
}

export interface GrantsParts {
  pools: Pick<Pools, 'query' | 'transaction'>;
  clients: Pick<Clients, 'touch'>;
  audit: Pick<AuditLog, 'append'>;
  /** Milliseconds since 1970. */
  now(): number;
  observe: Observe;
  limits: GrantLimits;
}

export function createGrants({ pools, clients, audit, now, observe, limits }: GrantsParts): Grants {
  return {
    issueCode: ({ redirectUri, codeChallenge, ...facts }) =>
      inTransaction(async run => {
        const nowMs = now();
        const sessionId = await openSession(run, facts, nowMs, nowMs + limits.sessionDays * DAY_MS);
        const code = { clientId: facts.client.id, redirectUri, codeChallenge };
        return addCode(run, sessionId, code, nowMs + limits.codeSeconds * 1000);
      }),
    async token(asked) {
      const request = readTokenRequest(asked);
      const nowMs = now();
      const outcome = await inTransaction(run => exchange(run, request, asked, nowMs));
      if ('refused' in outcome) return refuse(outcome, request, asked);
      clients.touch(outcome.session.client.id);
      return tokenAnswer(outcome.tokens, nowMs);
    },
    async revoke(asked) {
      const revocation = readRevocation(asked);
      const session = await inTransaction(run => revoke(run, revocation, now()));
      if (session) await record(asked, { tool: 'sign_in.revoke', session, scopes: session.scopes });
      return new Response(null, { headers: { 'Cache-Control': 'no-store' } });
    },
    sweep: () => sweepSessions(pools, now()),
  };

  /** Recorded before it is committed: no token leaves that nobody knows of. */
  async function exchange(run: Run, { tool, grant }: TokenRequest, asked: Asked, nowMs: number) {
    const outcome = await grant(run, limits, nowMs);
    if (!('refused' in outcome) && !outcome.isRepeated) {
      const { session, tokens } = outcome;
      await record(asked, { tool, session, scopes: tokens.scopes });
    }
    return outcome;
  }

  /** Recorded afterwards: what a replay ended stays ended, also when that cannot be recorded. */
  async function refuse(refusal: GrantRefusal, { tool }: TokenRequest, asked: Asked): Promise<never> {
    const { refused: reason, session } = refusal;
    await record(asked, { tool, session, scopes: session?.scopes, reason });
    throw oauthErrorOf(refusal);
  }

  async function record({ requestId }: Asked, { tool, session, scopes, reason }: Step): Promise<void> {
    const outcome = reason === undefined ? 'ok' : 'refused';
    observe({
      kind: 'sign-in',
      requestId,
      customer: session?.customer,
      step: tool,
      outcome,
      reason,
      detail: session?.id,
    });
    if (!session) return;
    const { id, customer, person, client } = session;
    const { tenantId, objectId, name, username } = person;
    await audit.append({
      at: now(),
      requestId,
      customer,
      actor: { tenantId, objectId, name, username },
      client: client.name,
      tool,
      phase: 'call',
      outcome,
      arguments: { session: id, client_id: client.id, scopes, ...(reason && { reason }) },
    });
  }

  /** Whatever fails in here is on our side: a client that was told anything else would throw good tokens away. */
  async function inTransaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    try {
      return await pools.transaction(CONTROL_LOGIN, ({ query }) => work(query));
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) observe({ kind: 'crash-averted', where: 'sign-in', error: thrown });
      const { detail } = toFrameError(thrown);
      throw unavailable('Sign-ins cannot be served now.', { detail, cause: thrown });
    }
  }
}

// Private

const DAY_MS = 86_400_000;

interface Step {
  tool: TokenRequest['tool'] | 'sign_in.revoke';
  session: SignInSession | undefined;
  scopes: readonly string[] | undefined;
  /** Why it was refused. */
  reason?: string;
}
