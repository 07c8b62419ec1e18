import { randomUUIDv7 } from 'node:crypto';
import { createGate } from '../database/gate.ts';
import type { Login } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { FrameError, unavailable } from '../errors.ts';
import type { Observe } from '../observe.ts';
import type { Checkpoints } from './checkpoints.ts';
import type { AuditEntry } from './entry.ts';
import { createGroupCommit } from './group-commit.ts';
import { findOpenIntents } from './open-intents.ts';
import { type AuditRecord, type Row, toRow } from './record.ts';
import { type AuditPage, type AuditSearch, searchAudit } from './search.ts';

export type { AuditActor, AuditEntry, AuditOutcome } from './entry.ts';
export type { AuditPage, AuditRecord, AuditSearch };

/**
 * What was done, by whom, with which outcome: append only, one hash chain per customer and entity. The chaining happens
 * in the database (migrations/control/002_audit.sql), where all slots meet. It does not decide what is worth a record,
 * and it cannot prove that nobody with superuser rights cut off a whole tail; signed checkpoints do.
 */
export interface AuditLog {
  /** Resolves when the entry is durably committed; rejects `unavailable` when that is not certain. */
  append(entry: AuditEntry): Promise<void>;
  search(search: AuditSearch): Promise<AuditPage>;
  /** Intents without an outcome that are older than this, 500 at most. */
  openIntents(olderThanMs: number): Promise<AuditRecord[]>;
  /**
   * Closes intents as `unknown` that are older than any call may get, an operator's older than a day; safe on two slots at
   * once. Returns how many it found.
   */
  sweep(): Promise<number>;
  /** Writes what waits, and a checkpoint of it; later appends are rejected. */
  close(): Promise<void>;
}

export interface AuditLimits {
  /** Records in one commit. */
  flushRecords: number;
  /** Records that may wait for the next commit. */
  queue: number;
}

export interface AuditParts {
  pools: Pools;
  login: Login;
  limits: AuditLimits;
  observe: Observe;
  /** Without, nothing is signed. */
  checkpoints?: Checkpoints | undefined;
  /** Milliseconds since 1970. */
  now(): number;
  /** What one commit may take, a second try included. */
  patienceMilliseconds?: number;
}

export function createAuditLog(parts: AuditParts): AuditLog {
  const { pools, login, limits, observe, checkpoints, now, patienceMilliseconds = 5000 } = parts;
  const commits = createGroupCommit<Row>({ ...limits, write });
  // One search at a time: the other connections of the login are for appends, which everybody waits for.
  const searches = createGate(1, patienceMilliseconds);

  let hasBegun = checkpoints === undefined;

  const openIntents = (olderThanMs: number) => findOpenIntents(pools, login, now() - olderThanMs);

  async function append(entry: AuditEntry): Promise<void> {
    if (!hasBegun) await checkpoints?.begin();
    hasBegun = true;
    await commits.add(toRow(entry, randomUUIDv7()));
  }

  async function sweep(): Promise<number> {
    const abandoned = await findOpenIntents(pools, login, now() - ABANDONED_MS, now() - DEED_ABANDONED_MS);
    // One after the other: the queue is for those who wait for an answer.
    for (const { id: _, ...intent } of abandoned) {
      await append({ ...intent, at: now(), phase: 'outcome', outcome: 'unknown' });
    }
    return abandoned.length;
  }

  async function write(rows: Row[]): Promise<void> {
    const started = now();
    try {
      await writeTwiceAtMost(JSON.stringify(rows));
    } catch (thrown) {
      observe({ kind: 'audit-failed', reason: reasonOf(thrown) });
      throw unavailable('The call cannot be recorded now.', { cause: thrown, detail: reasonOf(thrown) });
    }
    observe({ kind: 'audit-flushed', records: rows.length, milliseconds: now() - started });
    checkpoints?.count(rows.length);
  }

  /** A lost answer (a FrameError) leaves open whether the commit happened. audit.append() skips ids that it knows. */
  async function writeTwiceAtMost(records: string): Promise<void> {
    const signal = AbortSignal.timeout(patienceMilliseconds);
    const send = () => pools.query(login, 'select audit.append($1::text::json)', [records], { signal });
    await send().catch(thrown => {
      if (!(thrown instanceof FrameError) || signal.aborted) throw thrown;
      return send();
    });
  }

  return {
    append,
    search: search => searches.pass(() => searchAudit(pools, login, search)),
    openIntents,
    sweep,
    async close() {
      await commits.close();
      await checkpoints?.close();
    },
  };
}

// Private

/** Longer than a call may take. An outcome that comes later all the same is recorded too. */
const ABANDONED_MS = 2 * 60_000;
/** An operator loads files and seals columns anew, which takes hours. */
const DEED_ABANDONED_MS = 24 * 3_600_000;

function reasonOf(thrown: unknown): string {
  if (thrown instanceof FrameError && thrown.detail) return thrown.detail;
  return thrown instanceof Error ? thrown.message : String(thrown);
}
