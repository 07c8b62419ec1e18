import type { Session } from '../database/pools.ts';
import { quoteName } from '../database/quote.ts';
import { FrameError } from '../errors.ts';
import { requireWritable } from './find-column.ts';
import { type Field, type Privacy, sealFields } from './privacy.ts';
import { arrayLiteral, quoteQualified } from './quote.ts';
import { isSealed } from './seal.ts';
import { createParameters, type Statement } from './statement.ts';
import { type Column, findColumn, isSystemColumn, keyColumns, type Table } from './table.ts';
import { fromPostgres, toParameter } from './values.ts';

/** Rows to insert, checked: one statement for all rows that name the same columns, so that the rest get their defaults. */
export interface InsertPlan {
  statements: readonly InsertStatement[];
  /** One per row, when Frame makes them. */
  ids: readonly string[] | undefined;
  /** Else what identifies a row of this table; may be empty. */
  key: readonly Column[];
}

export interface InsertStatement extends Statement {
  /** Which of the rows it inserts. */
  rows: readonly number[];
}

/** What Frame itself writes into every row, one id per row. */
export interface InsertFacts {
  ids: readonly string[];
  createdBy: string;
}

/** Rejects with FrameErrors that name the place of the mistake: `rows[3].total`. */
export async function planInsert(
  table: Table,
  rows: readonly Record<string, unknown>[],
  facts: InsertFacts,
  privacy: Privacy,
): Promise<InsertPlan> {
  const known = new Map(table.columns.map(column => [column.name, column]));
  const checked = rows.map((row, i) => checkRow(table, known, row, `rows[${i}]`));
  const makesIds = isSystemColumn('id', findColumn(table, 'id')?.type);
  const makesAuthors = isSystemColumn('created_by', findColumn(table, 'created_by')?.type);
  const key = makesIds ? [] : keyColumns(table);
  const groups = Map.groupBy(checked.keys(), i =>
    [...(checked[i]?.keys() ?? [])]
      .map(({ name }) => name)
      .sort()
      // No name holds it, and one may hold a comma.
      .join('\0'),
  );
  const statements: InsertStatement[] = [];
  for (const members of groups.values()) {
    const columns = [...(checked[members[0] ?? 0]?.keys() ?? [])];
    const textsOf = (column: Column) => members.map(i => checked[i]?.get(column) ?? null);
    const cells = columns.filter(isSealed).map(column => ({ column, texts: textsOf(column) }));
    const fields: Field[] = [
      ...(makesIds ? [{ name: 'id', castType: 'uuid', texts: members.map(i => facts.ids[i] ?? null) }] : []),
      ...(makesAuthors ? [{ name: 'created_by', castType: 'text', texts: members.map(() => facts.createdBy) }] : []),
      ...columns.filter(({ seal }) => !seal).map(column => ({ ...column, texts: textsOf(column) })),
      ...(await sealFields(
        privacy,
        cells,
        members.map(i => facts.ids[i] ?? ''),
      )),
    ];
    if (fields.length === 0) throw new FrameError('row/missing-value', `\`rows[${members[0]}]\` is empty.`);
    statements.push({ ...insertStatement(table, fields, key), rows: members });
  }
  return { statements, ids: makesIds ? facts.ids : undefined, key };
}

/** Runs a plan in one session; resolves to the ids of the rows, or undefined where rows have none. */
export async function runInsert(session: Session, plan: InsertPlan): Promise<readonly unknown[] | undefined> {
  const keys: unknown[] = [];
  for (const { text, params, rows } of plan.statements) {
    const result = await session.query(text, params);
    for (const [at, values] of result.rows.entries()) {
      const key = plan.key.map(({ type }, i) => fromPostgres(type, values[i]));
      keys[rows[at] ?? at] = key.length === 1 ? key[0] : key;
    }
  }
  return plan.ids ?? (plan.key.length > 0 ? keys : undefined);
}

// Private

function checkRow(
  table: Table,
  known: ReadonlyMap<string, Column>,
  row: Record<string, unknown>,
  path: string,
): Map<Column, string | null> {
  const values = new Map(
    Object.entries(row).map(([name, value]) => {
      const at = `${path}.${name.slice(0, 80)}`;
      const column = requireWritable(table, name, at, known.get(name));
      return [column, toParameter(column, value, at)] as const;
    }),
  );
  for (const column of table.columns) {
    const isMissing = values.has(column) ? values.get(column) === null : column.default === undefined;
    if (!isMissing || !column.required || column.isProtected) continue;
    throw new FrameError('row/missing-value', `\`${path}.${column.name}\` is required.`, {
      hint: `Give \`${column.name}\` a value in every row.`,
    });
  }
  return values;
}

/** One parameter per column, whatever the number of rows: the statement stays the same and stays prepared. */
function insertStatement(table: Table, fields: readonly Field[], key: readonly Column[]): Statement {
  const parameters = createParameters();
  const lists = fields.map(({ texts }) => parameters.add(arrayLiteral(texts), 'text[]'));
  const names = fields.map(({ name }) => quoteName(name)).join(', ');
  const values = fields.map(({ castType }, i) => `r.c${i}::${castType}`).join(', ');
  const returning = key.length > 0 ? ` returning ${key.map(({ name }) => quoteName(name)).join(', ')}` : '';
  const text =
    `insert into ${quoteQualified(table.schema, table.name)} (${names}) select ${values}` +
    ` from unnest(${lists.join(', ')}) as r(${fields.map((_, i) => `c${i}`).join(', ')})${returning}`;
  return { text, params: parameters.values };
}
