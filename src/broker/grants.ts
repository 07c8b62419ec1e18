import type { SessionFacts } from '../access/session.ts';
import { addCode } from '../access/session-codes.ts';
import { openSession, type Run, runOn } from '../access/sessions.ts';
import { sweepSessions } from '../access/sweep-sessions.ts';
import { createTokenMemory } from '../access/token-memory.ts';
import { networkOf } from '../address.ts';
import type { AuditLog } from '../audit/audit.ts';
import { CONTROL_LOGIN } from '../database/place.ts';
import { FrameError, toFrameError, unavailable } from '../errors.ts';
import type { Observe } from '../observe.ts';
import type { Asked } from './asked.ts';
import type { Clients } from './clients.ts';
import type { BrokerPools } from './gated-pools.ts';
import { type GrantRefusal, oauthErrorOf } from './grant-refusal.ts';
import { createGuesses } from './guesses.ts';
import { createJoined } from './joined.ts';
import { createRecordGrant } from './record-grant.ts';
import type { Granted } from './redeem-code.ts';
import type { RefreshLimits } from './refresh.ts';
import { isKnown, type Revocation, readRevocation, revoke } from './revoke-endpoint.ts';
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
  /** Codes and tokens that nobody gave out, from one network, before no more of them are looked up. */
  guessesPerMinute?: number | undefined;
}

export interface GrantsParts {
  pools: BrokerPools;
  clients: Pick<Clients, 'touch' | 'isGone'>;
  audit: Pick<AuditLog, 'append'>;
  /** Milliseconds since 1970. */
  now(): number;
  observe: Observe;
  limits: GrantLimits;
}

export function createGrants(parts: GrantsParts): Grants {
  const { pools, clients, now, observe, limits } = parts;
  const record = createRecordGrant(parts);
  const reads = runOn(pools);
  const guesses = createGuesses(now, limits.guessesPerMinute);
  // By code or token and client.
  const unknown = createTokenMemory<GrantRefusal>(MAX_UNKNOWN, now);
  const joined = createJoined<Granted | GrantRefusal>();

  return {
    async issueCode({ redirectUri, codeChallenge, ...facts }) {
      const secret = await inTransaction(async run => {
        const nowMs = now();
        const sessionId = await openSession(run, facts, nowMs, nowMs + limits.sessionDays * DAY_MS);
        const code = { clientId: facts.client.id, redirectUri, codeChallenge };
        return addCode(run, sessionId, code, nowMs + limits.codeSeconds * 1000);
      });
      guesses.vouch(keyOf({ secret, clientId: facts.client.id }));
      return secret;
    },
    async token(asked) {
      const request = readTokenRequest(asked);
      const nowMs = now();
      const work = () => exchange(request, asked, nowMs);
      // From one network: what another one is refused for is nothing to this one.
      const same = request.sameAs && `${request.sameAs} ${networkOf(asked.from)}`;
      const outcome = await (same === undefined ? work() : joined(same, work));
      if ('refused' in outcome) return refuse(outcome, request, asked);
      return tokenAnswer(outcome.tokens, nowMs);
    },
    async revoke(asked) {
      const revocation = readRevocation(asked);
      const key = revocationKeyOf(revocation.token);
      if (!unknown.recall(key)) {
        const look = () => serve(() => isKnown(reads, revocation.token));
        const isThere = await guesses.look(key, asked.from, look, is => !is);
        if (isThere) await end(revocation, asked);
        else unknown.remember(key, { refused: 'token-unknown' }, now() + UNKNOWN_MS);
      }
      return new Response(null, { headers: { 'Cache-Control': 'no-store' } });
    },
    sweep: () => sweepSessions(pools, now()),
  };

  async function exchange(request: TokenRequest, asked: Asked, nowMs: number): Promise<Granted | GrantRefusal> {
    const settled = await settle(request, asked, nowMs);
    if (settled) return settled;
    const outcome = await inTransaction(run => grantRecorded(run, request, asked, nowMs));
    if (!('refused' in outcome)) {
      const { session, tokens } = outcome;
      guesses.vouch(keyOf({ secret: tokens.refreshToken, clientId: session.client.id }));
      for (const token of [tokens.refreshToken, tokens.accessToken]) guesses.vouch(revocationKeyOf(token));
      clients.touch(session.client.id);
    }
    return outcome;
  }

  /** A transaction takes four turns on one of a few connections: strangers get one, and none for the same text again. */
  async function settle(request: TokenRequest, { from }: Asked, nowMs: number) {
    const key = keyOf(request);
    const known = unknown.recall(key);
    if (known) return known;
    const settled = await guesses.look(key, from, () => serve(() => lookUp(request, nowMs)), isUnknown);
    if (isUnknown(settled)) unknown.remember(key, settled, nowMs + UNKNOWN_MS);
    return settled;
  }

  /** When the database was restored, or the client swept, there is no other way for it than to register again. */
  async function lookUp({ settle, clientId }: TokenRequest, nowMs: number) {
    const settled = await settle(reads, limits, nowMs);
    const isGone = isUnknown(settled) && (await clients.isGone(clientId));
    return isGone ? CLIENT_GONE : settled;
  }

  /** Recorded before it is committed: no token leaves that nobody knows of. */
  async function grantRecorded(run: Run, { tool, grant }: TokenRequest, asked: Asked, nowMs: number) {
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
    throw oauthErrorOf(refusal, /^basic /i.test(asked.headers.get('authorization') ?? ''));
  }

  async function end(revocation: Revocation, asked: Asked): Promise<void> {
    const session = await inTransaction(run => revoke(run, revocation, now()));
    if (session) await record(asked, { tool: 'sign_in.revoke', session, scopes: session.scopes });
  }

  function inTransaction<T>(work: (run: Run) => Promise<T>): Promise<T> {
    return serve(() => pools.transaction(CONTROL_LOGIN, ({ query }) => work(query)));
  }

  /** Whatever fails in here is on our side: a client that was told anything else would throw good tokens away. */
  async function serve<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (!(thrown instanceof FrameError)) observe({ kind: 'crash-averted', where: 'sign-in', error: thrown });
      const { detail } = toFrameError(thrown);
      throw unavailable('Sign-ins cannot be served now.', { detail, cause: thrown });
    }
  }
}

// Private

const DAY_MS = 86_400_000;
/** A program that keeps sending a dead token asks the database once in this time. */
const UNKNOWN_MS = 60_000;
const MAX_UNKNOWN = 10_000;
const CLIENT_GONE: GrantRefusal = { refused: 'client-gone' };

/** Two kinds that never meet: whoever revokes a text of their own must not make a good one unknown. */
function keyOf({ secret, clientId }: Pick<TokenRequest, 'secret' | 'clientId'>): string {
  return `exchange ${secret} ${clientId}`;
}

function revocationKeyOf(token: string): string {
  return `revoke ${token}`;
}

function isUnknown(outcome: Granted | GrantRefusal | undefined): outcome is GrantRefusal {
  return outcome !== undefined && 'refused' in outcome && outcome.session === undefined;
}
