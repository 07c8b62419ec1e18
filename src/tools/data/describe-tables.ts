import { z } from 'zod';
import type { Caller } from '../../access/caller.ts';
import type { Place } from '../../database/place.ts';
import type { Catalog } from '../../tables/catalog.ts';
import { postgresTypeOf } from '../../tables/column-type.ts';
import { estimateRows } from '../../tables/estimate.ts';
import { countFitting } from '../../tables/fit.ts';
import { outlineNames } from '../../tables/outline.ts';
import type { Column, Table } from '../../tables/table.ts';
import { defineTool } from '../tool.ts';
import { names } from './arguments.ts';

const MAX_NAMES = 500;

/** What tables there are, in as much detail as asked for, and what the caller may do with their rows. */
export const describeTables = defineTool({
  name: 'describe_tables',
  title: 'Describe tables',
  description: 'Tables with columns, types, keys, comments and row estimates, and what you may do with them.',
  kind: 'read',
  idempotent: true,
  untrusted: true,
  atPlace: true,
  input: z.strictObject({
    tables: names(MAX_NAMES).describe('only these').optional(),
    search: z.string().describe('in names and comments').optional(),
    detail: z.enum(['names', 'summary', 'full']).describe('default summary').optional(),
  }),
  output: z.looseObject({
    tables: z.array(z.looseObject({ name: z.string(), comment: z.string().optional() })),
    permissions: z.looseObject({}),
    truncated: z.boolean(),
  }),
  summarize: ({ tables, search, detail }) => ({
    ...(tables && { tables: outlineNames(tables) }),
    ...(search !== undefined && { search: true }),
    detail,
  }),
  async run({ caller, means, place, signal }, { tables: asked, search, detail = 'summary' }) {
    const { tables } = await means.catalog.tables(place);
    const wanted = asked ? await findTables(means.catalog, place, tables, asked) : tables;
    const sought = search?.toLowerCase();
    const found = wanted.filter(table => sought === undefined || speaksOf(table, sought));
    // A guess is no reason to fail: without it the tables are described all the same.
    const estimates =
      detail === 'names' ? new Map() : await estimateRows(means.pools, place, found, signal).catch(() => new Map());
    const described = found.map(table => describeTable(table, detail, estimates.get(table.name)));
    const fitting = countFitting(described, means.limits.maxResultBytes - 1024);
    return {
      rows: fitting,
      result: {
        tables: described.slice(0, fitting),
        permissions: permissionsOf(caller),
        truncated: fitting < described.length,
        ...(fitting < described.length && { hint: 'Name the `tables` you need, `search`, or ask for less `detail`.' }),
      },
    };
  },
});

// Private

type Detail = 'names' | 'summary' | 'full';

/** Each once. Ends at the first that is not there, unless it was made since. */
async function findTables(
  catalog: Catalog,
  place: Place,
  tables: readonly Table[],
  asked: readonly string[],
): Promise<readonly Table[]> {
  const known = new Map(tables.map(table => [table.name, table]));
  const found: Table[] = [];
  for (const name of new Set(asked)) found.push(known.get(name) ?? (await catalog.table(place, name)));
  return found;
}

function speaksOf({ name, comment, columns }: Table, sought: string): boolean {
  const texts = [name, comment, ...columns.flatMap(column => [column.name, column.comment])];
  return texts.some(text => text?.toLowerCase().includes(sought));
}

function describeTable(table: Table, detail: Detail, rowEstimate: number | undefined) {
  const { name, comment, columns, primaryKey, indexes } = table;
  if (detail === 'names') return { name, comment };
  const facts = { name, comment, row_estimate: rowEstimate, primary_key: primaryKey };
  if (detail === 'summary') return { ...facts, columns: columns.map(summarizeColumn) };
  return {
    ...facts,
    columns: columns.map(describeColumn),
    indexes: indexes.map(index => ({
      name: index.name,
      columns: index.columns,
      ...(index.unique && { unique: true }),
    })),
  };
}

function summarizeColumn({ name, type, postgresType, required, references, comment, pii, seal }: Column) {
  const isOurs = type !== undefined && (type === 'reference' || postgresTypeOf(type) === postgresType);
  return {
    name,
    type: isOurs ? type : postgresType,
    ...(required && { required }),
    references,
    comment,
    ...(pii && { pii: pii === 'other' ? true : pii, ...(!seal && { sealed: false }) }),
  };
}

function describeColumn(column: Column) {
  const { unique, check, isProtected } = column;
  return {
    ...summarizeColumn(column),
    ...(unique && { unique }),
    ...describeDefault(column),
    check,
    ...(isProtected && { read_only: true }),
  };
}

function describeDefault({ default: value }: Column) {
  if (value === undefined) return {};
  if ('literal' in value) return { default: value.literal };
  return { default: 'expression' in value ? { set_by_database: true } : value };
}

function permissionsOf({ tools, rights }: Caller) {
  const may = (tool: string) => tools.has('*') || tools.has(tool);
  return {
    select: may('select_rows'),
    insert: may('insert_rows'),
    update: may('update_rows'),
    delete: may('delete_rows'),
    change_schema: may('apply_change'),
    read_personal_data: rights?.has('pii:read') === true,
  };
}
