import type { Column } from '../table.ts';
import type { DraftColumn, DraftTable } from './draft.ts';
import type { ColumnFacts } from './undo.ts';

/** Everything about a column of the draft as it is now. */
export function factsOf(table: DraftTable, { value: _, isFresh: __, ...column }: DraftColumn): ColumnFacts {
  return {
    column,
    check: table.checks.find(known => known.column === column.name && known.check)?.name,
    reference: table.references.find(({ columns }) => columns.length === 1 && columns[0] === column.name)?.name,
    indexes: table.indexes.filter(({ columns }) => columns.includes(column.name)),
  };
}

/** A column that holds values and demands nothing: what is left of one that is dropped. */
export function bareColumn(column: Column): Column {
  const type = column.type === 'reference' ? 'uuid' : column.type;
  return {
    ...column,
    type,
    required: false,
    unique: false,
    default: undefined,
    check: undefined,
    references: undefined,
  };
}
