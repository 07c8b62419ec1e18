import { type SqlTable, tablesOf } from './findings.ts';
import { inspect } from './inspect.ts';
import { parseSelect } from './parse.ts';
import { checkReferences } from './references.ts';
import { type Rewritten, rewrite } from './rewrite.ts';
import { refuseWideStars } from './stars.ts';

/** A query that may be sent. */
export interface GuardedQuery extends Rewritten {
  /** The tables that it reads, each once. */
  tables: readonly SqlTable[];
}

/**
 * Judges a query that somebody wrote before the database sees it: one SELECT, of nothing but what is known to be
 * harmless, on nothing but these tables. It is kind, not strong: it says in words what the rights of the login would
 * refuse anyway, and keeps names and shared things of the server out of reach, which no right covers.
 * Throws `sql/refused`, `sql/syntax`, `table/not-found` or `table/no-such-column`.
 */
export async function guardSql(text: string, tables: readonly SqlTable[], maxRows: number): Promise<GuardedQuery> {
  const parsed = await parseSelect(text);
  const findings = inspect(parsed, tables);
  checkReferences(parsed.text, findings);
  refuseWideStars(parsed.text, findings);
  return { ...rewrite(parsed, findings, maxRows), tables: tablesOf(findings) };
}
