import { hash } from 'node:crypto';
import { setNewest } from './newest.ts';

/** Remembers what a token turned out to be, by its digest and for a while, so that it is not verified on every call. */
export interface TokenMemory<Finding> {
  recall(token: string): Finding | undefined;
  /** `untilMs`: milliseconds since 1970. */
  remember(token: string, finding: Finding, untilMs: number): void;
  forget(isMeant: (finding: Finding) => boolean): void;
}

/** When more than `maxTokens` are known, the one that was not asked for longest goes. */
export function createTokenMemory<Finding>(maxTokens: number, now: () => number): TokenMemory<Finding> {
  const entries = new Map<string, { finding: Finding; atMs: number; untilMs: number }>();
  return {
    recall(token) {
      const digest = digestOf(token);
      const entry = entries.get(digest);
      if (!entry) return undefined;
      entries.delete(digest);
      // A clock that was set back would make it be remembered for as much longer.
      if (entry.untilMs <= now() || entry.atMs > now()) return undefined;
      entries.set(digest, entry);
      return entry.finding;
    },
    remember(token, finding, untilMs) {
      setNewest(entries, digestOf(token), { finding, atMs: now(), untilMs }, maxTokens);
    },
    forget(isMeant) {
      for (const [digest, { finding }] of entries) if (isMeant(finding)) entries.delete(digest);
    },
  };
}

// Private

function digestOf(token: string): string {
  return hash('sha256', token, 'base64url');
}
