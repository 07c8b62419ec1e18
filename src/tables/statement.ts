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
}

export function createParameters(): Parameters {
  const values: (string | null)[] = [];
  return {
    values,
    add(value, castType) {
      values.push(value);
      // Text first: the driver would reformat what it is told is a timestamp, a boolean or JSON.
      return castType === 'text' ? `$${values.length}::text` : `$${values.length}::text::${castType}`;
    },
  };
}
