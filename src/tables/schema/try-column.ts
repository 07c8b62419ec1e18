import { FrameError } from '../../errors.ts';
import { invalidArgument } from '../argument.ts';
import type { Column } from '../table.ts';
import { checkSql, defaultSql } from './column-sql.ts';
import type { Draft } from './draft.ts';
import { sqlStateOf } from './explain-change.ts';
import { sqlLiteral } from './literal.ts';

/** Asks Postgres what it alone knows: whether it can read the pattern, and whether the default passes the check. */
export async function tryColumn(draft: Draft, column: Column, path: string): Promise<void> {
  const { check } = column;
  if (!check) return;
  if (check.pattern !== undefined) await tryPattern(draft, check.pattern, `${path}.check.pattern`);
  if (!column.default) return;
  const value = defaultSql(draft.place.schema, column, column.default);
  const refused = await draft.count(
    `select count(*) from (select ${value} as value) as tried where not (${checkSql('value', column, check)})`,
  );
  if (refused) throw new FrameError('row/check-failed', `\`${path}.default\`: the default does not pass the check.`);
}

// Private

async function tryPattern(draft: Draft, pattern: string, path: string): Promise<void> {
  try {
    await draft.count(`select count(*) from (select 1) as tried where '' ~ ${sqlLiteral(pattern)}`);
  } catch (thrown) {
    if (sqlStateOf(thrown) !== '2201B') throw thrown;
    throw invalidArgument(path, 'Postgres cannot read this as a regular expression.');
  }
}
