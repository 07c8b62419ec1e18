import type { Place } from '../../database/place.ts';
import type { Result, Session } from '../../database/pools.ts';
import { quoteQualified } from '../quote.ts';
import type { Undo } from './undo.ts';

/** The history of a schema: one row per version. It only grows. */
export interface NewVersion {
  version: number;
  /** Milliseconds since 1970. */
  at: number;
  author: string;
  summary: string;
  statements: readonly string[];
  undo: readonly Undo[];
  planId: string | undefined;
}

/** Runs one statement as the login that owns the schema's tables. */
export type Run = (text: string, params?: readonly unknown[]) => Promise<Result>;

/** 0 before the first change. */
export async function readLatestVersion(run: Run, place: Place): Promise<number> {
  const { rows } = await run(`select max(version) from ${quoteQualified(place.schema, '_versions')}`);
  return Number(rows[0]?.[0] ?? 0);
}

/** All steps back from now to `version`, in their order. */
export async function readSteps(run: Run, place: Place, version: number): Promise<Undo[]> {
  const { rows } = await run(
    `select inverse::text from ${quoteQualified(place.schema, '_versions')} where version > $1::int order by version desc`,
    [version],
  );
  return rows.flatMap(([undo]): Undo[] => JSON.parse(String(undo)));
}

/** Takes the next number, or answers false when somebody else has it: waits for whoever is about to take it. */
export async function claimVersion(session: Session, place: Place, version: NewVersion): Promise<boolean> {
  const { count } = await session.query(
    `insert into ${quoteQualified(place.schema, '_versions')}
      (version, at, author, summary, statements, inverse, plan_id)
    values ($1::int, $2::text::timestamptz, $3, $4, $5::text::jsonb, $6::text::jsonb, $7::text::uuid)
    on conflict (version) do nothing`,
    [
      version.version,
      new Date(version.at).toISOString(),
      version.author,
      version.summary,
      JSON.stringify(version.statements),
      JSON.stringify(version.undo),
      version.planId ?? null,
    ],
  );
  return count === 1;
}
