import { z } from 'zod';
import { FrameError } from '../../errors.ts';
import { type CursorBinding, openCursor, sealCursor } from '../../tables/cursor.ts';
import { countFitting } from '../../tables/fit.ts';
import { outlineFilter, outlineName, outlineNames } from '../../tables/outline.ts';
import { type Page, selectPage } from '../../tables/select.ts';
import { workOnTable } from '../../tables/work-on-table.ts';
import { type Call, callerKey, defineTool } from '../tool.ts';
import { names, Where } from './arguments.ts';
import { privacyOf } from './privacy.ts';

/** Rows of one table, page by page: every row once, whatever the order. */
export const selectRows = defineTool({
  name: 'select_rows',
  title: 'Select rows',
  description:
    'Rows of one table. When truncated, call again with next_cursor as cursor and the same other arguments. ' +
    'ne, not_in and not also match nulls; nulls sort last.',
  kind: 'read',
  idempotent: true,
  untrusted: true,
  atPlace: true,
  input: z.strictObject({
    table: z.string(),
    columns: names().optional(),
    where: Where.optional(),
    order_by: names().describe('["-created_at","id"]: - descending').optional(),
    limit: z.int().min(1).max(500).describe('default 50').optional(),
    cursor: z.string().optional(),
    count: z.boolean().describe('total of all that match').optional(),
  }),
  output: z.looseObject({
    columns: z.array(z.string()),
    rows: z.array(z.array(z.unknown())),
    truncated: z.boolean(),
    next_cursor: z.string(),
    total: z.number(),
  }),
  summarize: ({ table, columns, where, order_by, limit, cursor, count }) => ({
    table: outlineName(table),
    ...(columns && { columns: outlineNames(columns) }),
    ...(where && { where: outlineFilter(where) }),
    ...(order_by && { order_by: outlineNames(order_by) }),
    limit,
    count,
    ...(cursor !== undefined && { cursor: true }),
  }),
  async run(call, { cursor, limit, ...args }) {
    const { means, place, signal } = call;
    const { defaultRows, maxRows } = means.limits;
    const binding = { callerKey: callerKey(call.caller), place, tool: 'select_rows', arguments: args };
    const after = cursor === undefined ? undefined : openCursor(means.keyring, binding, cursor, means.now());
    const page = await workOnTable(means.catalog, place, args.table, 'read', table => {
      const { columns, where, order_by: orderBy, count } = args;
      const selection = { columns, where, orderBy, count, after, limit: Math.min(limit ?? defaultRows, maxRows) };
      return selectPage(means.pools, place, table, selection, privacyOf(call), signal);
    });
    return toAnswer(call, page, binding);
  },
});

// Private

/** What an answer holds besides rows and column names: its own words and a cursor. */
const FRAME_BYTES = 4096;
const MAX_CURSOR_LENGTH = 3072;

function toAnswer(
  { means }: Call,
  { columns, revealed, rows, hasMore, positionOf, total }: Page,
  binding: CursorBinding,
) {
  const { maxResultBytes, cursorMinutes } = means.limits;
  const fitting = countFitting(rows, maxResultBytes - FRAME_BYTES - Buffer.byteLength(JSON.stringify(columns)));
  if (fitting === 0 && rows.length > 0) {
    throw new FrameError('limit/bytes', `One row alone is larger than an answer may be (${maxResultBytes} bytes).`, {
      hint: 'Name the `columns` you need.',
    });
  }
  const truncated = hasMore || fitting < rows.length;
  const position = truncated ? positionOf(fitting - 1) : undefined;
  const expiresAt = means.now() + cursorMinutes * 60_000;
  const next = position && sealCursor(means.keyring, binding, position, expiresAt);
  const goesOn = next !== undefined && next.length <= MAX_CURSOR_LENGTH;
  const result = {
    columns,
    rows: rows.slice(0, fitting),
    truncated,
    ...(goesOn && { next_cursor: next }),
    ...(truncated && !goesOn && { hint: NO_CURSOR }),
    ...(total !== undefined && { total }),
  };
  // Whose personal data was read is in the record of what was done.
  return { result, rows: fitting, ...(revealed.length > 0 && { done: { personal_data: revealed } }) };
}

const NO_CURSOR =
  'There is no cursor for the rest: the table has no primary key, or is ordered by very long values. Narrow `where`.';
