import { orDidYouMean } from '../../did-you-mean.ts';
import { FrameError } from '../../errors.ts';
import { requireColumn } from '../find-column.ts';
import { assertName, type NamedThing } from '../name.ts';
import type { Draft, DraftColumn, DraftTable } from './draft.ts';

/** Names that callers gave, looked up in a draft or still free there. `path` is where they wrote them. */
export function requireTable(draft: Draft, name: string, path: string): DraftTable {
  const table = draft.tables.get(name);
  if (table) return table;
  const guess = orDidYouMean(name, draft.tables.keys());
  throw new FrameError('table/not-found', `\`${path}\`: no table \`${name}\`${guess || '.'}`, {
    hint: guess ? undefined : '`describe_tables` lists the tables there are.',
    nextTool: 'describe_tables',
  });
}

export function requireDraftColumn(table: DraftTable, name: string, path: string): DraftColumn {
  requireColumn(table, name, path);
  const column = table.columns.find(candidate => candidate.name === name);
  if (!column) throw new Error(`${name} was found and is gone`);
  return column;
}

/** A column that a change may touch: those that the database keeps stay as they are. */
export function requireOwnColumn(table: DraftTable, name: string, path: string): DraftColumn {
  const column = requireDraftColumn(table, name, path);
  if (!column.isProtected && !table.primaryKey.includes(name)) return column;
  throw new FrameError('table/column-protected', `\`${path}\`: \`${name}\` is kept by the database as it is.`);
}

/** Throws `table/bad-name`, naming the place. What is brought back keeps its name, whatever that is. */
export function assertNameAt(thing: NamedThing, name: string, path: string): void {
  try {
    assertName(thing, name);
  } catch (thrown) {
    if (!(thrown instanceof FrameError)) throw thrown;
    throw new FrameError(thrown.code, `\`${path}\`: ${thrown.message}`, { hint: thrown.hint });
  }
}

export function requireFreeTable(draft: Draft, name: string, path: string): void {
  if (!draft.relationNames.has(name)) return;
  throw new FrameError('table/exists', `\`${path}\`: there is already a table or index \`${name}\`.`);
}

export function requireFreeColumn(table: DraftTable, name: string, path: string): void {
  if (!table.columns.some(column => column.name === name)) return;
  throw new FrameError('table/column-exists', `\`${path}\`: \`${table.name}\` already has a column \`${name}\`.`);
}

/** A name such as `orders_total_check`, cut to what Postgres keeps, that nothing has yet. */
export function freeName(parts: readonly string[], ending: string, isTaken: (name: string) => boolean): string {
  const stem = parts.join('_').replace(/[^a-z0-9_]/g, '_');
  for (let n = 0; ; n++) {
    const end = `_${ending}${n || ''}`;
    const name = stem.slice(0, MAX_NAME_BYTES - end.length) + end;
    if (!isTaken(name)) return name;
  }
}

// Private

const MAX_NAME_BYTES = 63;
