import type { SealedColumn } from './seal.ts';

/** A statement with its parameters: every one travels as text and is cast to its type in the statement. */
export interface Statement {
  text: string;
  params: readonly (string | null)[];
}

/** Collects parameters while a statement is put together. */
export interface Parameters {
  readonly values: readonly (string | null)[];
  /** The placeholder that stands for `value` in the statement, such as `$3::text::uuid`. */
  add(value: string | null, castType: string): string;
  /** What the index of a sealed column holds for `text`: the database never sees the text itself. */
  readonly blind: Blind;
}

export type Blind = (column: SealedColumn, text: string) => string;

export function createParameters(blind: Blind = withoutKeys): Parameters {
  const values: (string | null)[] = [];
  return {
    values,
    add(value, castType) {
      values.push(value);
      // Text first: the driver would reformat what it is told is a timestamp, a boolean or JSON.
      return castType === 'text' ? `$${values.length}::text` : `$${values.length}::text::${castType}`;
    },
    blind,
  };
}

// Private

function withoutKeys(): never {
  throw new Error('This statement is put together without keys, and a sealed column is compared in it.');
}
