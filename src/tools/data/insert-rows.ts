import { randomUUIDv7 } from 'node:crypto';
import { z } from 'zod';
import { FrameError } from '../../errors.ts';
import { planInsert, runInsert } from '../../tables/insert.ts';
import { outlineName, outlineNames } from '../../tables/outline.ts';
import { concealmentFor, refuseManyGuesses } from '../../tables/privacy.ts';
import { workOnTable } from '../../tables/work-on-table.ts';
import { write } from '../../tables/write.ts';
import { callerKey, defineTool } from '../tool.ts';
import { DryRun, IdempotencyKey, RowValues } from './arguments.ts';
import { privacyOf } from './privacy.ts';

/** New rows in one table, all or none. Frame makes the ids, so that they are known whatever becomes of the answer. */
export const insertRows = defineTool({
  name: 'insert_rows',
  title: 'Insert rows',
  description:
    'Adds rows to one table, all or none. Columns left out get their default; id and created_* are set for you.',
  kind: 'write',
  idempotent: false,
  atPlace: true,
  input: z.strictObject({
    table: z.string(),
    rows: z.array(RowValues).min(1).max(500),
    idempotency_key: IdempotencyKey,
    dry_run: DryRun,
  }),
  output: z.looseObject({
    count: z.number(),
    ids: z.array(z.unknown()),
  }),
  summarize: ({ table, rows, idempotency_key: key, dry_run }) => ({
    table: outlineName(table),
    columns: outlineNames(rows.flatMap(row => Object.keys(row))),
    rows: rows.length,
    dry_run,
    ...(key !== undefined && { idempotency_key: true }),
  }),
  async run(call, { table: name, rows, idempotency_key: idempotencyKey, dry_run: dryRun }) {
    const { caller, means, place, signal } = call;
    const { maxInsertRows } = means.limits;
    if (rows.length > maxInsertRows) {
      throw new FrameError('args/invalid', `\`rows\`: at most ${maxInsertRows} at a time.`);
    }
    // Sorted: rows that are written together keep their order.
    const ids = Array.from(rows, () => randomUUIDv7()).sort();
    const facts = { ids, createdBy: caller.person.username };
    const request = { place, callerKey: callerKey(caller), tool: 'insert_rows', idempotencyKey, dryRun, signal };
    const privacy = privacyOf(call);
    const answer = await workOnTable(means.catalog, place, name, 'insert', async table => {
      if (dryRun) refuseManyGuesses(privacy, table, rows);
      const plan = () => planInsert(table, rows, facts, privacy);
      // What is kept for a key answers the same call also when the table does not take these rows any more.
      const planned = idempotencyKey === undefined ? await plan() : undefined;
      const how = {
        arguments: { table: name, rows },
        isSingleStatement: planned?.statements.length === 1,
        concealment: await concealmentFor(privacy, table),
      };
      return write(means.pools, { ...request, ...how }, async session => {
        const ids = await runInsert(session, planned ?? (await plan()));
        return { count: rows.length, ...(ids && !dryRun && { ids }) };
      });
    });
    return { result: answer, rows: dryRun || answer.replayed ? 0 : rows.length };
  },
});
