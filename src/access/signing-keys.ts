import type { KeyObject } from 'node:crypto';
import type { EntraTenant } from '../customers/customer.ts';
import type { Observe } from '../observe.ts';
import { signingKeysUrl } from './issuers.ts';
import { type Fetch, fetchKeySet, type KeySet } from './key-set.ts';

/**
 * The signing keys of every tenant, kept through failures of Entra. jose's own remote key set forgets its keys when a
 * reload fails and counts its cooldown from the last success only, so it is not used.
 */
export interface SigningKeys {
  /** The key if it is known now. Never waits: keys past their age serve on while new ones are fetched. */
  known(tenant: EntraTenant, keyId: string): KeyObject | undefined;
  /** As `known`, but fetches the keys when that may help, and waits for that when they are twice their age. */
  find(tenant: EntraTenant, keyId: string): Promise<KeyObject | 'unknown' | 'unreachable'>;
}

export interface SigningKeysLimits {
  /** Keys older than this are fetched again. */
  keysMaxAgeMinutes: number;
  /** While that fails, they serve on for this long beyond their age. */
  keysStaleHours: number;
  /** Between two attempts for one tenant, successful or not. */
  keysCooldownSeconds: number;
  keysTimeoutSeconds: number;
}

export interface SigningKeysParts {
  fetch: Fetch;
  /** Milliseconds since 1970. */
  now(): number;
  observe: Observe;
  limits: SigningKeysLimits;
}

export function createSigningKeys({ fetch, now, observe, limits }: SigningKeysParts): SigningKeys {
  const sources = new Map<string, Source>();

  function sourceOf(tenant: EntraTenant): Source {
    const url = signingKeysUrl(tenant);
    const source = sources.get(url) ?? {};
    sources.set(url, source);
    return source;
  }

  /** A clock that was set back must neither freeze the cooldown nor keep keys for ever. */
  const elapsedMs = (since: number | undefined) => (since === undefined ? Infinity : Math.abs(now() - since));

  const maxAgeMs = limits.keysMaxAgeMinutes * 60_000;
  const trustMs = maxAgeMs + limits.keysStaleHours * 3_600_000;
  const isTrusted = ({ fetchedAt }: Source) => elapsedMs(fetchedAt) < trustMs;

  function known(tenant: EntraTenant, keyId: string): KeyObject | undefined {
    const source = sourceOf(tenant);
    if (!isTrusted(source)) return undefined;
    if (elapsedMs(source.fetchedAt) >= maxAgeMs) void refresh(tenant, source);
    return source.keys?.get(keyId);
  }

  async function find(tenant: EntraTenant, keyId: string): Promise<KeyObject | 'unknown' | 'unreachable'> {
    const source = sourceOf(tenant);
    // A key may have been withdrawn since it was fetched: an old one counts only when nobody can be asked.
    const key = elapsedMs(source.fetchedAt) > 2 * maxAgeMs ? undefined : known(tenant, keyId);
    if (key) return key;
    await refresh(tenant, source);
    return known(tenant, keyId) ?? (isTrusted(source) ? 'unknown' : 'unreachable');
  }

  /** At most one fetch under way per tenant and one attempt per cooldown, so that made-up key ids cause no storm. */
  async function refresh(tenant: EntraTenant, source: Source): Promise<void> {
    if (source.underway) return source.underway;
    if (elapsedMs(source.attemptedAt) < limits.keysCooldownSeconds * 1000) return;
    source.attemptedAt = now();
    source.underway = replaceKeys(tenant, source);
    await source.underway;
  }

  async function replaceKeys(tenant: EntraTenant, source: Source): Promise<void> {
    try {
      source.keys = await fetchKeySet(tenant, fetch, limits.keysTimeoutSeconds * 1000);
      source.fetchedAt = now();
      observe({ kind: 'keys-fetched', tenant: tenant.tenantId, keys: source.keys.size });
    } catch (failure) {
      observe({ kind: 'keys-unreachable', tenant: tenant.tenantId, reason: reasonOf(failure) });
    } finally {
      source.underway = undefined;
    }
  }

  return { known, find };
}

// Private

/** Where the keys of one tenant come from, and how fetching them went. */
interface Source {
  keys?: KeySet;
  fetchedAt?: number;
  attemptedAt?: number;
  underway?: Promise<void> | undefined;
}

/** fetch says only "fetch failed"; the cause says why. */
function reasonOf(failure: unknown): string {
  if (!(failure instanceof Error)) return String(failure);
  return failure.cause instanceof Error ? `${failure.message}: ${failure.cause.message}` : failure.message;
}
