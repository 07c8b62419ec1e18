import { quoteName } from '../../database/quote.ts';
import { FrameError } from '../../errors.ts';
import { quoteQualified } from '../quote.ts';
import { foreignKeyClause } from './column-sql.ts';
import { alter, countRows, type Draft, type DraftTable, touch } from './draft.ts';
import { freeName } from './names.ts';

export interface ForeignKey {
  column: string;
  target: string;
  name: string;
  path: string;
  /** What is brought back may refer to rows that are gone since. */
  isReturning: boolean;
}

/** Refuses rows that refer to nothing, or says so and lets them be. */
export async function addForeignKey(
  draft: Draft,
  table: DraftTable,
  { column, target, name, path, isReturning }: ForeignKey,
): Promise<void> {
  const key = table.columns.find(candidate => candidate.name === column);
  const origin = draft.tables.get(target)?.origin;
  const ids = origin && `select id from ${quoteQualified(draft.place.schema, origin)}`;
  const missing = ids ? `value not in (${ids})` : 'true';
  const orphans = await countRows(draft, table, `value is not null and ${missing}`, key?.value);
  if (orphans > 0 && !isReturning) {
    throw new FrameError(
      'row/reference-missing',
      `\`${path}\`: ${orphans} rows name a row that \`${target}\` does not have.`,
      {
        hint: 'Mend or empty these values first.',
        nextTool: 'select_rows',
      },
    );
  }
  if (orphans > 0) draft.warnings.add(`${orphans} rows of \`${table.name}\` name rows of \`${target}\` that are gone.`);
  const unchecked = orphans > 0 ? ' not valid' : '';
  alter(draft, table, `add ${foreignKeyClause(draft.place.schema, name, column, target)}${unchecked}`, { reads: true });
  const other = draft.tables.get(target);
  if (other) touch(draft, other);
  table.references.push({ name, columns: [column], table: target });
}

export function dropConstraint(draft: Draft, table: DraftTable, name: string): void {
  alter(draft, table, `drop constraint ${quoteName(name)}`);
  table.checks = table.checks.filter(check => check.name !== name);
  table.references = table.references.filter(reference => reference.name !== name);
}

export function freeConstraint(table: DraftTable, column: string, ending: string): string {
  const taken = new Set([...table.checks, ...table.references, ...table.indexes].map(({ name }) => name));
  return freeName([table.name, column], ending, name => taken.has(name));
}
