import { type ErrorFacts, FrameError, unavailable } from '../errors.ts';
import { describeCheck } from './describe-check.ts';
import type { Table } from './table.ts';

/** What was being done with a table when Postgres refused. */
export type Deed = 'read' | 'insert' | 'update' | 'delete';

/**
 * What Postgres refused, in the words of the caller's table: names come from the catalog, values from nowhere.
 * Anything else than an error of Postgres comes back as it is.
 */
export function explain(thrown: unknown, deed: Deed, table: Table): unknown {
  if (!isPostgresFailure(thrown)) return thrown;
  const facts = factsOf(thrown);
  switch (thrown.code) {
    case '23505':
    case '23P01':
      return duplicate(thrown, table, facts);
    case '23502':
      return new FrameError('row/missing-value', `\`${thrown.column_name ?? 'A column'}\` is required.`, facts);
    case '23503':
      return brokenReference(thrown, deed, table, facts);
    case '23514':
      return checkFailed(thrown, table, facts);
    case '23001':
      return stillReferenced(thrown, table, facts);
    case 'P0001':
      return new FrameError('row/check-failed', `A rule of \`${table.name}\` refuses this row.`, facts);
    case '22003':
      return new FrameError('row/bad-value', 'A number is too large for its column.', facts);
    case '22001':
      return new FrameError('row/bad-value', 'A text is too long for its column.', facts);
    case '54000':
      return new FrameError('row/bad-value', 'A value is too long for a column with an index.', facts);
    case '22025':
      return new FrameError('row/bad-value', 'A pattern must not end with a single backslash.', facts);
    case '42883':
    case '42804':
    case '42846':
    case '42P18':
      return new FrameError('args/invalid', 'A comparison or an order does not work on a column of this type.', {
        ...facts,
        hint: '`describe_tables` shows the types; compare other types with `eq`, `in` or `like`.',
      });
    case '42P01':
      return new FrameError('table/not-found', `The table \`${table.name}\` has just been changed.`, changed(facts));
    case '42703':
      return new FrameError(
        'table/no-such-column',
        `The table \`${table.name}\` has just been changed.`,
        changed(facts),
      );
    case '42501':
      return new FrameError('internal', `Frame may not ${deed} rows of \`${table.name}\`.`, {
        ...facts,
        hint: 'It was made outside Frame without the usual rights; the operator can grant them.',
      });
    case '57014':
      return new FrameError('limit/time', 'This took too long and was stopped.', {
        ...facts,
        hint: 'Narrow `where`, order by a column with an index, or leave `count` out.',
      });
    case '55P03':
      return new FrameError('limit/lock', 'The rows are being changed by somebody else.', later(facts));
    case '40001':
    case '40P01':
      return new FrameError('limit/lock', 'Somebody else changed the same rows at the same time.', later(facts));
    case '53100':
      return new FrameError('limit/disk', 'The disk of the database is full.', {
        ...facts,
        hint: 'Nothing was changed. Tell the operator.',
      });
    case '25006':
      return unavailable('The database only answers reads right now.', { ...facts, retryAfterSeconds: 30 });
    default:
      return explainClass(thrown, facts);
  }
}

/** The same, of a write for a table that is not any more as the catalog knew it: nothing was written. */
export function explainChanged(thrown: unknown, deed: Deed, table: Table): unknown {
  const known = explain(thrown, deed, table);
  if (!isPostgresFailure(thrown) || (known instanceof FrameError && known.retryable)) return known;
  return new FrameError(
    'table/no-such-column',
    `The table \`${table.name}\` has just been changed.`,
    changed(factsOf(thrown)),
  );
}

/** The names came from a catalog that is older than the table. */
export function isOldCatalog(thrown: unknown): boolean {
  // The last three: a column was sealed since, or its seal was taken off.
  return isPostgresFailure(thrown) && ['42P01', '42703', '0A000', '42501', '42804', '42883'].includes(thrown.code);
}

/** A deadlock, or a conflict of two transactions: this one was rolled back. */
export function lostRace(thrown: unknown): boolean {
  return isPostgresFailure(thrown) && ['40P01', '40001'].includes(thrown.code);
}

// Private

/** The fields of a Postgres error that matter here. `detail` and `message` hold values of rows and are left alone. */
interface PostgresFailure {
  code: string;
  message: string;
  constraint_name?: string;
  column_name?: string;
  table_name?: string;
}

function isPostgresFailure(thrown: unknown): thrown is PostgresFailure {
  return thrown instanceof Error && 'severity' in thrown && 'code' in thrown && typeof thrown.code === 'string';
}

function factsOf(failure: PostgresFailure): ErrorFacts {
  return { detail: `${failure.code} ${failure.constraint_name ?? ''}`.trim(), cause: failure };
}

function explainClass(failure: PostgresFailure, facts: ErrorFacts): unknown {
  switch (failure.code.slice(0, 2)) {
    case '22':
      return new FrameError('row/bad-value', 'A value does not fit the type of its column.', facts);
    case '23':
      return new FrameError('row/check-failed', 'A rule of the table refuses this.', facts);
    case '53':
      return unavailable('The database is too busy right now.', facts);
    default:
      return failure;
  }
}

function duplicate({ constraint_name: name }: PostgresFailure, table: Table, facts: ErrorFacts): FrameError {
  const columns = table.indexes.find(index => index.name === name)?.columns ?? [];
  const values = columns.length === 1 ? 'this value' : 'these values';
  return new FrameError('row/duplicate', `Another row has ${values} of ${listNames(columns)} already.`, {
    ...facts,
    hint: 'Look for that row with `select_rows`, or choose other values.',
    nextTool: 'select_rows',
  });
}

function brokenReference(failure: PostgresFailure, deed: Deed, table: Table, facts: ErrorFacts): FrameError {
  const reference = table.references.find(({ name }) => name === failure.constraint_name);
  if (deed === 'delete' || failure.table_name !== table.name) return stillReferenced(failure, table, facts);
  const target = reference ? `\`${reference.table}\`` : 'the other table';
  return new FrameError(
    'row/reference-missing',
    `${listNames(reference?.columns ?? [])} names a row that ${target} does not have.`,
    { ...facts, hint: `Find the id in ${target} with \`select_rows\`.`, nextTool: 'select_rows' },
  );
}

function stillReferenced(failure: PostgresFailure, table: Table, facts: ErrorFacts): FrameError {
  const by = failure.table_name ? `\`${failure.table_name}\`` : 'another table';
  return new FrameError('row/still-referenced', `Rows of ${by} still name this row of \`${table.name}\`.`, {
    ...facts,
    hint: `Change or delete those rows of ${by} first.`,
  });
}

function checkFailed({ constraint_name: name }: PostgresFailure, table: Table, facts: ErrorFacts): FrameError {
  const found = table.checks.find(check => check.name === name);
  const rule = found?.check && found.column ? `\`${found.column}\` must ${describeCheck(found.check)}.` : undefined;
  return new FrameError('row/check-failed', rule ?? `A rule of \`${table.name}\` refuses a value.`, facts);
}

function changed(facts: ErrorFacts): ErrorFacts {
  return { ...facts, retryable: true, hint: 'Try again.', nextTool: 'describe_tables' };
}

function later(facts: ErrorFacts): ErrorFacts {
  return { ...facts, retryable: true, retryAfterSeconds: 1, hint: 'Nothing was changed. Try again in a moment.' };
}

function listNames(names: readonly string[]): string {
  return names.length === 0 ? 'a unique column' : names.map(name => `\`${name}\``).join(' and ');
}
