import { type ErrorFacts, FrameError } from '../../errors.ts';

/** The SQLSTATE of what Postgres refused; undefined for anything else. */
export function sqlStateOf(thrown: unknown): string | undefined {
  const isRefusal = thrown instanceof Error && 'severity' in thrown && 'code' in thrown;
  return isRefusal && typeof thrown.code === 'string' ? thrown.code : undefined;
}

/**
 * What Postgres refused of a schema change; nothing of it was done. `which` names the statement. Values of rows stand in
 * Postgres' own message, so it is left out. Anything else than a refusal comes back as it is.
 */
export function explainStatement(thrown: unknown, which: string): unknown {
  const state = sqlStateOf(thrown);
  if (!state) return thrown;
  const facts: ErrorFacts = { detail: `${state} ${which}`, cause: thrown, nextTool: 'plan_change' };
  switch (state) {
    case '55P03':
    case '40P01':
    case '40001':
      return new FrameError('limit/lock', 'Somebody else is using these tables right now.', {
        ...facts,
        retryable: true,
        retryAfterSeconds: 1,
        hint: 'Nothing was changed. Try again in a moment.',
      });
    case '57014':
      return new FrameError('limit/time', 'This took too long and was stopped.', {
        ...facts,
        hint: 'Nothing was changed. Split the change, or ask the operator to make it.',
      });
    case '53100':
      return new FrameError('limit/disk', 'The disk of the database is full.', {
        ...facts,
        hint: 'Nothing was changed. Tell the operator.',
      });
    default:
      return new FrameError('plan/failed', `${which} cannot be done: ${reasonOf(state)}.`, {
        ...facts,
        hint: 'Nothing was changed. Plan it differently, or mend the rows first.',
      });
  }
}

// Private

function reasonOf(state: string): string {
  return REASONS[state] ?? REASONS[state.slice(0, 2)] ?? `Postgres refuses it (${state})`;
}

const REASONS: Record<string, string> = {
  '0A000': 'something that was made outside Frame depends on it, such as a view',
  '22': 'a value does not fit the new type',
  '23502': 'a row has no value for a required column',
  '23503': 'a row names a row that is not there',
  '23505': 'values that must be unique occur more than once',
  '23514': 'a row does not pass the check',
  '2BP01': 'something else depends on it',
  '42501': 'the table was made outside Frame and belongs to somebody else',
  '42703': 'a column is not there any more',
  '42P01': 'a table is not there any more',
  '42P07': 'a table or index of this name exists already',
  '42701': 'a column of this name exists already',
  '42710': 'a constraint of this name exists already',
  '53400': 'it needs more room for sorting than is allowed',
  '54000': 'a value is too long for an index',
  '54011': 'a table cannot have so many columns',
};
