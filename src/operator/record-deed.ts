import { randomUUID } from 'node:crypto';
import { type AuditLog, createAuditLog } from '../audit/audit.ts';
import type { Settings } from '../config/settings.ts';
import { AUDIT_LOGIN } from '../database/place.ts';
import { toFrameError } from '../errors.ts';
import { observeNothing } from '../observe.ts';
import { openCheckpoints } from './open-checkpoints.ts';
import type { OpenDatabase } from './open-database.ts';

/** What an operator does to a company's data. */
export interface Deed {
  customer: string;
  entity: string;
  environment?: string;
  /** As the record calls it. */
  tool: string;
  arguments: Record<string, unknown>;
}

/** Closing it signs what was added. `records`: so many may be added at once, if that is more than the queue holds. */
export function openAudit(
  settings: Settings,
  database: Pick<OpenDatabase, 'pools' | 'checkpointKey'>,
  records = 0,
): AuditLog {
  const limits = settings.gateway.audit;
  return createAuditLog({
    pools: database.pools,
    login: AUDIT_LOGIN,
    limits: { ...limits, queue: Math.max(limits.queue, records) },
    observe: observeNothing,
    checkpoints: openCheckpoints(settings, database),
    now: Date.now,
  });
}

/** The operator's deed in the company's record: what was meant before, what came of it after. */
export async function recordDeed<T>(
  audit: AuditLog,
  deed: Deed,
  work: () => Promise<T>,
  factsOf: (result: T) => { rows?: number; done?: Record<string, unknown> } = () => ({}),
): Promise<T> {
  const entry = { ...deed, requestId: randomUUID(), actor: { system: 'operator' } };
  await audit.append({ ...entry, at: Date.now(), phase: 'intent' });
  try {
    const result = await work();
    const { rows, done } = factsOf(result);
    const args = { ...deed.arguments, ...done };
    await audit.append({ ...entry, at: Date.now(), phase: 'outcome', outcome: 'ok', rows, arguments: args });
    return result;
  } catch (thrown) {
    const { code } = toFrameError(thrown);
    const outcome = code === 'outcome-unknown' ? 'unknown' : 'refused';
    await audit.append({ ...entry, at: Date.now(), phase: 'outcome', outcome, code });
    throw thrown;
  }
}
