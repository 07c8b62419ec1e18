import type { Index, Table } from '../table.ts';
import type { ColumnFacts } from './column-facts.ts';

/**
 * One step back to how things were, as the history keeps it. Written by us alone, and read back by us alone. What is
 * dropped again gets the hidden name that it had: an older step may know it by that.
 */
export type Undo =
  | { drop_table: { name: string; hidden?: string } }
  | { undrop_table: { hidden: string; table: Table } }
  | { rename_table: { from: string; to: string } }
  | { drop_column: { table: string; column: string; hidden?: string } }
  | { undrop_column: { table: string; hidden: string; facts: ColumnFacts } }
  | { rename_column: { table: string; from: string; to: string } }
  | { put_column: { table: string; facts: ColumnFacts } }
  | { create_index: { table: string; index: Index } }
  | { drop_index: { table: string; index: string } }
  | { comment: { table: string; column?: string; text: string } }
  | { impossible: { reason: string } };
