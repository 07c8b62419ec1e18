import { didYouMean } from '../did-you-mean.ts';
import type { FrameError } from '../errors.ts';
import { NAMED_RESULTS, ROW_ADDRESSES } from './allowed.ts';
import type { Source, Spot } from './findings.ts';
import { type Fields, listOf, namesIn } from './parse.ts';
import { ofPostgres, refusalAt } from './refusal.ts';

/** What stands in FROM: whether it may, and under which name. */
export function collectTable({ relname, schemaname, catalogname, inh, alias }: Fields, spot: Spot): void {
  const { text, at, ctes, scope, joins, tables, findings } = spot;
  const name = String(relname);
  countItem(spot);
  for (const part of [schemaname, relname]) if (isOfPostgres(part)) throw systemTable(String(part), spot);
  // What else stands in front of a name is refused by the shape, the same for a schema that there is as for any other.
  if (schemaname !== undefined || catalogname !== undefined) return;
  if (inh !== true) throw refusalAt(text, at, 'ONLY cannot be used in run_sql.', { hint: 'Leave it out.' });
  if (ctes.has(name)) {
    addSource(spot, nameOf(alias) ?? name, { kind: 'query' });
    return;
  }
  const table = tables.get(name);
  if (!table) throw tableNotFound(name, spot);
  const columns = columnsOf(alias);
  const renamesColumns = columns.length > 0 || joins.some(join => join.renamesColumns);
  const joinAliases = joins.map(join => join.alias);
  findings.uses.push({ table, scope, at, alias: nameOf(alias), joinAliases, renamesColumns });
  addSource(spot, nameOf(alias) ?? name, { kind: 'table', table, columns });
}

export function collectSubquery({ alias }: Fields, spot: Spot): void {
  countItem(spot);
  addSource(spot, nameOf(alias), { kind: 'query' });
}

export function collectFunction({ alias, functions, coldeflist }: Fields, spot: Spot): void {
  countItem(spot);
  const name = nameOf(alias);
  const calls = listOf(functions).map(entry => listOf((entry.List as Fields | undefined)?.items)[0]);
  const named = calls.map(call => namesIn((call?.FuncCall as Fields | undefined)?.funcname).at(-1));
  const columns = columnsOf(alias);
  const defined = listOf(coldeflist).map(({ ColumnDef: column }) => String((column as Fields).colname));
  // An alias alone is the name of the column too, but not where the function names its column itself.
  const isNamed = named.some(call => call !== undefined && NAMED_RESULTS.has(call));
  const own = columns.length > 0 || isNamed ? columns : [name];
  const all = [...own, ...defined].filter(column => column !== undefined);
  declareNames(spot, all);
  addSource(spot, name ?? named[0], { kind: 'function', columns: all });
}

export function collectJoin({ isNatural, usingClause, join_using_alias, alias }: Fields, spot: Spot): void {
  const { findings, at, text, scope } = spot;
  if (isNatural) findings.stars.push({ scope, qualifier: undefined, at, isListed: false, isTable: false });
  for (const name of namesIn(usingClause)) {
    if (name === undefined) continue;
    if (ROW_ADDRESSES.has(name)) throw ofPostgres(text, at, name);
    findings.references.push({ qualifier: undefined, name, at });
  }
  addSource(spot, nameOf(alias), { kind: 'query' });
  addSource(spot, nameOf(join_using_alias), { kind: 'query' });
}

/** Names that the query gives to columns. */
export function declareNames({ findings }: Spot, names: readonly unknown[]): void {
  for (const name of names) if (typeof name === 'string') findings.declared.add(name);
}

// Private

/** To plan a join of a hundred tables takes Postgres 100 MB, of six hundred 3 GB, and no setting of its own bounds that. */
const MAX_ITEMS = 100;

function countItem({ findings: { fromItems }, scope, text, at }: Spot): void {
  fromItems.push(scope);
  if (fromItems.length <= MAX_ITEMS) return;
  const hint = 'Make it several queries.';
  throw refusalAt(text, at, `a query reads from at most ${MAX_ITEMS} tables and subqueries.`, { hint });
}

function addSource({ findings: { sources } }: Spot, name: string | undefined, source: Source): void {
  if (name !== undefined) sources.set(name, [...(sources.get(name) ?? []), source]);
}

function nameOf(alias: unknown): string | undefined {
  return (alias as { aliasname?: string } | undefined)?.aliasname;
}

function columnsOf(alias: unknown): string[] {
  return namesIn((alias as Fields | undefined)?.colnames).filter(name => name !== undefined);
}

function isOfPostgres(name: unknown): boolean {
  return /^(pg_|information_schema$)/.test(String(name));
}

function systemTable(name: string, { text, at }: Spot): FrameError {
  const facts = { hint: 'Use describe_tables.', nextTool: 'describe_tables' };
  return refusalAt(text, at, `\`${name.slice(0, 80)}\` is not available.`, facts);
}

function tableNotFound(name: string, { text, at, tables, ctes }: Spot): FrameError {
  const guess = didYouMean(name, [...tables.keys(), ...ctes]);
  const hint = guess ? `Did you mean \`${guess}\`?` : '`describe_tables` lists the tables there are.';
  const facts = { hint, nextTool: 'describe_tables' };
  return refusalAt(text, at, `there is no table \`${name.slice(0, 80)}\`.`, facts, 'table/not-found');
}
