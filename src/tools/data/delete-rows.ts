import { z } from 'zod';
import { deleteMatches } from '../../tables/delete.ts';
import { outlineFilter, outlineName } from '../../tables/outline.ts';
import { workOnTable } from '../../tables/work-on-table.ts';
import { write } from '../../tables/write.ts';
import { callerKey, defineTool } from '../tool.ts';
import { DryRun, MaxRows, SameWhere } from './arguments.ts';
import { privacyOf } from './privacy.ts';

/** Deletes the rows that match, or refuses when more match than were foreseen. */
export const deleteRows = defineTool({
  name: 'delete_rows',
  title: 'Delete rows',
  description: 'Deletes all rows that match. More than max_rows match: nothing changes, and you learn how many.',
  kind: 'destructive',
  idempotent: true,
  atPlace: true,
  input: z.strictObject({ table: z.string(), where: SameWhere, max_rows: MaxRows, dry_run: DryRun }),
  output: z.looseObject({ count: z.number() }),
  summarize: ({ table, where, max_rows, dry_run }) => ({
    table: outlineName(table),
    where: outlineFilter(where),
    max_rows,
    dry_run,
  }),
  async run(call, { table: name, where, max_rows: maxRows = 1, dry_run: dryRun }) {
    const { caller, means, place, signal } = call;
    const args = { table: name, where, maxRows };
    const request = { place, callerKey: callerKey(caller), tool: 'delete_rows', arguments: args, dryRun, signal };
    const answer = await workOnTable(means.catalog, place, name, 'delete', table =>
      write(means.pools, request, async session => ({
        count: await deleteMatches(session, table, { where, maxRows }, privacyOf(call)),
      })),
    );
    return { result: answer, rows: dryRun ? 0 : Number(answer.count) };
  },
});
