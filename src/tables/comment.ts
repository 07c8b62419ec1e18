import { z } from 'zod';
import type { Check } from './table.ts';

/**
 * What the COMMENTs of a schema hold. They follow a rename, survive pg_dump and need no table of our own:
 * a column's comment is people's text, and a last line `[pii]` marks personal data; the comment of a check constraint is
 * the check as it was asked for, in JSON.
 */
export interface ColumnComment {
  text: string | undefined;
  pii: boolean;
}

export function readColumnComment(comment: string | null): ColumnComment {
  const lines = (comment ?? '').trimEnd().split('\n');
  const said = withoutMark(lines);
  return { text: said.join('\n').trimEnd() || undefined, pii: said.length < lines.length };
}

/** The text for COMMENT ON COLUMN; empty when there is nothing to say. People's text cannot set the mark. */
export function writeColumnComment({ text = '', pii }: { text?: string | undefined; pii: boolean }): string {
  const said = withoutMark(text.trimEnd().split('\n'));
  return [...said, ...(pii ? [PII_MARK] : [])].join('\n').trim();
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

const PII_MARK = '[pii]';

function withoutMark(lines: readonly string[]): readonly string[] {
  return lines.at(-1)?.trim() === PII_MARK ? withoutMark(lines.slice(0, -1)) : lines;
}
