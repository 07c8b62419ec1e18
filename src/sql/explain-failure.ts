import { SETTINGS } from '../database/walls.ts';
import { didYouMean } from '../did-you-mean.ts';
import { type ErrorCode, type ErrorFacts, FrameError, unavailable } from '../errors.ts';
import type { GuardedQuery } from './guard.ts';
import { WRITTEN_NAME } from './parse.ts';
import { isSealed, sealed } from './references.ts';
import { placeAfter } from './refusal.ts';

/**
 * What Postgres refused of a query, in words about the query: Postgres's own, which hold nothing but names, types and
 * values of the query, unless one of `secrets` (names of schemas and roles) is in them. Anything else than an error of
 * Postgres comes back as it is.
 */
export function explainFailure(
  thrown: unknown,
  text: string,
  query: GuardedQuery,
  secrets: readonly string[],
): unknown {
  if (!isPostgresFailure(thrown)) return thrown;
  const facts = { detail: thrown.code, cause: thrown };
  const fail = (code: ErrorCode, sentence: string, hint: string) => new FrameError(code, sentence, { ...facts, hint });
  switch (thrown.code) {
    case '57014':
      return fail('limit/time', 'The query took too long and was stopped.', LESS);
    case '53400':
      return fail(
        'limit/bytes',
        `The query needs more than ${SETTINGS.ro.temp_file_limit} to sort, group or recurse.`,
        LESS,
      );
    case '53200':
      return fail('limit/bytes', TOO_LARGE, LESS);
    case '54000':
      if (!SIZES.test(thrown.message)) break;
      return fail('limit/bytes', TOO_LARGE, LESS);
    case '54001':
      if (thrown.message.includes('grouping sets')) break;
      return fail('sql/refused', 'The query is nested too deeply.', 'Use WITH, step by step.');
    case '55P03':
      return new FrameError('limit/lock', 'A table is being changed right now.', { ...facts, ...SOON });
    case '42501':
      return fail(
        'sql/refused',
        'The query asks for something that may not be read.',
        'describe_tables shows what may.',
      );
    case '25001':
    case '25006':
      return fail('sql/refused', 'run_sql only reads.', 'Use the tools that change rows or tables.');
    case '42703':
      return unknownColumn(thrown, text, query, facts);
    case 'XX000':
      // Postgres has no code of its own for a value past 1 GB.
      return thrown.message.includes('memory alloc') ? fail('limit/bytes', TOO_LARGE, LESS) : thrown;
  }
  return explainClass(thrown, query, secrets, facts);
}

/** It may be that the tables have changed since the query was judged. */
export function mayBeOutdated(thrown: unknown): boolean {
  if (!(thrown instanceof FrameError)) return false;
  const { code, cause } = thrown;
  return code.startsWith('table/') || (isPostgresFailure(cause) && OUTDATED.has(cause.code));
}

// Private

const OUTDATED = new Set(['42P01', '42501']);

interface PostgresFailure {
  code: string;
  message: string;
  /** In characters of the text that was sent, from 1. */
  position?: string;
}

function isPostgresFailure(thrown: unknown): thrown is PostgresFailure {
  return thrown instanceof Error && 'severity' in thrown && 'code' in thrown && typeof thrown.code === 'string';
}

const TOO_LARGE = 'A value of the query grew larger than Postgres can hold.';
/** Under the same code Postgres tells of too many dimensions, or of a NUL. */
const SIZES = /\b(size|length|bytes|memory)\b/;
const LESS = 'Filter more, aggregate before you join, or read fewer columns.';
const SOON = { retryable: true, retryAfterSeconds: 1, hint: 'Try again in a moment.' };

/** Those that a look at the message alone does not answer. */
const HINTS: Readonly<Record<string, string>> = {
  '54011': 'Select fewer columns, or group by fewer sets.',
  '54023': 'Give a function fewer arguments: join what several calls give with ||.',
  '22012': 'Divide by nullif(x, 0).',
  '42702': 'Put the table or its alias in front of the column.',
  '42803': 'Name every column outside of aggregates in GROUP BY, also those that * stands for.',
  '42804': 'Cast one side, such as x::numeric or x::text.',
  '42883': 'Cast what is given, such as x::numeric or x::text; describe_tables shows the types.',
  '42P01': 'Qualify columns with what stands in FROM.',
};

function explainClass(
  { code, message, position }: PostgresFailure & { cause?: unknown },
  query: GuardedQuery,
  secrets: readonly string[],
  facts: ErrorFacts,
): unknown {
  switch (code.slice(0, 2)) {
    case '0A':
    case '21':
    case '22':
    case '2F':
    case '42':
    case '54':
      break;
    case '53':
      return unavailable('The database is too busy right now.', facts);
    default:
      return facts.cause;
  }
  const isTelling = secrets.some(secret => message.includes(secret));
  const said = isTelling ? 'Postgres refuses this' : message.slice(0, MAX_MESSAGE);
  const sentence = `${placeOf(position, query)}${said}.`;
  const hint = HINTS[code];
  return new FrameError('sql/failed', sentence, { ...facts, ...(hint && { hint }) });
}

const MAX_MESSAGE = 300;

function placeOf(position: string | undefined, query: GuardedQuery): string {
  return position === undefined ? '' : `${placeAfter(query.originalBefore(Number(position) - 1))}: `;
}

function unknownColumn(
  { position }: PostgresFailure,
  text: string,
  query: GuardedQuery,
  facts: ErrorFacts,
): FrameError {
  const name = position && nameAt(text.slice(query.originalBefore(Number(position) - 1).length));
  const place = placeOf(position, query);
  if (!name) return new FrameError('table/no-such-column', `${place}there is no such column.`, facts);
  if (isSealed(name, query.tables)) {
    const [sentence, more] = sealed(name);
    return new FrameError('sql/refused', place + sentence, { ...facts, ...more });
  }
  const columns = query.tables.flatMap(table => table.columns);
  const guess = didYouMean(name, columns);
  return new FrameError('table/no-such-column', `${place}there is no column \`${name.slice(0, 80)}\`.`, {
    ...facts,
    hint: guess ? `Did you mean \`${guess}\`?` : `Columns: ${[...new Set(columns)].slice(0, 60).join(', ')}.`,
    nextTool: 'describe_tables',
  });
}

/** The last part of a name such as `c."Weird Name"`. */
function nameAt(text: string): string | undefined {
  const [chain = ''] = new RegExp(`^(?:${WRITTEN_NAME}\\.?)+`, 'u').exec(text) ?? [];
  const last = chain.match(new RegExp(WRITTEN_NAME, 'gu'))?.at(-1);
  return last?.startsWith('"') ? last.slice(1, -1).replaceAll('""', '"') : last?.toLowerCase();
}
