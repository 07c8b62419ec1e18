import { quoteName } from '../database/quote.ts';
import type { Findings, Scope, Star, TableUse } from './findings.ts';
import { type Fields, listOf, WRITTEN_NAME } from './parse.ts';
import { refusalAt } from './refusal.ts';

/** A change of the text, in bytes. */
export interface Edit {
  at: number;
  length: number;
  text: string;
}

/**
 * What all stars of the query stand for together, at most. Postgres writes them out before it counts the columns, and hears
 * no timeout meanwhile.
 */
export function refuseWideStars(text: string, { stars, uses, fromItems }: Findings): void {
  let columns = 0;
  for (const star of stars) {
    columns += widthOf(star, uses, fromItems);
    if (columns <= MAX_WRITTEN_OUT) continue;
    const hint = 'Name the columns, or leave stars out of subqueries.';
    throw refusalAt(text, star.at, 'the stars of the query stand for too many columns.', { hint });
  }
}

/** Whether a star may stand for the columns of this table; never false where it does. */
export function isMeant({ scope, qualifier }: Star, use: TableUse): boolean {
  if (qualifier === undefined) return scope === use.scope;
  return namesOf(use).includes(qualifier) && isVisible(use.scope, scope);
}

/** What a whole row of this table may be called in the query. */
export function namesOf({ table, alias, joinAliases }: TableUse): string[] {
  return [alias ?? table.name, ...joinAliases];
}

/**
 * `c.*` as `"c"."id", "c"."name"`. A table that stays a table is still covered by its primary key in GROUP BY, which a
 * subquery is not. Undefined where it cannot be said like this.
 */
export function writeOut(text: string, star: Star, partial: readonly TableUse[]): Edit | undefined {
  const length = star.isListed ? lengthOf(text, star) : undefined;
  const sources = star.qualifier === undefined ? sourcesOf(star.scope.from) : [star.qualifier];
  if (length === undefined || !sources) return undefined;
  const parts = sources.map(source => {
    const use = partial.find(known => known.scope === star.scope && namesOf(known)[0] === source);
    if (use) return use.renamesColumns || use.joinAliases.length > 0 ? undefined : columnsOf(source, use);
    // One that is not in FROM of this very SELECT is no list of ours.
    return star.qualifier === undefined ? `${quoteName(source)}.*` : undefined;
  });
  return parts.every(part => part) ? { at: star.at, length, text: parts.join(', ') } : undefined;
}

// Private

const MAX_WRITTEN_OUT = 200_000;
/** As many as a SELECT may have, of what is no table. */
const MAX_COLUMNS = 1664;

function widthOf({ scope, qualifier }: Star, uses: readonly TableUse[], fromItems: readonly Scope[]): number {
  const named = uses.find(use => (use.alias ?? use.table.name) === qualifier && isVisible(use.scope, scope));
  if (named) return named.table.columns.length;
  // The name of a join may mean all that is joined.
  const own = uses.filter(use => use.scope === scope);
  const others = fromItems.filter(item => item === scope).length - own.length;
  const unknown = (qualifier === undefined ? others : Math.max(others, 1)) * MAX_COLUMNS;
  return own.reduce((sum, { table }) => sum + table.columns.length, unknown);
}

function isVisible(of: Scope, from: Scope | undefined): boolean {
  return from !== undefined && (of === from || isVisible(of, from.parent));
}

function columnsOf(name: string, { table }: TableUse): string {
  return table.columns.map(column => `${quoteName(name)}.${quoteName(column)}`).join(', ');
}

/** Undefined for one that is written with comments or escapes inside. */
function lengthOf(text: string, { at, qualifier }: Star): number | undefined {
  const rest = Buffer.from(text).subarray(at).toString();
  const shape = qualifier === undefined ? String.raw`^\*` : String.raw`^${WRITTEN_NAME}\s*\.\s*\*`;
  const [written] = new RegExp(shape, 'u').exec(rest) ?? [];
  return written === undefined ? undefined : Buffer.byteLength(written);
}

/** What `*` stands for, one after the other; undefined where some has no name, or columns are merged or called anew. */
function sourcesOf(from: unknown): string[] | undefined {
  const sources = listOf(from).map(sourceOf);
  return sources.every(found => found !== undefined) ? sources.flat() : undefined;
}

function sourceOf(node: Fields): string[] | undefined {
  const [[type, fields] = []] = Object.entries(node) as [string, Fields][];
  const { alias, relname, isNatural, usingClause, larg, rarg } = fields ?? {};
  if (type === 'JoinExpr') return alias || isNatural || usingClause ? undefined : sourcesOf([larg, rarg]);
  const { aliasname = relname } = (alias ?? {}) as { aliasname?: unknown };
  return typeof aliasname === 'string' ? [aliasname] : undefined;
}
