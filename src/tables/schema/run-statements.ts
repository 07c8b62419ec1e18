import type { Session } from '../../database/pools.ts';
import { explainStatement, sqlStateOf } from './explain-change.ts';
import { describeWork, type Keys, runWork, tryWork, type ValueWork } from './value-work.ts';

/** What a change is made of, in order: statements, and what only the gateway can do with values. */
export type Statements = readonly (string | ValueWork)[];

/** One after the other in the transaction; an error says which one Postgres refused. */
export async function runStatements(session: Session, statements: Statements, keys: Keys): Promise<void> {
  await runEach(statements, async statement => {
    if (isWork(statement)) await runWork(session, keys, statement);
    else await session.query(statement, [], { prepare: false });
  });
}

/** The same in a transaction that is rolled back: nothing of what it opens is written down. */
export async function tryStatements(session: Session, statements: Statements, keys: Keys): Promise<void> {
  let isEmptied = false;
  await runEach(statements, async statement => {
    if (isWork(statement)) {
      await tryWork(session, keys, statement);
      isEmptied ||= statement.deed === 'unseal';
    } else if (isEmptied) await unlessEmptied(session, statement);
    else await session.query(statement, [], { prepare: false });
  });
}

/** As people and the history read them. */
export function toTexts(statements: Statements): string[] {
  return statements.map(statement => (isWork(statement) ? describeWork(statement) : statement));
}

export function isWork(statement: Statements[number]): statement is ValueWork {
  return typeof statement !== 'string';
}

// Private

async function runEach(statements: Statements, run: (statement: Statements[number]) => Promise<void>): Promise<void> {
  for (const [i, statement] of statements.entries()) {
    await run(statement).catch(thrown => {
      throw explainStatement(thrown, `Statement ${i + 1} of ${statements.length}`);
    });
  }
}

/** That a column of which the trial wrote nothing holds nothing is no failure. */
async function unlessEmptied(session: Session, statement: string): Promise<void> {
  await session.query('savepoint before_statement');
  await session.query(statement, [], { prepare: false }).catch(async thrown => {
    if (sqlStateOf(thrown) !== NOT_NULL_VIOLATION) throw thrown;
    await session.query('rollback to savepoint before_statement');
  });
}

const NOT_NULL_VIOLATION = '23502';
