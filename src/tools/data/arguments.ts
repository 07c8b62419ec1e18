import { z } from 'zod';

/** Arguments that several data tools share. Short, because every caller's model reads them. */
export const Where = z
  .record(z.string(), z.unknown())
  .describe(
    '{column: value | null | [values] | {op: value}}, and:[…], or:[…], not:{…}. ' +
      'op: eq ne gt gte lt lte in not_in like ilike contains starts_with between is_null',
  );

export const SameWhere = z.record(z.string(), z.unknown()).describe('as in select_rows');

/**
 * A list of names, of which nobody needs as many. The bound stands before all entries are looked at, and is not told: in
 * the listing it would cost every model some of the room that there is.
 */
export function names(most = MAX_COLUMNS) {
  return z.array(z.string()).max(most).meta({ maxItems: undefined });
}

export const RowValues = z.record(z.string(), z.unknown());

export const MaxRows = z.int().min(1).max(10_000).describe('default 1').optional();

export const IdempotencyKey = z
  .string()
  .regex(/^[ -~]{1,200}$/, { error: 'must be 1 to 200 letters, digits or signs of ASCII' })
  .describe('repeat with the same key to be sure')
  .optional();

export const DryRun = z.boolean().describe('check, change nothing').optional();

// Private

/** As many as a table of Postgres can have. */
const MAX_COLUMNS = 1600;
