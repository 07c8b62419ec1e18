import type { Connection } from '../database/connect.ts';
import type { Place } from '../database/place.ts';
import type { Session } from '../database/pools.ts';
import { quoteName } from '../database/quote.ts';
import { runTransaction } from '../database/transaction.ts';
import type { DataKeys } from '../vault/data-keys.ts';
import { lostRace } from './explain.ts';
import { FIRST_ID, portionQuery } from './portion.ts';
import { openCells, sealFields } from './privacy.ts';
import { arrayLiteral, quoteQualified } from './quote.ts';
import { keyNumberOf, type StoredColumn, toHex } from './stored-cells.ts';

/**
 * Seals the cells of a column anew that other keys have sealed, while everybody works on. Each portion is a transaction of
 * its own with a note of how far it came, so that whoever is killed goes on from there.
 */
export interface ResealParts {
  /** Of the login that owns the tables. */
  connection: Connection;
  place: Place;
  keys: DataKeys;
  column: StoredColumn;
  /** The key that seals now, and those whose cells are sealed anew. */
  to: number;
  from: readonly number[];
}

export interface Resealed {
  cells: number;
  /** Ids of rows whose cells do not open: they stay as they are. */
  broken: string[];
}

/**
 * One way through the table. The first one goes on where an earlier one was stopped, and passes over rows that are in
 * use; only one that did neither, and found nothing, has seen it all.
 */
export async function resealColumn(
  parts: ResealParts,
  pass: 'first' | 'whole',
  onCells: (cells: number) => void,
): Promise<Resealed> {
  const { connection } = parts;
  const resealed: Resealed = { cells: 0, broken: [] };
  let after = pass === 'first' ? await findStart(connection, parts) : FIRST_ID;
  for (;;) {
    const portion = await resealNext(parts, pass, after);
    if (portion.last === undefined) break;
    after = portion.last;
    resealed.cells += portion.cells;
    resealed.broken.push(...portion.broken);
    onCells(portion.cells);
  }
  await connection.query(
    `update ${quoteQualified(parts.place.schema, '_resealing')} set done_at = now() where column_id = $1::text::uuid`,
    [parts.column.seal.columnId],
    false,
  );
  return resealed;
}

// Private

/** Somebody who changes many rows may be in our way and we in theirs; whoever gives way begins again. */
async function resealNext(parts: ResealParts, pass: 'first' | 'whole', after: string): Promise<Portion> {
  const work = (session: Session) => resealPortion(session, parts, pass, after);
  for (;;) {
    try {
      return await runTransaction(parts.connection, work, {});
    } catch (thrown) {
      if (!lostRace(thrown)) throw thrown;
    }
  }
}

interface Portion {
  /** Nothing was left when there is none. */
  last: string | undefined;
  cells: number;
  broken: readonly string[];
}

async function findStart(connection: Connection, { place, column, to }: ResealParts): Promise<string> {
  const { rows } = await connection.query(
    `insert into ${quoteQualified(place.schema, '_resealing')} as r (column_id, to_kid, last_id, cells)
     values ($1::text::uuid, $2::text::bigint, $3::text::uuid, 0)
     on conflict (column_id) do update set
       last_id = case when r.to_kid = $2::text::bigint and r.done_at is null then r.last_id else $3::text::uuid end,
       cells = case when r.to_kid = $2::text::bigint and r.done_at is null then r.cells else 0 end,
       started_at = case when r.to_kid = $2::text::bigint and r.done_at is null then r.started_at else now() end,
       to_kid = $2::text::bigint, updated_at = now(), done_at = null
     returning last_id::text`,
    [column.seal.columnId, to, FIRST_ID],
    false,
  );
  return String(rows[0]?.[0]);
}

async function resealPortion(
  session: Session,
  { place, keys, column, from }: ResealParts,
  pass: 'first' | 'whole',
  after: string,
): Promise<Portion> {
  const found = await readPortion(session, { place, column, from }, pass, after);
  const last = found.at(-1)?.rowId;
  if (last === undefined) return { last, cells: 0, broken: [] };

  const texts = await openCells({ keys, place }, column, found);
  const opened = found.flatMap(({ rowId }, i) => {
    const text = texts[i];
    return text === undefined ? [] : [{ rowId, text }];
  });
  const ids = opened.map(({ rowId }) => rowId);
  const privacy = { keys, place, mayRead: false };
  const [cells] = await sealFields(privacy, [{ column, texts: opened.map(({ text }) => text) }], ids);
  await session.query(
    `update ${quoteQualified(place.schema, column.table)} t set ${quoteName(column.name)} = v.cell::bytea
     from unnest($1::text::text[], $2::text::text[]) as v(id, cell) where t.id = v.id::uuid`,
    [arrayLiteral(ids), arrayLiteral(cells?.texts ?? [])],
    { prepare: false },
  );
  await session.query(
    `update ${quoteQualified(place.schema, '_resealing')}
     set last_id = $2::text::uuid, cells = cells + $3::text::bigint, updated_at = now() where column_id = $1::text::uuid`,
    [column.seal.columnId, last, opened.length],
    { prepare: false },
  );
  const isOpened = new Set(ids);
  const broken = found.map(({ rowId }) => rowId).filter(rowId => !isOpened.has(rowId));
  return { last, cells: opened.length, broken };
}

async function readPortion(
  session: Session,
  { place, column: { table, name }, from }: Pick<ResealParts, 'place' | 'column' | 'from'>,
  pass: 'first' | 'whole',
  after: string,
) {
  const text = portionQuery({
    schema: place.schema,
    table,
    column: name,
    value: `encode(${quoteName(name)}, 'hex')`,
    condition: `${keyNumberOf(name)} = any($2::text::text[])`,
    lock: pass === 'first' ? 'for update skip locked' : 'for update',
  });
  const { rows } = await session.query(text, [after, arrayLiteral(from.map(toHex))], { prepare: false });
  return rows.map(([id, hex]) => ({ rowId: String(id), hex: String(hex) }));
}
