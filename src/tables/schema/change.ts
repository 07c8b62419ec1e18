import { z } from 'zod';
import { PII_KINDS } from '../../vault/pii-kind.ts';
import { COLUMN_TYPES } from '../column-type.ts';
import { outlineName } from '../outline.ts';
import type { Check } from '../table.ts';

/**
 * What may be asked of a schema, as words only. Whether the names exist and the parts fit each other is judged against
 * the tables; the schemas stay small because every caller's model reads them.
 */
export const MAX_CHANGES = 20;
export const MAX_COLUMNS = 100;

const Name = text(63);
const Text = text(2000);
const Scalar = z.union([z.number(), text(200)]);

const CheckRules = z
  .strictObject({
    min: z.unknown().pipe(Scalar),
    max: z.unknown().pipe(Scalar),
    min_length: wholeNumber(),
    max_length: wholeNumber(),
    one_of: z.array(z.unknown().pipe(Scalar)).min(1).max(100),
    pattern: text(200),
  })
  .partial();

const ColumnShape = z.strictObject({
  name: Name,
  type: z.enum(COLUMN_TYPES),
  required: z.boolean().optional(),
  unique: z.boolean().optional(),
  default: z.unknown().optional().describe('literal, {now:true} or {gen_uuid:true}'),
  check: CheckRules.optional(),
  references: Name.optional().describe('table, for type reference'),
  comment: Text.optional(),
  pii: z.literal([true, false, ...PII_KINDS]).optional(),
});

const ColumnSet = ColumnShape.omit({ name: true })
  .extend({ check: CheckRules.nullable(), comment: Text.nullable() })
  .partial();

const CHANGES = {
  create_table: z.strictObject({
    name: Name,
    comment: Text.optional(),
    columns: z.array(ColumnShape).max(MAX_COLUMNS),
  }),
  add_column: z.strictObject({ table: Name, column: seenAs('as in create_table', ColumnShape) }),
  alter_column: z.strictObject({
    table: Name,
    column: Name,
    set: seenAs('any of a column but name; null removes', ColumnSet),
  }),
  rename_column: seenAs('{table, from, to}', z.strictObject({ table: Name, from: Name, to: Name })),
  drop_column: seenAs('{table, column}', z.strictObject({ table: Name, column: Name })),
  create_index: seenAs(
    '{table, columns: [], unique?}',
    z.strictObject({ table: Name, columns: z.array(Name).min(1).max(8), unique: z.boolean().optional() }),
  ),
  drop_index: seenAs('{table, index}', z.strictObject({ table: Name, index: Name })),
  rename_table: seenAs('{from, to}', z.strictObject({ from: Name, to: Name })),
  drop_table: seenAs('{name}', z.strictObject({ name: Name })),
  comment: seenAs(
    '{table, column?, text}: empty removes',
    z.strictObject({ table: Name, column: Name.optional(), text: Text }),
  ),
  restore_version: seenAs(
    '{version, only?: {table, column?}}',
    z.strictObject({
      version: wholeNumber(),
      only: z.strictObject({ table: Name, column: Name.optional() }).optional(),
    }),
  ),
};

/** One object with optional keys instead of a union: mistakes keep their exact path, and the listing stays short. */
export const Change = z
  .strictObject(CHANGES)
  .partial()
  .refine(change => Object.keys(change).length === 1, {
    error: `must have exactly one of these keys: ${Object.keys(CHANGES).join(', ')}`,
  });
export const Changes = z.array(Change).min(1).max(MAX_CHANGES);

export type Change = z.infer<typeof Change>;
export type NewTable = z.infer<typeof CHANGES.create_table>;
export type NewColumn = Omit<z.infer<typeof ColumnShape>, 'check'> & { check?: Check | undefined };
export type ColumnSettings = z.infer<typeof ColumnSet>;

/** `create_table orders`: kinds and names without values, for the audit. */
export function outlineChange(change: Change): string {
  const [kind = '?', body = {}] = Object.entries(change)[0] ?? [];
  const { only } = body as { only?: object };
  const { table, name, from, column } = (only ?? body) as Record<string, unknown>;
  const ofColumn = typeof column === 'object' && column !== null && 'name' in column ? column.name : column;
  const names = [table ?? name, ofColumn ?? from].filter(part => typeof part === 'string');
  return [kind, names.map(outlineName).join('.')].join(' ').trim();
}

// Private

/** A length that is checked and not told: JSON Schema would repeat it for every name. */
function text(maxLength: number) {
  const isStorable = (value: string) => value.length <= maxLength && !value.includes('\0') && value.isWellFormed();
  return z.string().refine(isStorable, { error: `must have at most ${maxLength} characters, none of them NUL` });
}

/** Checked in full, but shown in the tool's listing as one phrase. */
function seenAs<T extends z.ZodType>(phrase: string, schema: T) {
  return z.unknown().meta({ type: 'object', description: phrase }).pipe(schema);
}

function wholeNumber() {
  return z.number().refine(value => Number.isInteger(value) && value >= 0 && value < 2 ** 31, {
    error: 'must be a whole number, 0 or more',
  });
}
