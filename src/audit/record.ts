import { hash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import type { AuditActor, AuditEntry } from './entry.ts';

/** An entry as it stands in the log: `id` makes an append that is repeated harmless. */
export type AuditRecord = AuditEntry & { id: string };

/**
 * One record for audit.append(): the text that is hashed, the columns that repeat parts of it for searching, and by what
 * an outcome finds its intent.
 */
export type Row = Columns & { call_id: string | undefined; record: string };

export const COLUMNS = [
  'chain',
  'id',
  'at',
  'customer',
  'entity',
  'request_id',
  'actor',
  'tool',
  'phase',
  'outcome',
] as const;

export type Columns = Record<(typeof COLUMNS)[number], string | null>;

export function toRow(entry: AuditEntry, id: string): Row {
  const record = recordText(entry, id);
  return { ...columnsOf(record), call_id: entry.callId, record };
}

/** The columns that belong to a record text. Throws when it is not the text of a record. */
export function columnsOf(record: string): Columns {
  const { id, at, customer, entity, requestId, actor, agent, tool, phase, outcome }: AuditRecord = JSON.parse(record);
  const names = [actor, ...(agent ? [agent] : [])].flatMap(namesOf);
  return {
    chain: `${customer}/${entity ?? NO_ENTITY}`,
    id,
    at: String(at),
    customer,
    entity: entity ?? null,
    request_id: requestId,
    actor: names.join('\n').toLowerCase(),
    tool,
    phase,
    outcome: outcome ?? null,
  };
}

/** The last of some records: its number and hash. */
export interface Tip {
  seq: number;
  hash: string;
}

/** Binds a record to its chain, its place there and everything before it; `previous` is empty for the first. In hex. */
export function linkHash(chain: string, seq: number, previous: string, record: string): string {
  const place = Buffer.alloc(8);
  place.writeBigInt64BE(BigInt(seq));
  const parts = [
    Buffer.from('frame-audit/1'),
    Buffer.from(chain),
    place,
    Buffer.from(previous, 'hex'),
    Buffer.from(record),
  ];
  return hash('sha256', Buffer.concat(parts.flatMap(part => [lengthOf(part), part])), 'hex');
}

// Private

function namesOf(actor: AuditActor): string[] {
  if ('system' in actor) return [actor.system];
  return 'key' in actor ? [actor.name, actor.key] : [actor.username, actor.name, actor.objectId];
}

/** No entity has this id: entity ids start with a letter. */
const NO_ENTITY = '-';
const MAX_RECORD_BYTES = 16 * 1024;
const MAX_TEXT = 200;
const KEPT_OF_CUT = 2000;

function recordText(entry: AuditEntry, id: string): string {
  const { arguments: summary, ...rest } = entry;
  const facts = {
    ...clipTexts(rest),
    at: Math.trunc(entry.at),
    actor: clipTexts(entry.actor),
    agent: entry.agent && clipTexts(entry.agent),
    id,
  };
  const whole = canonicalJson({ ...facts, arguments: summary });
  if (Buffer.byteLength(whole) <= MAX_RECORD_BYTES) return whole;
  const text = canonicalJson(summary);
  const cut = { cut: true, bytes: Buffer.byteLength(text), beginning: text.slice(0, KEPT_OF_CUT) };
  return canonicalJson({ ...facts, arguments: cut });
}

function clipTexts(facts: object): object {
  return Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [key, typeof value === 'string' ? value.slice(0, MAX_TEXT) : value]),
  );
}

function lengthOf(part: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(part.length);
  return length;
}
