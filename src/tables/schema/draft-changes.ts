import type { Change } from './change.ts';
import { addColumn, alterColumn, dropColumn, renameColumn } from './change-column.ts';
import { createIndex, dropIndex } from './change-index.ts';
import { comment, createTable, dropTable, renameTable } from './change-table.ts';
import type { Draft } from './draft.ts';
import { explainStatement } from './explain-change.ts';
import { assertNameAt } from './names.ts';
import { restoreVersion } from './restore.ts';
import { grantVisible } from './rights.ts';

/** Every change there is, one after the other on the draft. Throws at the first that cannot be, naming its place. */
export async function draftChanges(draft: Draft, changes: readonly Change[]): Promise<void> {
  for (const [i, change] of changes.entries()) {
    const at = `changes[${i}].${Object.keys(change).join()}`;
    await draftChange(draft, change, at).catch(thrown => {
      throw explainStatement(thrown, `\`${at}\``);
    });
  }
  for (const table of draft.regrants) if (draft.tables.get(table.name) === table) grantVisible(draft, table);
}

// Private

async function draftChange(draft: Draft, change: Change, at: string): Promise<void> {
  if (change.create_table) return createTable(draft, change.create_table, at);
  if (change.add_column) return addColumn(draft, change.add_column, at);
  if (change.alter_column) return alterColumn(draft, change.alter_column, at);
  if (change.rename_column) {
    assertNameAt('column', change.rename_column.to, `${at}.to`);
    return renameColumn(draft, change.rename_column, at);
  }
  if (change.drop_column) return dropColumn(draft, change.drop_column, at);
  if (change.create_index) return createIndex(draft, change.create_index, at);
  if (change.drop_index) return dropIndex(draft, change.drop_index, at);
  if (change.rename_table) {
    assertNameAt('table', change.rename_table.to, `${at}.to`);
    return renameTable(draft, change.rename_table, at);
  }
  if (change.drop_table) return dropTable(draft, change.drop_table, at);
  if (change.comment) return comment(draft, change.comment, at);
  if (change.restore_version) return restoreVersion(draft, change.restore_version, at);
}
