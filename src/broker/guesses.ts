import { createLocalLimit } from '../access/local-limit.ts';
import { createTokenMemory } from '../access/token-memory.ts';
import { networkOf } from '../address.ts';
import { OAuthError } from './oauth-error.ts';

/**
 * Codes, tokens, states and ids that strangers make up, each a question to the database. Only what is not there counts:
 * whole offices, and all of claude.ai, come from a few addresses.
 */
export interface Guesses {
  /** Throws OAuthError with status 429 after too many from there, unless this very text was good before. */
  look<Finding>(
    text: string,
    from: string,
    find: () => Promise<Finding>,
    isMiss: (finding: Finding) => boolean,
  ): Promise<Finding>;
  /** We made it: it is looked up, whatever else comes from the same address. */
  vouch(text: string): void;
}

export function createGuesses(now: () => number, perMinute = GUESSES_PER_MINUTE): Guesses {
  const limit = createLocalLimit(perMinute, now);
  const proven = createTokenMemory<true>(MAX_PROVEN, now);
  const vouch = (text: string) => proven.remember(text, true, Number.POSITIVE_INFINITY);

  return {
    async look(text, from, find, isMiss) {
      const network = networkOf(from);
      if (limit.isSpent(network) && !proven.recall(text)) throw tooMany(limit.take(network));
      const finding = await find();
      if (isMiss(finding)) limit.take(network);
      else vouch(text);
      return finding;
    },
    vouch,
  };
}

// Private

/** A hundred a second is nothing to the database, and more than any office has. */
const GUESSES_PER_MINUTE = 6000;
const MAX_PROVEN = 10_000;

function tooMany(retryAfterSeconds: number | undefined): OAuthError {
  return new OAuthError('temporarily_unavailable', 'Too much that nobody here knows came from this address.', {
    status: 429,
    retryAfterSeconds,
  });
}
