import { z } from 'zod';
import { countFitting } from '../../tables/fit.ts';
import { outlineFilter, outlineName, outlineNames } from '../../tables/outline.ts';
import { concealmentFor } from '../../tables/privacy.ts';
import { sealedColumns } from '../../tables/seal.ts';
import { type Updated, updateMatches } from '../../tables/update.ts';
import { workOnTable } from '../../tables/work-on-table.ts';
import { write } from '../../tables/write.ts';
import { callerKey, defineTool } from '../tool.ts';
import { DryRun, IdempotencyKey, MaxRows, RowValues, SameWhere } from './arguments.ts';
import { privacyOf } from './privacy.ts';

/** Sets columns of the rows that match, or refuses when more match than were foreseen. */
export const updateRows = defineTool({
  name: 'update_rows',
  title: 'Update rows',
  description:
    'Sets columns of all rows that match. More than max_rows match: nothing changes, and you learn how many.',
  kind: 'destructive',
  idempotent: false,
  untrusted: true,
  atPlace: true,
  input: z.strictObject({
    table: z.string(),
    where: SameWhere,
    set: RowValues,
    max_rows: MaxRows,
    idempotency_key: IdempotencyKey,
    dry_run: DryRun,
  }),
  output: z.looseObject({
    count: z.number(),
    columns: z.array(z.string()),
    before: z.array(z.array(z.unknown())),
    after: z.array(z.array(z.unknown())),
  }),
  summarize: ({ table, where, set, max_rows, idempotency_key: key, dry_run }) => ({
    table: outlineName(table),
    where: outlineFilter(where),
    columns: outlineNames(Object.keys(set)),
    max_rows,
    dry_run,
    ...(key !== undefined && { idempotency_key: true }),
  }),
  async run(call, args) {
    const { caller, means, place, signal } = call;
    const { table: name, where, set, max_rows: maxRows = 1, idempotency_key: idempotencyKey, dry_run: dryRun } = args;
    const request = { place, callerKey: callerKey(caller), tool: 'update_rows', idempotencyKey, dryRun, signal };
    const privacy = privacyOf(call);
    let revealed: readonly string[] = [];
    const answer = await workOnTable(means.catalog, place, name, 'update', async table => {
      const concealment = await concealmentFor(privacy, table);
      if (privacy.mayRead) revealed = sealedColumns(table).map(column => column.name);
      const how = { arguments: { table: name, where, set, maxRows }, concealment };
      return write(means.pools, { ...request, ...how }, async session =>
        toAnswer(await updateMatches(session, table, { where, maxRows }, set, privacy), means.limits.maxResultBytes),
      );
    });
    const rows = dryRun || answer.replayed ? 0 : Number(answer.count);
    const isRevealing = revealed.length > 0 && answer.before !== undefined && !answer.replayed;
    return { result: answer, rows, ...(isRevealing && { done: { personal_data: revealed } }) };
  },
});

// Private

/** As many examples as an answer may hold. */
function toAnswer({ count, columns, before, after }: Updated, maxBytes: number): Record<string, unknown> {
  const pairs = before.map((row, i) => [row, after[i]]);
  const shown = countFitting(pairs, maxBytes - Buffer.byteLength(JSON.stringify(columns)) - 1024);
  return {
    count,
    ...(shown > 0 && { columns, before: before.slice(0, shown), after: after.slice(0, shown) }),
  };
}
