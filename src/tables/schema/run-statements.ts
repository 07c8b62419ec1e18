import type { Session } from '../../database/pools.ts';
import { explainStatement } from './explain-change.ts';

/** One after the other in the transaction; an error says which one Postgres refused. */
export async function runStatements(session: Session, statements: readonly string[]): Promise<void> {
  for (const [i, statement] of statements.entries()) {
    await session.query(statement, [], { prepare: false }).catch(thrown => {
      throw explainStatement(thrown, `Statement ${i + 1} of ${statements.length}`);
    });
  }
}
