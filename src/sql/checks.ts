import { didYouMean } from '../did-you-mean.ts';
import { FUNCTIONS, ROW_ADDRESSES, TIMES, TYPES } from './allowed.ts';
import { checkArguments, integerIn, MAX_PADDED } from './arguments.ts';
import type { Spot } from './findings.ts';
import { type Fields, listOf, namesIn } from './parse.ts';
import { ofPostgres, refusalAt } from './refusal.ts';
import { collectFunction, collectJoin, collectSubquery, collectTable, declareNames } from './sources.ts';

/**
 * What is asked of a node beside its shape, by its type. Functions hide behind more than calls: behind the input of a
 * type, behind operators and types that a schema may have of its own, and behind any name after a dot, for `(x).f` is
 * `f(x)`.
 */
export const CHECKS: ReadonlyMap<string, (node: Fields, spot: Spot) => void> = new Map(
  Object.entries({
    FuncCall: checkFunction,
    TypeName: checkType,
    A_Indirection: checkIndirection,
    SQLValueFunction: checkValueFunction,
    A_Expr: ({ name }: Fields, spot: Spot) => requireNoSchema(name, spot),
    SubLink: ({ operName }: Fields, spot: Spot) => requireNoSchema(operName, spot),
    SortBy: ({ useOp }: Fields, spot: Spot) => requireNoSchema(useOp, spot),
    CollateClause: ({ collname }: Fields, spot: Spot) => requireNoSchema(collname, spot),
    ColumnRef: collectReference,
    RangeVar: collectTable,
    RangeSubselect: collectSubquery,
    RangeFunction: collectFunction,
    JoinExpr: collectJoin,
    CommonTableExpr: checkCte,
    CTESearchClause: ({ search_seq_column }: Fields, spot: Spot) => declareNames(spot, [search_seq_column]),
    CTECycleClause: (node: Fields, spot: Spot) => declareNames(spot, [node.cycle_mark_column, node.cycle_path_column]),
    ResTarget: ({ name }: Fields, spot: Spot) => declareNames(spot, [name]),
    Alias: ({ colnames }: Fields, spot: Spot) => declareNames(spot, namesIn(colnames)),
    ColumnDef: ({ colname }: Fields, spot: Spot) => declareNames(spot, [colname]),
  }),
);

// Private

/** What the grammar itself writes stands in pg_catalog, where the allowed functions and types are. */
function bareName(nodes: unknown): string | undefined {
  const names = namesIn(nodes);
  return names.length === 1 || (names.length === 2 && names[0] === 'pg_catalog') ? names.at(-1) : undefined;
}

function checkFunction({ funcname, args }: Fields, spot: Spot): void {
  const name = bareName(funcname);
  if (name === undefined) throw withSchema('function', spot);
  if (!FUNCTIONS.has(name)) throw notAvailable('function', name, INSTEAD[name], FUNCTIONS, spot);
  checkArguments(name, listOf(args), spot);
}

const INSTEAD: Readonly<Record<string, string>> = {
  repeat: "Write left(rpad('', 100, x), n), where 100 is the most that n may be.",
  pg_typeof: 'describe_tables shows the types.',
  to_regclass: 'describe_tables lists the tables there are.',
  nextval: 'run_sql only reads.',
};

function checkType({ names, typmods }: Fields, spot: Spot): void {
  const name = bareName(names);
  if (name === undefined) throw withSchema('type', spot);
  if (!TYPES.has(name)) throw notAvailable('type', name, INSTEAD_OF_TYPE[name], TYPES, spot);
  // These fill up with blanks and zeros to any length.
  const isLong = (typmod: Fields) => (integerIn(typmod) ?? Number.POSITIVE_INFINITY) > MAX_PADDED;
  if (PADDED_TYPES.has(name) && listOf(typmods).some(isLong)) {
    throw refusalAt(spot.text, spot.at, `a type is at most ${MAX_PADDED} long in run_sql.`, { hint: 'Use text.' });
  }
}

const INSTEAD_OF_TYPE: Readonly<Record<string, string>> = {
  money: "It has the currency of the server, not yours: use numeric, and to_char(x, 'FM999,999,990.00') to write it.",
};

const PADDED_TYPES = new Set(['bpchar', 'bit']);

function notAvailable(
  kind: string,
  name: string,
  instead: string | undefined,
  allowed: ReadonlySet<string>,
  { text, at }: Spot,
) {
  const guess = didYouMean(name, allowed);
  const hint = instead ?? (guess && `Did you mean \`${guess}\`?`);
  return refusalAt(text, at, `the ${kind} \`${name.slice(0, 80)}\` is not available in run_sql.`, hint ? { hint } : {});
}

function withSchema(kind: string, { text, at }: Spot) {
  return refusalAt(text, at, `a schema in front of a ${kind} cannot be used in run_sql.`, { hint: 'Leave it out.' });
}

function requireNoSchema(names: unknown, spot: Spot): void {
  if (listOf(names).length > 1) throw withSchema('operator or collation', spot);
}

/** CURRENT_USER and CURRENT_SCHEMA are of the same kind as CURRENT_DATE. */
function checkValueFunction({ op }: Fields, { text, at }: Spot): void {
  if (TIMES.test(String(op))) return;
  const hint = 'get_context says who and where you are.';
  throw refusalAt(text, at, 'users and schemas are not available in run_sql.', { hint, nextTool: 'get_context' });
}

function checkIndirection({ arg, indirection }: Fields, { text, at }: Spot): void {
  const steps = listOf(indirection);
  if (steps.every(step => step.A_Indices) || isPairPart(arg as Fields | undefined, steps)) return;
  const hint =
    'Put a function that returns several columns into FROM, such as `from jsonb_each(data) e`, and write e.key.';
  throw refusalAt(text, at, 'a name after a value in parentheses cannot be used in run_sql.', { hint });
}

/** `(jsonb_each(data)).key`: a column that the function has, so that no other function is called with its row. */
function isPairPart(arg: Fields | undefined, steps: readonly Fields[]): boolean {
  const call = arg?.FuncCall as Fields | undefined;
  const [step, ...others] = namesIn(steps);
  return PAIRS.has(bareName(call?.funcname) ?? '') && others.length === 0 && (step === 'key' || step === 'value');
}

const PAIRS = new Set(['json_each', 'json_each_text', 'jsonb_each', 'jsonb_each_text']);

function checkCte({ ctename, aliascolnames }: Fields, spot: Spot): void {
  if (String(ctename).startsWith('pg_')) {
    throw refusalAt(spot.text, spot.at, 'names that start with pg_ belong to Postgres.', { hint: 'Choose another.' });
  }
  declareNames(spot, namesIn(aliascolnames));
}

function collectReference(node: Fields, { text, at, scope, findings }: Spot): void {
  const { fields, location } = node;
  const names = namesIn(fields);
  const name = names.pop();
  if (names.length > 1) {
    throw refusalAt(text, at, 'a column has at most a table in front of it.', { hint: 'Leave the schema out.' });
  }
  if (name === undefined) {
    const isListed = scope.listed.has(node);
    findings.stars.push({ scope, qualifier: names[0], at, isListed, isTable: location === -1 });
  } else if (ROW_ADDRESSES.has(name)) {
    throw ofPostgres(text, at, name);
  } else findings.references.push({ qualifier: names[0], name, at });
}
