import { hash, timingSafeEqual } from 'node:crypto';
import { isSecretText } from '../access/secret-text.ts';
import type { SignInSession } from '../access/session.ts';
import { findCode, type StoredCode, takeCode } from '../access/session-codes.ts';
import { issueTokens, type TokenLives, type TokenPair } from '../access/session-tokens.ts';
import { type Run, revokeSessions } from '../access/sessions.ts';
import { type Asker, type GrantReason, type GrantRefusal, judgeSession } from './grant-refusal.ts';

export interface Redemption extends Asker {
  code: string;
  redirectUri: string;
  codeVerifier: string;
}

export interface Granted {
  session: SignInSession;
  tokens: TokenPair;
  /** The same answer as before, to the same question. */
  isRepeated: boolean;
}

/** What one read can tell: who asks in vain. Undefined: there is something to do, see redeemCode(). */
export async function settleCode(run: Run, redemption: Redemption, nowMs: number): Promise<GrantRefusal | undefined> {
  const code = isSecretText('code', redemption.code) ? await findCode(run, redemption.code) : undefined;
  if (!code) return UNKNOWN;
  const refused = judge(code, redemption, nowMs);
  return refused && refused !== 'code-replayed' ? { refused, session: code.session } : undefined;
}

/** grant_type=authorization_code, in a transaction. What fails a check changes nothing; what passes all is good once. */
export async function redeemCode(
  run: Run,
  redemption: Redemption,
  lives: TokenLives,
  nowMs: number,
): Promise<Granted | GrantRefusal> {
  const code = await findCode(run, redemption.code);
  if (!code) return UNKNOWN;
  const { session } = code;
  const refused = judge(code, redemption, nowMs);
  if (refused && refused !== 'code-replayed') return { refused, session };
  // Many may get here at once with the same code: the database lets one of them through.
  if (refused || !(await takeCode(run, redemption.code, nowMs))) {
    // RFC 6749 §4.1.2: one of those who had it stole it, and nobody can say which.
    await revokeSessions(run, { id: session.id }, 'code-replayed', nowMs);
    return { refused: 'code-replayed', session };
  }
  return { session, tokens: await issueTokens(run, session, session.scopes, lives, nowMs), isRepeated: false };
}

// Private

const UNKNOWN: GrantRefusal = { refused: 'code-unknown' };

function judge(code: StoredCode, given: Redemption, nowMs: number): GrantReason | undefined {
  if (code.isUsed) return 'code-replayed';
  if (code.expiresAt <= nowMs) return 'code-expired';
  if (code.redirectUri !== given.redirectUri) return 'wrong-redirect';
  if (!isVerifierOf(given.codeVerifier, code.codeChallenge)) return 'wrong-verifier';
  return judgeSession(code.session, given, nowMs);
}

/** RFC 7636 §4.1, §4.6. */
function isVerifierOf(verifier: string, challenge: string): boolean {
  if (!/^[\w.~-]{43,128}$/.test(verifier)) return false;
  const computed = Buffer.from(hash('sha256', verifier, 'base64url'));
  const expected = Buffer.from(challenge);
  return computed.length === expected.length && timingSafeEqual(computed, expected);
}
