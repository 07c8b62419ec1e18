import { z } from 'zod';
import { PII_KINDS, type PiiKind, SEALABLE_TYPES, type SealableType } from '../vault/pii-kind.ts';
import type { SealedColumnId } from '../vault/place-keys.ts';
import type { Check } from './table.ts';

/**
 * What the COMMENTs of a schema hold. They follow a rename, survive pg_dump and need no table of our own: a column's
 * comment is people's text, and its last line marks personal data; the comment of a check constraint is the check as it
 * was asked for, in JSON.
 */
export interface ColumnComment {
  text: string | undefined;
  mark: PiiMark | undefined;
}

/** `[pii email text <table id> <column id>]` for a sealed column; `[pii]` alone for one that lies open. */
export interface PiiMark {
  kind: PiiKind;
  sealed: (SealedColumnId & { type: SealableType }) | undefined;
}

export function readColumnComment(comment: string | null): ColumnComment {
  const lines = (comment ?? '').trimEnd().split('\n');
  const said = withoutMark(lines);
  return { text: said.join('\n').trimEnd() || undefined, mark: readMark(lines.at(-1)) };
}

/** The text for COMMENT ON COLUMN; empty when there is nothing to say. People's text cannot set the mark. */
export function writeColumnComment({ text = '', mark }: Partial<ColumnComment>): string {
  const said = withoutMark(text.trimEnd().split('\n'));
  return [...said, ...(mark ? [writeMark(mark)] : [])].join('\n').trim();
}

/** Undefined for a constraint that Frame did not make. */
export function readCheckComment(comment: string | null): Check | undefined {
  if (!comment?.startsWith('{')) return undefined;
  try {
    return StoredCheck.safeParse(JSON.parse(comment)).data;
  } catch {
    return undefined;
  }
}

export function writeCheckComment(check: Check): string {
  return JSON.stringify(check);
}

// Private

const Bound = z.union([z.number(), z.string()]);
const StoredCheck = z
  .object({
    min: Bound,
    max: Bound,
    min_length: z.number(),
    max_length: z.number(),
    one_of: z.array(Bound),
    pattern: z.string(),
  })
  .partial();

const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
const MARK = new RegExp(
  `^\\[pii(?: (${PII_KINDS.join('|')})(?: (${SEALABLE_TYPES.join('|')}) (${UUID}) (${UUID}))?)?\\]$`,
);

function readMark(line: string | undefined): PiiMark | undefined {
  const [mark, kind, type, tableId, columnId] = MARK.exec(line?.trim() ?? '') ?? [];
  if (mark === undefined) return undefined;
  const sealedAs = SEALABLE_TYPES.find(known => known === type);
  return {
    kind: PII_KINDS.find(known => known === kind) ?? 'other',
    sealed: sealedAs && tableId && columnId ? { type: sealedAs, tableId, columnId } : undefined,
  };
}

function writeMark({ kind, sealed }: PiiMark): string {
  return `[${['pii', kind, ...(sealed ? [sealed.type, sealed.tableId, sealed.columnId] : [])].join(' ')}]`;
}

/** Whatever looks like one, so that nothing which people write becomes one. */
function withoutMark(lines: readonly string[]): readonly string[] {
  return MARK.test(lines.at(-1)?.trim() ?? '') ? withoutMark(lines.slice(0, -1)) : lines;
}
