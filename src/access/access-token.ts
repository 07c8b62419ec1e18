import { networkOf } from '../address.ts';
import type { Customer } from '../customers/customer.ts';
import { CONTROL_LOGIN } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { toFrameError } from '../errors.ts';
import type { Observe } from '../observe.ts';
import { createLocalLimit } from './local-limit.ts';
import type { Refusal } from './refusal.ts';
import { isSecretText } from './secret-text.ts';
import { isOver, type SignedInPerson } from './session.ts';
import { findToken, type StoredToken } from './session-tokens.ts';
import { REVOCATIONS, runOn, touchSession } from './sessions.ts';
import { createTokenMemory } from './token-memory.ts';

/**
 * The access tokens that the gateway itself gave out (sign_in: broker), as the resource server sees them. It says who
 * somebody is and what they agreed to, not whether they get in.
 */
export interface AccessTokens {
  /** As a member of one of the customers served at `site`, and for what is served there. */
  find(token: string, site: TokenSite): Promise<TokenFinding | Refusal>;
  close(): Promise<void>;
}

export interface TokenSite {
  origin: string;
  customers: readonly Customer[];
  /** The visitor's address. */
  from: string;
}

export interface TokenFinding {
  customer: Customer;
  person: SignedInPerson;
  scopes: readonly string[];
  clientName: string;
}

export interface AccessTokensParts {
  pools: Pick<Pools, 'query' | 'listen'>;
  /** Milliseconds since 1970. */
  now(): number;
  observe: Observe;
  limits: { rememberTokens: number };
  /** Unknown tokens from one network before they are not looked up any more. */
  guessesPerMinute?: number;
}

/** Rejects when revocations cannot be heard of from the start. */
export async function createAccessTokens(parts: AccessTokensParts): Promise<AccessTokens> {
  const { pools, now, observe, limits, guessesPerMinute = GUESSES_PER_MINUTE } = parts;
  const run = runOn(pools);
  const memory = createTokenMemory<StoredToken>(limits.rememberTokens, now);
  // Found before: it is looked up again, whatever else comes from the same address.
  const proven = createTokenMemory<true>(limits.rememberTokens, now);
  const unknown = createTokenMemory<true>(limits.rememberTokens, now);
  const guesses = createLocalLimit(guessesPerMinute, now);
  let revocations = 0;
  const forget = (isMeant: (token: StoredToken) => boolean) => {
    revocations += 1;
    memory.forget(isMeant);
  };
  const close = await pools.listen(
    CONTROL_LOGIN,
    REVOCATIONS,
    sessionId => forget(({ session }) => session.id === sessionId),
    () => forget(() => true),
  );

  async function lookUp(text: string, network: string): Promise<StoredToken | Refusal> {
    if (unknown.recall(text)) return { refused: 'token-unknown', detail: 'again' };
    if (guesses.isSpent(network) && !proven.recall(text)) {
      return { refused: 'token-unknown', detail: 'not looked up after too many' };
    }
    const asked = { atMs: now(), revocations };
    let found: StoredToken | undefined;
    try {
      found = await findToken(run, text);
    } catch (thrown) {
      // Whatever it was, it was on our side: a client that read "bad token" would throw a good one away.
      return { refused: 'tokens-unreachable', detail: toFrameError(thrown).detail };
    }
    if (!found) {
      unknown.remember(text, true, asked.atMs + UNKNOWN_MS);
      guesses.take(network);
      return { refused: 'token-unknown' };
    }
    proven.remember(text, true, found.expiresAt);
    // What was revoked while we asked may be missing in the answer.
    if (asked.revocations === revocations) memory.remember(text, found, asked.atMs + REMEMBER_MS);
    touchSession(run, found.session, asked.atMs).catch(error =>
      observe({ kind: 'crash-averted', where: 'last use of a session', error }),
    );
    return found;
  }

  return {
    async find(text, { origin, customers, from }) {
      if (!isSecretText('access', text)) return { refused: 'token-malformed' };
      const token = memory.recall(text) ?? (await lookUp(text, networkOf(from)));
      if ('refused' in token) return token;
      const { session, scopes, expiresAt } = token;
      if (token.kind !== 'access') return { refused: 'wrong-type' };
      if (session.isRevoked) return { refused: 'revoked' };
      if (expiresAt <= now() || isOver(session, now())) return { refused: 'expired' };
      const { person, client } = session;
      const customer = customers.find(({ id }) => id === session.customer);
      // The tenant too: a customer that moved to another one has other members.
      if (customer?.entra.tenantId !== person.tenantId) return { refused: 'wrong-customer' };
      if (session.resource !== `${origin}/frame/mcp`) return { refused: 'wrong-audience' };
      return { customer, person, scopes, clientName: client.name };
    },
    close,
  };
}

// Private

/** A revocation counts everywhere within this time, also when word of it is lost. */
const REMEMBER_MS = 1000;
/** A program that keeps sending a dead token asks the database once in this time. */
const UNKNOWN_MS = 60_000;
/** A hundred a second is nothing to the database, and more than any office has: a new token there must not be missed. */
const GUESSES_PER_MINUTE = 6000;
