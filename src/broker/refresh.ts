import { mayRead, SCOPES, toScopes } from '../access/scopes.ts';
import { isSecretText } from '../access/secret-text.ts';
import {
  findToken,
  issueTokens,
  lockToken,
  markExchanged,
  openAnswer,
  type StoredToken,
  type TokenLives,
} from '../access/session-tokens.ts';
import { type Run, revokeSessions, touchSession } from '../access/sessions.ts';
import { type Asker, type GrantRefusal, judgeSession } from './grant-refusal.ts';
import type { Granted } from './redeem-code.ts';

export interface RefreshRequest extends Asker {
  refreshToken: string;
  scope: string | undefined;
}

export interface RefreshLimits extends TokenLives {
  /** A token that was exchanged gets the same answer again for so long. */
  replaySeconds: number;
}

/** What one read can tell: who asks in vain, and who asks again. Undefined: there is something to do, see refresh(). */
export async function settleRefresh(
  run: Run,
  request: RefreshRequest,
  limits: RefreshLimits,
  nowMs: number,
): Promise<Granted | GrantRefusal | undefined> {
  const { refreshToken } = request;
  return settle(isSecretText('refresh', refreshToken) ? await findToken(run, refreshToken) : undefined, {
    request,
    limits,
    nowMs,
  });
}

/**
 * grant_type=refresh_token, in a transaction. A token is exchanged once, but clients lose answers, and several windows of
 * one program share a token: who asks again within moments gets what the first one got. Later it can only be a copy.
 */
export async function refresh(
  run: Run,
  request: RefreshRequest,
  limits: RefreshLimits,
  nowMs: number,
): Promise<Granted | GrantRefusal> {
  const { refreshToken } = request;
  const token = await lockToken(run, refreshToken);
  const settled = settle(token, { request, limits, nowMs });
  if (settled || !token) return settled ?? UNKNOWN;
  const { session, usedAt } = token;
  if (usedAt !== undefined) {
    await revokeSessions(run, { id: session.id }, 'token-replayed', nowMs);
    return { refused: 'token-replayed', session };
  }
  if (token.expiresAt <= nowMs) return { refused: 'token-expired', session };
  const scopes = narrow(session.scopes, request.scope);
  if (!scopes) return { refused: 'wrong-scope', session };
  const tokens = await issueTokens(run, session, scopes, limits, nowMs);
  await markExchanged(run, refreshToken, session, tokens, nowMs);
  await touchSession(run, session, nowMs);
  return { session, tokens, isRepeated: false };
}

// Private

const UNKNOWN: GrantRefusal = { refused: 'token-unknown' };

interface Question {
  request: RefreshRequest;
  limits: RefreshLimits;
  nowMs: number;
}

/** Nothing of this can change any more: it holds with and without a lock. */
function settle(
  token: StoredToken | undefined,
  { request, limits, nowMs }: Question,
): Granted | GrantRefusal | undefined {
  if (token?.kind !== 'refresh') return UNKNOWN;
  const { session, usedAt } = token;
  const refused = judgeSession(session, request, nowMs);
  if (refused) return { refused, session };
  if (usedAt === undefined || nowMs - usedAt > limits.replaySeconds * 1000) return undefined;
  const tokens = openAnswer(request.refreshToken, token);
  return tokens && { session, tokens, isRepeated: true };
}

/** RFC 6749 §6: less than was agreed to, never more. Words that are not ours neither add nor take anything. */
function narrow(agreed: readonly string[], parameter = ''): readonly string[] | undefined {
  const asked = toScopes(parameter).filter(scope => SCOPES.includes(scope));
  if (asked.length === 0) return agreed;
  const scopes = agreed.filter(scope => asked.includes(scope) || !SCOPES.includes(scope));
  return mayRead(scopes) ? scopes : undefined;
}
