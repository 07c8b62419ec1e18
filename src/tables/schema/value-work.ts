import type { Session } from '../../database/pools.ts';
import { quoteName } from '../../database/quote.ts';
import { FrameError } from '../../errors.ts';
import { FIRST_ID, portionQuery } from '../portion.ts';
import { openCells, type Privacy, sealFields } from '../privacy.ts';
import { arrayLiteral, quoteQualified } from '../quote.ts';
import type { SealedColumn } from '../seal.ts';

/**
 * The part of a change that no statement can do: the values of a column are read into the gateway, sealed or opened
 * there, and written into a column beside it. In portions, in the transaction of the change.
 */
export interface ValueWork {
  deed: 'seal' | 'unseal';
  schema: string;
  table: string;
  /** As it is sealed, before or after. */
  column: SealedColumn;
  /** Where the new values go, until the column takes them over. */
  into: string;
}

/** As it is shown among statements. */
export function describeWork({ deed, table, column, into }: ValueWork): string {
  return `-- the gateway ${deed}s every value of "${table}"."${column.name}" into "${into}"`;
}

export type Keys = Pick<Privacy, 'keys' | 'place'>;

/** Throws `row/sealed-broken` when a cell cannot be opened: its value would be lost. */
export async function runWork(session: Session, keys: Keys, work: ValueWork): Promise<void> {
  await workThrough(session, keys, work, opened => write(session, work, opened.ids, opened.texts));
}

/**
 * The same in a transaction that is rolled back. What is sealed is written; what is opened is not, for the files of the
 * database keep what was taken back. So the column is empty from then on.
 */
export async function tryWork(session: Session, keys: Keys, work: ValueWork): Promise<void> {
  await workThrough(session, keys, work, async () => {});
  if (work.deed === 'seal') return;
  const table = quoteQualified(work.schema, work.table);
  await session.query(`alter table ${table} alter column ${quoteName(work.column.name)} drop not null`, [], {
    prepare: false,
  });
}

// Private

interface Opened {
  ids: readonly string[];
  texts: Texts;
}

async function workThrough(
  session: Session,
  { keys, place }: Keys,
  work: ValueWork,
  onOpened: (opened: Opened) => Promise<void>,
): Promise<void> {
  const privacy = { keys, place, mayRead: true };
  let after = FIRST_ID;
  for (;;) {
    const rows = await readPortion(session, work, after);
    if (rows.length === 0) return;
    const ids = rows.map(({ id }) => id);
    if (work.deed === 'seal') {
      const [cells, digests] = await sealFields(
        privacy,
        [{ column: work.column, texts: rows.map(({ value }) => value) }],
        ids,
      );
      await write(session, work, ids, cells?.texts ?? [], digests?.texts ?? []);
    } else {
      const cells = rows.map(({ id, value }) => ({ rowId: id, hex: value }));
      const texts = await openCells(privacy, work.column, cells);
      await onOpened({ ids, texts: texts.map(requireOpened) });
    }
    after = ids.at(-1) ?? after;
  }
}

async function readPortion(
  session: Session,
  { deed, schema, table, column: { name: column } }: ValueWork,
  after: string,
) {
  const value = deed === 'seal' ? `${quoteName(column)}::text` : `encode(${quoteName(column)}, 'hex')`;
  const { rows } = await session.query(portionQuery({ schema, table, column, value }), [after], { prepare: false });
  return rows.map(([id, text]) => ({ id: String(id), value: String(text) }));
}

type Texts = readonly (string | null)[];

async function write(
  session: Session,
  { schema, table, column, into }: ValueWork,
  ids: readonly string[],
  values: Texts,
  digests?: Texts,
): Promise<void> {
  const lists = [ids, values, ...(digests ? [digests] : [])];
  const type = digests ? 'bytea' : column.castType;
  const set = [`${quoteName(into)} = v.value::${type}`];
  if (digests) set.push(`${quoteName(column.seal.companion)} = v.digest::bytea`);
  await session.query(
    `update ${quoteQualified(schema, table)} t set ${set.join(', ')}
     from unnest(${lists.map((_, i) => `$${i + 1}::text::text[]`).join(', ')}) as v(id, value${digests ? ', digest' : ''})
     where t.id = v.id::uuid`,
    lists.map(arrayLiteral),
    { prepare: false },
  );
}

function requireOpened(text: string | undefined): string {
  if (text !== undefined) return text;
  throw new FrameError('row/sealed-broken', 'A value cannot be opened: it was altered, or its key is gone.', {
    hint: 'Nothing was changed. Find the rows with `select_rows` and empty or write these values first.',
    nextTool: 'select_rows',
  });
}
