import { loginOf } from '../../database/place.ts';
import { quoteName } from '../../database/quote.ts';
import { type Draft, type DraftTable, nameOf } from './draft.ts';

/**
 * Who may read and write a table that is, or was, not like a new one: a new table gets its rights from the default
 * privileges of the schema. A table with hidden columns has rights column by column, since a right on the table would
 * include them.
 */
export function grantVisible(draft: Draft, table: DraftTable): void {
  const [ro, rw] = logins(draft);
  const columns =
    table.hiddenColumns.size > 0 ? ` (${table.columns.map(({ name }) => quoteName(name)).join(', ')})` : '';
  closeToAll(draft, table);
  draft.statements.push(
    `grant select${columns} on ${nameOf(draft, table)} to ${ro}`,
    `grant select${columns}, insert${columns}, update${columns}, delete on ${nameOf(draft, table)} to ${rw}`,
  );
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
