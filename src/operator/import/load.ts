import type { Connection } from '../../database/connect.ts';
import type { Place } from '../../database/place.ts';
import { quoteName } from '../../database/quote.ts';
import { runTransaction, type Session } from '../../database/transaction.ts';
import { didYouMean } from '../../did-you-mean.ts';
import { FrameError, toFrameError } from '../../errors.ts';
import type { Catalog } from '../../tables/catalog.ts';
import { explain } from '../../tables/explain.ts';
import { quoteQualified } from '../../tables/quote.ts';
import { createTableAsOperator } from '../../tables/schema/create-table.ts';
import { sqlStateOf } from '../../tables/schema/explain-change.ts';
import { isSealed } from '../../tables/seal.ts';
import { announceSchema } from '../../tables/shared-catalog.ts';
import type { Column, Table } from '../../tables/table.ts';
import { connectDesigner } from '../connect-designer.ts';
import type { OpenDatabase } from '../open-database.ts';
import { toCopyText } from './copy-rows.ts';
import type { ImportFile } from './file.ts';
import { sealedTargets, sealRows } from './seal-rows.ts';
import { badLine } from './source.ts';
import type { Survey } from './survey.ts';

export interface LoadParts {
  database: OpenDatabase;
  catalog: Catalog;
  place: Place;
  table: string;
  file: ImportFile;
  survey: Survey;
  onProgress(bytes: number, rows: number): void;
}

/**
 * Makes the table if it is missing and copies all rows, in one transaction of the login that owns the schema. Throws
 * `row/…` with the line of the first bad row; then nothing was made or loaded.
 */
export async function load(parts: LoadParts): Promise<{ created: boolean }> {
  const { database, place } = parts;
  const connection = await connectDesigner(database, place);
  try {
    const existing = await findTable(parts);
    await runTransaction(
      connection,
      async session => {
        if (!existing)
          await createTableAsOperator(
            { ...parts, pools: database.pools, keys: database.dataKeys },
            session,
            newTable(parts),
            Date.now(),
          );
        else await holdTable(session, parts, existing);
        await copy(connection, parts, existing);
      },
      {},
    );
    await announceSchema(database.pools, place);
    await connection.query(`analyze ${quoteQualified(place.schema, parts.table)}`, [], false);
    return { created: !existing };
  } finally {
    await connection.close();
  }
}

// Private

async function findTable({ catalog, place, table }: LoadParts): Promise<Table | undefined> {
  const { tables } = await catalog.tables(place);
  return tables.find(({ name }) => name === table);
}

/** Whoever changes the table now waits for us; throws `plan/stale` when somebody has done so since it was looked at. */
async function holdTable(session: Session, { place, table }: LoadParts, existing: Table): Promise<void> {
  const lock = `lock table ${quoteQualified(place.schema, table)} in row exclusive mode`;
  const holdAndLook = async () => {
    await session.query(lock, [], { prepare: false });
    return await session.query(shapeQuery(place, existing), [], { prepare: false });
  };
  const { rows } = await holdAndLook().catch(thrown => {
    throw IS_GONE.has(sqlStateOf(thrown) ?? '') ? changed(table) : explain(thrown, 'insert', existing);
  });
  // Values in plain would be taken for cells, or cells for values.
  if (rows[0]?.[0] !== true) throw changed(table);
}

/** A table, a column, a type. */
const IS_GONE = new Set(['42P01', '42703', '42704']);

function changed(table: string): FrameError {
  return new FrameError('plan/stale', `Somebody has just changed \`${table}\`.`, {
    hint: 'Nothing was loaded. Run it again.',
    retryable: true,
  });
}

/**
 * Whether the columns that are known still have the types that are known; an error where one is gone. Each seal has a
 * companion of its own name, and only types of ours can be sealed. This login does not read the catalog, and another one
 * might wait for somebody who waits for us.
 */
function shapeQuery({ schema }: Place, { name: table, columns }: Table): string {
  const stored = columns
    .filter(({ type }) => type)
    .flatMap(({ name, castType, seal }) =>
      seal ? [name, seal.companion].map(each => ({ name: each, type: 'bytea' })) : [{ name, type: castType }],
    );
  const same = stored.map(({ name, type }) => `pg_typeof(r.${quoteName(name)}) = pg_typeof(null::${type})`);
  return `select ${['true', ...same].join(' and ')} from (select (null::${quoteQualified(schema, table)}).*) as r`;
}

function newTable({ table, survey }: LoadParts) {
  return { name: table, columns: survey.columns.map(({ name, type }) => ({ name, type })) };
}

async function copy(
  connection: Connection,
  { database, place, table, file, survey, onProgress }: LoadParts,
  existing: Table | undefined,
): Promise<void> {
  const fitting = survey.columns.map(column => ({ ...column, column: existing && fitInto(existing, column) }));
  const hidden = fitting.flatMap(({ source, column }) => (column && isSealed(column) ? [{ source, column }] : []));
  const open = fitting.filter(({ column }) => !column?.seal);
  const columns = [
    ...open.map(({ source, name, type, column }) => ({ source, name, type: column ? column.type : type })),
    ...(hidden.length > 0 ? sealedTargets(hidden) : []),
  ];
  // Only tables of ours know who made a row.
  const hasAuthor = !existing || existing.columns.some(({ name, isProtected }) => name === 'created_by' && isProtected);
  const names = [...columns.map(({ name }) => name), ...(hasAuthor ? ['created_by'] : [])].map(quoteName);
  const lines: number[] = [];
  let bytes = 0;
  const rows = file.rows(count => {
    bytes += count;
  });
  const privacy = { keys: database.dataKeys, place, mayRead: false };
  const sealed = hidden.length > 0 ? sealRows(rows, hidden, privacy) : rows;
  const text = toCopyText(sealed, columns, hasAuthor ? ['operator'] : [], line => {
    lines.push(line);
    onProgress(bytes, lines.length);
  });
  const target = quoteQualified(place.schema, table);
  try {
    await connection.copyIn(`copy ${target} (${names.join(', ')}) from stdin`, text);
  } catch (thrown) {
    throw withLine(thrown, lines, existing);
  }
}

function fitInto(table: Table, { source, name }: { source: string; name: string }): Column {
  const column = table.columns.find(candidate => candidate.name === name && !candidate.isProtected);
  if (column) return column;
  const free = table.columns.filter(({ isProtected }) => !isProtected).map(candidate => candidate.name);
  const guess = didYouMean(name, free);
  throw new FrameError('table/no-such-column', `\`${table.name}\` has no column \`${name}\` for \`${source}\`.`, {
    hint: guess
      ? `Did you mean \`${guess}\`? Nothing was loaded.`
      : `Its columns are ${free.join(', ')}. Nothing was loaded.`,
  });
}

/** Postgres counts the lines of what we sent, which are rows; a row of the file may be several lines, or share one. */
function withLine(thrown: unknown, lines: readonly number[], table: Table | undefined): unknown {
  const where = thrown instanceof Error && 'where' in thrown ? String(thrown.where) : '';
  const line = lines[Number(/, line (\d+)/.exec(where)?.[1]) - 1];
  const explained = table ? explain(thrown, 'insert', table) : thrown;
  if (line === undefined || !('where' in Object(thrown))) return explained;
  return badLine(line, explained instanceof FrameError ? explained.message : toFrameError(thrown).message);
}
