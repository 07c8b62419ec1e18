import { z } from 'zod';
import { FrameError } from '../../errors.ts';
import { explainFailure, mayBeOutdated } from '../../sql/explain-failure.ts';
import { type GuardedQuery, guardSql } from '../../sql/guard.ts';
import { outlineSql } from '../../sql/outline.ts';
import { describePlan } from '../../sql/plan-shape.ts';
import { countFitting } from '../../tables/fit.ts';
import { type Call, callerKey, defineTool } from '../tool.ts';
import { type Found, toFound } from './found-rows.ts';
import { sqlTablesOf } from './sql-tables.ts';

/** Judges a query before the database sees it. */
export type Guard = typeof guardSql;

/** One SELECT of the caller's own. */
export const runSql = runSqlBehind(guardSql);

/** The tool behind a guard; another one than ours is for tests, which show that nothing crosses without it either. */
export function runSqlBehind(guard: Guard) {
  return defineTool({
    name: 'run_sql',
    title: 'Run a query',
    description:
      'One PostgreSQL SELECT over the tables of describe_tables, for joins and aggregates. Name tables without a schema.',
    kind: 'read',
    idempotent: true,
    untrusted: true,
    atPlace: true,
    input: z.strictObject({
      sql: z.string(),
      limit: z.int().min(1).max(500).describe('default 50').optional(),
    }),
    output: z.looseObject({
      columns: z.array(z.string()),
      rows: z.array(z.array(z.unknown())),
      truncated: z.boolean(),
    }),
    async summarize({ sql, limit }, { keyring }) {
      return { query: keyring.digest('sql', sql), length: sql.length, tables: await outlineSql(sql), limit };
    },
    async run(call, { sql, limit }) {
      const { defaultRows, maxRows } = call.means.limits;
      const wanted = Math.min(limit ?? defaultRows, maxRows);
      const ask = () => read(call, guard, sql, wanted + 1);
      const found = await ask().catch(thrown => {
        if (mayBeOutdated(thrown) && call.means.catalog.renew(call.place)) return ask();
        throw thrown;
      });
      return toAnswer(call, found, wanted);
    },
  });
}

// Private

/** What an answer holds besides rows and column names. */
const FRAME_BYTES = 1024;
const EXPLAIN_MS = 1000;

async function read(call: Call, guard: Guard, sql: string, maxRows: number): Promise<Found> {
  const { means, place, signal } = call;
  const query = await guard(sql, sqlTablesOf(await means.catalog.tables(place)), maxRows);
  try {
    return toFound(await means.sql.read(callerKey(call.caller), place, query.text, { maxRows, signal }));
  } catch (thrown) {
    const failure = explainFailure(thrown, sql, query, [place.schema, place.roleId, place.database]);
    // Only what Postgres itself has stopped: otherwise it may still be at it, and plans nothing more for this caller.
    const isStopped = failure instanceof FrameError && failure.code === 'limit/time' && failure !== thrown;
    throw isStopped && !signal.aborted ? await withPlan(failure, call, query) : failure;
  }
}

/** Only planned, never run; without a plan in time the failure says what it can. */
async function withPlan(failure: FrameError, { means, caller, place, signal }: Call, query: GuardedQuery) {
  const soon = AbortSignal.any([signal, AbortSignal.timeout(EXPLAIN_MS)]);
  const explain = `explain (format json) ${query.text}`;
  const plan = await means.sql
    .read(callerKey(caller), place, explain, { maxRows: 1, signal: soon })
    .then(({ rows }) => describePlan(String(rows[0]?.[0]), query.tables))
    .catch(() => undefined);
  const { code, message, hint, detail, cause } = failure;
  return new FrameError(code, message, { hint: [plan, hint].filter(Boolean).join(' '), detail, cause });
}

function toAnswer({ means }: Call, { columns, rows }: Found, wanted: number) {
  const { maxResultBytes } = means.limits;
  const page = rows.slice(0, wanted);
  const fitting = countFitting(page, maxResultBytes - FRAME_BYTES - Buffer.byteLength(JSON.stringify(columns)));
  if (fitting === 0 && page.length > 0) {
    throw new FrameError('limit/bytes', `One row alone is larger than an answer may be (${maxResultBytes} bytes).`, {
      hint: 'Select fewer columns, or parts of them, such as left(body, 1000).',
    });
  }
  const truncated = fitting < rows.length;
  const result = { columns, rows: page.slice(0, fitting), truncated, ...(truncated && { hint: GO_ON }) };
  return { result, rows: fitting };
}

const GO_ON = 'For the rest, order by a key and ask for what comes after the last row, or use LIMIT and OFFSET.';
