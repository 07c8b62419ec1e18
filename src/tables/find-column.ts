import { didYouMean } from '../did-you-mean.ts';
import { FrameError } from '../errors.ts';
import type { Column, Table } from './table.ts';

/** The column called `name`; throws `table/no-such-column` with a guess. `path` is where the caller wrote the name. */
export function requireColumn(table: Table, name: string, path: string): Column {
  const column = table.columns.find(candidate => candidate.name === name);
  if (column) return column;
  const names = table.columns.map(candidate => candidate.name);
  const guess = didYouMean(name, names);
  const shown = name.slice(0, 80);
  throw new FrameError(
    'table/no-such-column',
    `\`${path}\`: no column \`${shown}\`${guess ? `; did you mean \`${guess}\`?` : ` in \`${table.name}\`.`}`,
    { hint: `Columns of \`${table.name}\`: ${names.slice(0, 60).join(', ')}.`, nextTool: 'describe_tables' },
  );
}

/** A column that a caller may set; `column` when the caller of this has found it already. */
export function requireWritable(
  table: Table,
  name: string,
  path: string,
  column = requireColumn(table, name, path),
): Column {
  if (!column.isProtected) return column;
  throw new FrameError('table/column-protected', `\`${path}\`: \`${name}\` is kept by the database.`, {
    hint: 'Leave it out; it gets its value by itself.',
  });
}
