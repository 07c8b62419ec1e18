import { z } from 'zod';
import { FrameError } from '../../errors.ts';
import { requireColumn } from '../../tables/find-column.ts';
import { outlineName, outlineNames } from '../../tables/outline.ts';
import { selectPage } from '../../tables/select.ts';
import type { Table } from '../../tables/table.ts';
import { workOnTable } from '../../tables/work-on-table.ts';
import { defineTool } from '../tool.ts';
import { names } from './arguments.ts';
import { privacyOf } from './privacy.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Personal data of a few rows in plain, for a purpose that goes into the record word for word. */
export const reveal = defineTool({
  name: 'reveal',
  title: 'Reveal personal data',
  description: 'Sealed values of a few rows in plain. Who, which and for what purpose is recorded.',
  kind: 'read',
  right: 'pii:read',
  idempotent: true,
  untrusted: true,
  atPlace: true,
  input: z.strictObject({
    table: z.string(),
    ids: z
      .array(z.string().refine(text => UUID.test(text), { error: 'must be the id of a row' }))
      .min(1)
      .max(20),
    columns: names().min(1),
    purpose: z.string().trim().min(8).max(500),
  }),
  output: z.looseObject({ columns: z.array(z.string()), rows: z.array(z.array(z.unknown())) }),
  summarize: ({ table, ids, columns, purpose }) => ({
    table: outlineName(table),
    ids,
    columns: outlineNames(columns),
    purpose,
  }),
  async run(call, { table: name, ids, columns }) {
    const { means, place, signal } = call;
    const page = await workOnTable(means.catalog, place, name, 'read', table => {
      requireSealed(table, columns);
      const selection = { columns: ['id', ...columns], where: { id: ids }, limit: ids.length };
      return selectPage(means.pools, place, table, selection, privacyOf(call), signal);
    });
    const found = new Set(page.rows.map(([id]) => id));
    const missing = ids.filter(id => !found.has(id.toLowerCase()));
    const result = { columns: page.columns, rows: page.rows, ...(missing.length > 0 && { missing_ids: missing }) };
    return { result, rows: page.rows.length };
  },
});

// Private

function requireSealed(table: Table, names: readonly string[]): void {
  for (const [i, name] of names.entries()) {
    if (requireColumn(table, name, `columns[${i}]`).seal) continue;
    throw new FrameError('args/invalid', `\`columns[${i}]\`: \`${name}\` is not sealed.`, {
      hint: 'Read it with `select_rows`.',
      nextTool: 'select_rows',
    });
  }
}
