import type { Session } from '../database/pools.ts';
import { lockMatches, type Match } from './match.ts';
import type { Privacy } from './privacy.ts';
import { quoteQualified } from './quote.ts';
import { createParameters } from './statement.ts';
import type { Table } from './table.ts';

/** Deletes the rows that match, all or none, and resolves to their number; belongs into a transaction. */
export async function deleteMatches(session: Session, table: Table, match: Match, privacy: Privacy): Promise<number> {
  const locked = await lockMatches(session, table, match, privacy);
  if (locked.count === 0) return 0;
  const parameters = createParameters();
  const text =
    `delete from ${quoteQualified(table.schema, table.name)} t` +
    ` using ${locked.source(parameters)} where ${locked.isSame}`;
  return (await session.query(text, parameters.values)).count;
}
