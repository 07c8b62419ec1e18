import { loginOf } from '../../database/place.ts';
import { quoteName } from '../../database/quote.ts';
import { sealedColumns } from '../seal.ts';
import { type Draft, type DraftTable, nameOf } from './draft.ts';

/**
 * Who may read and write a table that is, or was, not like a new one: a new table gets its rights from the default
 * privileges of the schema. A table with hidden or sealed columns has rights column by column, since a right on the table
 * would include them. The read login runs what members write, so it gets nothing of a sealed column; the other one needs
 * its companion too.
 */
export function grantVisible(draft: Draft, table: DraftTable): void {
  const [ro, rw] = logins(draft);
  const open = table.columns.filter(({ seal }) => !seal).map(({ name }) => name);
  const all = [...table.columns.map(({ name }) => name), ...sealedColumns(table).map(({ seal }) => seal.companion)];
  const listed = (names: readonly string[]) => (hasColumnRights(table) ? ` (${names.map(quoteName).join(', ')})` : '');
  const [read, write] = [listed(open), listed(all)];
  closeToAll(draft, table);
  draft.statements.push(
    `grant select${read} on ${nameOf(draft, table)} to ${ro}`,
    `grant select${write}, insert${write}, update${write}, delete on ${nameOf(draft, table)} to ${rw}`,
  );
}

/** Whether a new column gets no rights by itself. */
export function hasColumnRights(table: DraftTable): boolean {
  return table.hiddenColumns.size > 0 || sealedColumns(table).length > 0;
}

/** Takes column rights too. */
export function closeToAll(draft: Draft, table: { name: string }): void {
  const [ro, rw] = logins(draft);
  draft.statements.push(`revoke all on ${nameOf(draft, table)} from ${ro}, ${rw}`);
}

// Private

function logins({ place }: Draft): [ro: string, rw: string] {
  return [quoteName(loginOf(place, 'ro').role), quoteName(loginOf(place, 'rw').role)];
}
