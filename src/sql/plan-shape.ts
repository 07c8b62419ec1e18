import type { SqlTable } from './findings.ts';

/**
 * What takes the time in a plan, from the JSON of EXPLAIN, in a few words: kinds of steps, tables of the query, numbers
 * of rows. Nothing else of a plan is told, for it holds values. Undefined for what is no plan, or has nothing to say.
 */
export function describePlan(explained: string, tables: readonly SqlTable[]): string | undefined {
  const rowsOf = new Map<string, number>();
  collectSteps(readPlan(explained), tables, rowsOf);
  const told = [...rowsOf].sort(([, one], [, other]) => other - one).slice(0, MAX_STEPS);
  if (told.length === 0) return undefined;
  return `Postgres plans: ${told.map(([words, rows]) => `${words} (about ${COUNT.format(rows)} rows)`).join(', ')}.`;
}

// Private

const MAX_STEPS = 5;
const COUNT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 2 });

interface Step {
  'Node Type'?: string;
  'Relation Name'?: string;
  'Plan Rows'?: number;
  Plans?: Step[];
}

function readPlan(explained: string): Step {
  try {
    return JSON.parse(explained)[0]?.Plan ?? {};
  } catch {
    return {};
  }
}

/** The most rows of each kind of step. */
function collectSteps(step: Step, tables: readonly SqlTable[], rowsOf: Map<string, number>): void {
  const { 'Node Type': type = '', 'Relation Name': relation, 'Plan Rows': rows = 0, Plans: below = [] } = step;
  const table = type === 'Seq Scan' ? tables.find(({ name }) => name === relation) : undefined;
  const words = table ? `sequential scan on \`${table.name}\`` : WORDS[type];
  if (words) rowsOf.set(words, Math.max(rowsOf.get(words) ?? 0, table?.rows ?? rows));
  for (const one of below) collectSteps(one, tables, rowsOf);
}

/** Those that take long when there is much. */
const WORDS: Readonly<Record<string, string>> = {
  'Function Scan': 'rows of a function',
  'Hash Join': 'hash join',
  'Merge Join': 'merge join',
  'Nested Loop': 'nested loop',
  'Recursive Union': 'recursion',
  Sort: 'sort',
  WindowAgg: 'window functions',
};
