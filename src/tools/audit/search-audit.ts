import { z } from 'zod';
import type { AuditActor, AuditRecord, AuditSearch } from '../../audit/audit.ts';
import { FrameError } from '../../errors.ts';
import { callerKey, defineTool } from '../tool.ts';

const PAGE = 50;

/** What was done, by whom, with which outcome: only in the caller's own entities, newest first. */
export const searchAudit = defineTool({
  name: 'search_audit',
  title: 'Search the audit log',
  description: 'Who did what, when and with which outcome, newest first. Follow next_cursor with the same arguments.',
  kind: 'read',
  idempotent: true,
  untrusted: true,
  atPlace: false,
  input: z.strictObject({
    since: z
      .string()
      .refine(isTime, { error: 'must be a date or a time such as 2026-03-31 or 2026-03-31T08:00:00Z' })
      .optional(),
    actor: z.string().max(200).describe('name, user name or object id').optional(),
    tool: z.string().max(80).optional(),
    outcome: z.enum(['ok', 'refused', 'error', 'unknown']).optional(),
    cursor: z.string().max(1000).optional(),
  }),
  output: z.looseObject({ entries: z.array(z.looseObject({})), next_cursor: z.string() }),
  summarize: ({ cursor, ...filter }) => ({ ...filter, ...(cursor && { cursor: true }) }),
  async run({ caller, means }, { cursor, since, ...filter }) {
    const binding = JSON.stringify([callerKey(caller), caller.customer.id, since, filter]);
    const before =
      cursor === undefined ? undefined : openCursor(means.keyring.open('audit-cursor', binding, cursor), means.now());
    const search: AuditSearch = {
      ...filter,
      customer: caller.customer.id,
      entities:
        caller.entities.length === caller.customer.entities.length ? 'all' : caller.entities.map(({ id }) => id),
      since: since === undefined ? undefined : Date.parse(since),
      before,
      limit: PAGE,
    };
    const { entries, next } = await means.audit.search(search);
    const expires = means.now() + means.limits.cursorMinutes * 60_000;
    return {
      rows: entries.length,
      result: {
        entries: entries.map(toPublic),
        truncated: next !== undefined,
        ...(next !== undefined && { next_cursor: means.keyring.seal('audit-cursor', binding, { next, expires }) }),
      },
    };
  },
});

// Private

/** As the other tools speak: times in ISO, names in snake case. */
function toPublic({ id, at, requestId, callId, actor, customer: _, ...entry }: AuditRecord): Record<string, unknown> {
  const ids = { request_id: requestId, ...(callId && { call_id: callId }) };
  return { id, at: new Date(at).toISOString(), ...ids, actor: shownActor(actor), ...entry };
}

function isTime(text: string): boolean {
  return z.union([z.iso.date(), z.iso.datetime({ offset: true })]).safeParse(text).success;
}

const Cursor = z.object({ next: z.string(), expires: z.number() });

function openCursor(payload: unknown, now: number): string {
  const opened = Cursor.safeParse(payload);
  if (opened.success && opened.data.expires > now) return opened.data.next;
  throw new FrameError('args/invalid', 'This `cursor` has expired or belongs to another search.', {
    hint: 'Search again without `cursor`.',
  });
}

function shownActor(actor: AuditActor): Record<string, unknown> {
  if (!('tenantId' in actor)) return { ...actor };
  const { tenantId, objectId, ...names } = actor;
  return { ...names, tenant_id: tenantId, object_id: objectId };
}
