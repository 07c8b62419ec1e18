import { FrameError } from '../errors.ts';
import { CHECKS } from './checks.ts';
import type { Findings, NamedJoin, Scope, Spot, SqlTable } from './findings.ts';
import { type Fields, listOf, namesIn, type Parsed } from './parse.ts';
import { SHAPES } from './shapes.ts';
import { unknownPart } from './unknown-part.ts';

/**
 * Walks through a whole query, refuses what is not known to be harmless (`sql/refused`, or `table/not-found` with a
 * guess), and collects what the query is about. Which columns it means is left open: see references.ts.
 */
export function inspect({ text, select }: Parsed, tables: readonly SqlTable[]): Findings {
  const findings: Findings = {
    uses: [],
    sources: new Map(),
    references: [],
    declared: new Set(),
    stars: [],
    fromItems: [],
  };
  let parts = 0;

  function visit(type: string, node: Fields, above: Spot): void {
    const at = typeof node.location === 'number' && node.location >= 0 ? node.location : above.at;
    const spot = { ...above, at, depth: above.depth + 1 };
    const shape = SHAPES.get(type);
    if (!shape) throw unknownPart(type, spot);
    parts += 1;
    if (parts > MAX_PARTS) throw tooLarge('has too many parts', 'Make it two queries.');
    if (spot.depth > MAX_DEPTH) throw tooLarge('is nested too deeply', 'Use WITH, step by step.');
    CHECKS.get(type)?.(node, spot);
    const inside = within(type, node, spot);
    for (const [field, value] of Object.entries(node)) {
      if (!shape.has(field)) throw unknownPart(field, spot);
      const holds = shape.get(field);
      if (holds === 'WithClause') visitWith(value as Fields, spot);
      else if (holds) visit(holds, value as Fields, inside);
      else visitAny(value, inside);
    }
  }

  /** A CTE sees those before it; itself and those after it only in WITH RECURSIVE. */
  function visitWith(clause: Fields, spot: Spot): void {
    visit('WithClause', { ...clause, ctes: [] }, spot);
    const names = namesOf(clause);
    const known = new Set(union(spot.ctes, clause.recursive ? names : []));
    listOf(clause.ctes).forEach((cte, i) => {
      visitAny(cte, { ...spot, ctes: known });
      known.add(String(names[i]));
    });
  }

  /** A list, a plain value, or a node that names its type; without arguments DISTINCT holds one that is empty. */
  function visitAny(value: unknown, spot: Spot): void {
    if (Array.isArray(value)) for (const item of value) visitAny(item, spot);
    else if (typeof value === 'object' && value !== null) {
      for (const [type, node] of Object.entries(value)) visit(type, node as Fields, spot);
    }
  }

  const byName = new Map(tables.map(table => [table.name, table]));
  const scope = { parent: undefined, from: undefined, listed: new Set() };
  visit('SelectStmt', select, { text, at: 0, depth: 0, ctes: new Set(), scope, joins: [], tables: byName, findings });
  return findings;
}

// Private

const MAX_PARTS = 5000;
const MAX_DEPTH = 120;

/** What is known in the parts of a node, but for its WITH. */
function within(type: string, node: Fields, spot: Spot): Spot {
  if (type === 'SelectStmt') {
    const ctes = union(spot.ctes, namesOf(node.withClause));
    return { ...spot, ctes, scope: openScope(node, spot.scope), joins: [] };
  }
  const named = type === 'JoinExpr' ? namedJoin(node) : undefined;
  return named ? { ...spot, joins: [...spot.joins, named] } : spot;
}

function openScope({ fromClause, groupClause, targetList }: Fields, parent: Scope): Scope {
  const targets = listOf(groupClause && targetList).map(({ ResTarget: target }) => target as Fields);
  const alone = targets.filter(({ name }) => name === undefined);
  const listed = alone.map(({ val }) => (val as Fields | undefined)?.ColumnRef).filter(found => found !== undefined);
  return { parent, from: fromClause, listed: new Set(listed) };
}

function namedJoin({ alias }: Fields): NamedJoin | undefined {
  const { aliasname, colnames } = (alias ?? {}) as { aliasname?: string; colnames?: unknown };
  return aliasname === undefined ? undefined : { alias: aliasname, renamesColumns: namesIn(colnames).length > 0 };
}

function namesOf(withClause: unknown): string[] {
  const ctes = listOf((withClause as Fields | undefined)?.ctes) as readonly { CommonTableExpr?: Fields }[];
  return ctes.map(cte => String(cte.CommonTableExpr?.ctename));
}

function union(one: ReadonlySet<string>, others: readonly string[]): ReadonlySet<string> {
  return others.length === 0 ? one : new Set([...one, ...others]);
}

function tooLarge(sentence: string, hint: string): FrameError {
  return new FrameError('sql/refused', `The query ${sentence}.`, { hint });
}
