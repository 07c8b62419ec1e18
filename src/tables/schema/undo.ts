import type { Column, Index, Table } from '../table.ts';

/** The steps back to how things were, as the history keeps them. Written by us alone, and read back by us alone. */
export type Step =
  | { drop_table: { name: string } }
  | { undrop_table: { hidden: string; table: Table } }
  | { rename_table: { from: string; to: string } }
  | { drop_column: { table: string; column: string } }
  | { undrop_column: { table: string; hidden: string; facts: ColumnFacts } }
  | { rename_column: { table: string; from: string; to: string } }
  | { put_column: { table: string; facts: ColumnFacts } }
  | { create_index: { table: string; index: Index } }
  | { drop_index: { table: string; index: string } }
  | { comment: { table: string; column?: string; text: string } };

/** Everything about a column, with the names of what stands around it. */
export interface ColumnFacts {
  column: Column;
  check?: string | undefined;
  reference?: string | undefined;
  /** Those that include it. */
  indexes: readonly Index[];
}

export type Undo = Step & {
  /** A step and the step back from it have the same key, but for a minus in front. */
  key: string;
  /** Why it cannot be done; absent when it can. */
  impossible?: string;
};

export function oppositeKey(key: string): string {
  return key.startsWith('-') ? key.slice(1) : `-${key}`;
}

/**
 * The same way without going there and back again. Without this the way through a version that restored another would
 * be twice as long, and through ten of them a thousand times.
 */
export function shorten(steps: Iterable<Undo>): Undo[] {
  const way: Undo[] = [];
  for (const step of steps) {
    if (way.at(-1)?.key === oppositeKey(step.key)) way.pop();
    else way.push(step);
  }
  return way;
}
