import type { FrameError } from '../errors.ts';
import type { Spot } from './findings.ts';
import { insteadOf } from './parse.ts';
import { refusalAt } from './refusal.ts';

/** A node or a field that is not in SHAPES, in the words of SQL where people may meet it. */
export function unknownPart(name: string, { text, at }: Spot): FrameError {
  const [words, hint] = WORDS[name] ?? [`this (${name})`];
  const facts = hint ? { hint } : name.endsWith('Stmt') ? insteadOf(name) : {};
  return refusalAt(text, at, `${words} cannot be used in run_sql.`, facts);
}

// Private

const NAME_ALONE = 'Write the name alone; describe_tables lists the tables there are.';
const ONLY_READS = 'Leave it out: run_sql only reads.';

const WORDS: Readonly<Record<string, [words: string, hint?: string]>> = {
  ParamRef: ['a parameter such as `$1`', 'Write the value into the query.'],
  InsertStmt: ['INSERT inside WITH'],
  UpdateStmt: ['UPDATE inside WITH'],
  DeleteStmt: ['DELETE inside WITH'],
  MergeStmt: ['MERGE inside WITH'],
  intoClause: ['SELECT INTO', ONLY_READS],
  lockingClause: ['FOR UPDATE or FOR SHARE', ONLY_READS],
  schemaname: ['a schema in front of a name', NAME_ALONE],
  catalogname: ['a database in front of a name', NAME_ALONE],
  RangeTableSample: ['TABLESAMPLE', 'Use ORDER BY random() LIMIT n.'],
  JsonTable: ['JSON_TABLE', 'Use jsonb_to_recordset or jsonb_array_elements.'],
  RangeTableFunc: ['XMLTABLE'],
  XmlExpr: ['XML'],
  XmlSerialize: ['XML'],
};
