import { createLocalLimit } from '../access/local-limit.ts';
import { createTokenMemory } from '../access/token-memory.ts';
import type { Observe } from '../observe.ts';
import type { Client } from './client.ts';
import { type ClientMetadata, readDocument } from './client-metadata.ts';
import type { ClientsTable, KeptDocument } from './clients-table.ts';
import { fetchDocument } from './document-fetch.ts';
import { readDocumentUrl } from './document-url.ts';
import { createJoined } from './joined.ts';
import { KNOWN_DOCUMENTS } from './known-documents.ts';
import { createNewcomers } from './newcomers.ts';
import type { Network } from './public-network.ts';

/**
 * Clients whose id is the address of a document about them. One that somebody signed in with before outlives its host for
 * 30 days: `unknown` would make clients forget their registration, so a host that does not answer is `unreachable`.
 */
export interface ClientDocuments {
  /** `from`: the address of whoever asks. */
  find(clientId: string, from?: string): Promise<Client | 'unknown' | 'unreachable'>;
  /** Somebody signed in with it: keeps the copy that was good. */
  keep(clientId: string): Promise<void>;
}

export interface ClientDocumentsParts {
  table: ClientsTable;
  network: Network;
  ownOrigins(): readonly string[];
  /** Milliseconds since 1970. */
  now(): number;
  observe: Observe;
  timeoutMs: number;
}

export function createClientDocuments(parts: ClientDocumentsParts): ClientDocuments {
  const { table, ownOrigins, now, observe } = parts;
  const memory = createTokenMemory<Finding>(MAX_REMEMBERED, now);
  const reading = createJoined<KeptDocument | undefined>();
  const underway = new Map<string, Promise<Finding>>();
  const newcomers = createNewcomers(now);
  const warnings = createLocalLimit(WARNINGS_PER_MINUTE, now);
  let fetches = 0;

  /** However many ask for one document at once, it is looked for once. */
  async function look(clientId: string, from?: string): Promise<Finding> {
    const url = readDocumentUrl(clientId, ownOrigins());
    if (!url) return 'unknown';
    const known = memory.recall(clientId) ?? underway.get(clientId);
    if (known) return known;
    const kept = await reading(clientId, () => table.readDocument(clientId));
    const meanwhile = memory.recall(clientId) ?? underway.get(clientId);
    if (meanwhile) return meanwhile;
    if (kept && kept.freshUntil > now()) return remember(clientId, kept, kept.freshUntil);
    // A stranger may name as many slow hosts as they like: more than this wait for nobody.
    if (fetches >= MAX_FETCHES) return fallback(clientId, kept);
    const isNew = !kept && !KNOWN_DOCUMENTS.has(clientId);
    const leave = isNew && from !== undefined ? newcomers.enter(from) : () => {};
    // Not remembered: others may still ask for it.
    if (!leave) return 'unreachable';
    const search = lookAnew(clientId, url, kept).finally(() => {
      underway.delete(clientId);
      leave();
    });
    underway.set(clientId, search);
    return search;
  }

  async function lookAnew(clientId: string, url: URL, kept: KeptDocument | undefined): Promise<Finding> {
    const fetched = await fetchClient(clientId, url);
    if (fetched === 'unknown') return remember(clientId, fetched, now() + COOLDOWN_MS);
    if (fetched === 'unreachable') {
      const finding = fallback(clientId, kept);
      return remember(clientId, finding, now() + (finding === 'unreachable' ? COOLDOWN_MS : MIN_FRESH_MS));
    }
    if (kept) await table.renewDocument(clientId, fetched);
    return remember(clientId, fetched, fetched.freshUntil);
  }

  async function fetchClient(clientId: string, url: URL): Promise<KeptDocument | 'unknown' | 'unreachable'> {
    fetches += 1;
    const fetched = await fetchDocument(url, parts).finally(() => {
      fetches -= 1;
    });
    if ('failed' in fetched) {
      warn(clientId, fetched.reason);
      return fetched.failed === 'refused' ? wrong(clientId) : 'unreachable';
    }
    const metadata = readDocument(fetched.text, clientId, ownOrigins());
    if (typeof metadata === 'string') {
      warn(clientId, metadata);
      return wrong(clientId);
    }
    if (fetched.bytes > RECOMMENDED_BYTES) warn(clientId, `it has ${fetched.bytes} bytes, which is unusually large`);
    const fetchedAt = now();
    const freshForMs = Math.min(Math.max(fetched.freshForMs, MIN_FRESH_MS), MAX_FRESH_MS);
    return { ...metadata, fetchedAt, freshUntil: fetchedAt + freshForMs };
  }

  /** Five are known better than any answer of a guard or a broken deploy on the way. */
  function wrong(clientId: string): 'unknown' | 'unreachable' {
    return KNOWN_DOCUMENTS.has(clientId) ? 'unreachable' : 'unknown';
  }

  function fallback(clientId: string, kept: KeptDocument | undefined): Finding {
    if (kept && kept.fetchedAt + STALE_MS > now()) return kept;
    return KNOWN_DOCUMENTS.get(clientId) ?? 'unreachable';
  }

  function remember(clientId: string, finding: Finding, untilMs: number): Finding {
    memory.remember(clientId, finding, untilMs);
    return finding;
  }

  function warn(clientId: string, reason: string): void {
    if (warnings.take('') !== undefined) return;
    observe({ kind: 'warning', sentence: `The client document ${clientId} is not as it should be: ${reason}.` });
  }

  return {
    async find(clientId, from) {
      const finding = await look(clientId, from);
      return typeof finding === 'string' ? finding : toClient(clientId, finding);
    },
    async keep(clientId) {
      const finding = await look(clientId);
      if (typeof finding !== 'string' && 'fetchedAt' in finding) await table.keepDocument(clientId, finding, now());
    },
  };
}

// Private

/** A copy without a date is one of ours. */
type Finding = KeptDocument | ClientMetadata | 'unknown' | 'unreachable';

const MAX_REMEMBERED = 1000;
const MAX_FETCHES = 20;
/** Strangers choose what is written there. */
const WARNINGS_PER_MINUTE = 60;
/** An error is not kept longer than it takes to stop a storm. */
const COOLDOWN_MS = 10_000;
const MIN_FRESH_MS = 5 * 60_000;
const MAX_FRESH_MS = 24 * 3_600_000;
const STALE_MS = 30 * 24 * 3_600_000;
/** Of the draft, §6. */
const RECOMMENDED_BYTES = 5 * 1024;

function toClient(id: string, { name, redirectUris }: ClientMetadata): Client {
  return { id, name, redirectUris, kind: 'document', host: new URL(id).hostname };
}
