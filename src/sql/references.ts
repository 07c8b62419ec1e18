import { didYouMean } from '../did-you-mean.ts';
import type { ErrorFacts, FrameError } from '../errors.ts';
import { FUNCTIONS, TYPES, UNNAMED_COLUMNS } from './allowed.ts';
import { type Findings, type Source, type SqlTable, tablesOf } from './findings.ts';
import { refusalAt } from './refusal.ts';

/**
 * Names of columns, once the whole query is known. Which of two sources of one name is meant is left to Postgres, but
 * `x.f` must be a column of some x: where the row of x is a plain value, Postgres would call the function f with it.
 * Throws `table/no-such-column` with a guess, or `sql/refused`.
 */
export function checkReferences(text: string, findings: Findings): void {
  const tables = tablesOf(findings);
  const known = new Set([...findings.declared, ...tables.flatMap(({ columns }) => columns)]);
  for (const { qualifier, name, at } of findings.references) {
    const sources = qualifier === undefined ? undefined : (findings.sources.get(qualifier) ?? []);
    if (sources ? isColumnOf(sources, name, known) : known.has(name)) continue;
    if (sources?.length === 0) throw notInFrom(text, at, String(qualifier), findings);
    if (isSealed(name, tables)) throw refusalAt(text, at, ...sealed(name));
    // A bare name that nobody knows is left to Postgres, which knows more of scopes.
    if (sources) throw noSuchColumn(text, at, String(qualifier), name, sources);
  }
}

/** The sentence and what to do, for a column that nobody reads in SQL. */
export function sealed(name: string): [sentence: string, facts: ErrorFacts] {
  const hint = 'Leave it out; select_rows and reveal show it to those who may see it.';
  return [`\`${name}\` is personal data, which run_sql never reads.`, { hint, nextTool: 'select_rows' }];
}

export function isSealed(name: string, tables: readonly SqlTable[]): boolean {
  return tables.some(({ sealed }) => sealed.includes(name));
}

// Private

/** Of sources that share a name, one of a plain value decides for all. */
function isColumnOf(sources: readonly Source[], name: string, known: ReadonlySet<string>): boolean {
  const has = (source: Source) => hasColumn(source, name, known);
  const functions = sources.filter(({ kind }) => kind === 'function');
  return functions.length > 0 ? functions.every(has) : sources.some(has);
}

/** `known`: the columns of all tables of the query, and the names that it gives itself. */
function hasColumn(source: Source, name: string, known: ReadonlySet<string>): boolean {
  switch (source.kind) {
    case 'table':
      return source.table.columns.includes(name) || source.columns.includes(name);
    case 'function':
      return source.columns.includes(name) || isDefaultName(name);
    case 'query':
      return known.has(name) || isDefaultName(name);
  }
}

/** What Postgres calls a column that nobody named, after the function, the type or the kind of expression. */
function isDefaultName(name: string): boolean {
  return FUNCTIONS.has(name) || TYPES.has(name) || UNNAMED_COLUMNS.has(name) || /^column\d+$/.test(name);
}

function notInFrom(text: string, at: number, qualifier: string, { sources }: Findings): FrameError {
  const hint = guessOf(qualifier, sources.keys()) ?? 'Qualify columns with what stands in FROM.';
  return refusalAt(text, at, `\`${qualifier.slice(0, 80)}\` does not stand in FROM.`, { hint });
}

function noSuchColumn(
  text: string,
  at: number,
  qualifier: string,
  name: string,
  sources: readonly Source[],
): FrameError {
  const columns = sources.flatMap(source => (source.kind === 'table' ? source.table.columns : []));
  const list = columns.length > 0 ? `Its columns: ${columns.slice(0, 60).join(', ')}.` : 'Name it with AS first.';
  const facts = { hint: guessOf(name, columns) ?? list, nextTool: 'describe_tables' };
  const sentence = `\`${qualifier}\` has no column \`${name.slice(0, 80)}\`.`;
  return refusalAt(text, at, sentence, facts, 'table/no-such-column');
}

function guessOf(name: string, candidates: Iterable<string>): string | undefined {
  const guess = didYouMean(name, candidates);
  return guess && `Did you mean \`${guess}\`?`;
}
