import type { Session } from '../../database/pools.ts';
import { explainStatement } from './explain-change.ts';
import { describeWork, type Keys, runWork, type ValueWork } from './value-work.ts';

/** What a change is made of, in order: statements, and what only the gateway can do with values. */
export type Statements = readonly (string | ValueWork)[];

/** One after the other in the transaction; an error says which one Postgres refused. */
export async function runStatements(session: Session, statements: Statements, keys: Keys): Promise<void> {
  for (const [i, statement] of statements.entries()) {
    const done = isWork(statement)
      ? runWork(session, keys, statement)
      : session.query(statement, [], { prepare: false });
    await done.catch(thrown => {
      throw explainStatement(thrown, `Statement ${i + 1} of ${statements.length}`);
    });
  }
}

/** As people and the history read them. */
export function toTexts(statements: Statements): string[] {
  return statements.map(statement => (isWork(statement) ? describeWork(statement) : statement));
}

export function isWork(statement: Statements[number]): statement is ValueWork {
  return typeof statement !== 'string';
}
