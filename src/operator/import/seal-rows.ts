import { randomUUIDv7 } from 'node:crypto';
import { expectationOf, holds } from '../../tables/cell.ts';
import { type Field, type Privacy, sealFields } from '../../tables/privacy.ts';
import type { SealedColumn } from '../../tables/seal.ts';
import type { TargetColumn } from './copy-rows.ts';
import { badLine, type SourceRow } from './source.ts';

/** A column of the file whose cells must never reach the database as they are. */
export interface HiddenColumn {
  source: string;
  column: SealedColumn;
}

/** What to copy instead of these columns: the ids that cells are bound to, then the cells and what finds them. */
export function sealedTargets(hidden: readonly HiddenColumn[]): TargetColumn[] {
  const names = hidden.flatMap(({ column }) => [column.name, column.seal.companion]);
  return ['id', ...names].map(name => ({ source: keyOf(name), name, type: undefined }));
}

/**
 * The same rows with the cells of sealedTargets() in them. Throws at the first cell that its column cannot hold, with the
 * line in the file and without the cell.
 */
export async function* sealRows(
  rows: AsyncIterable<SourceRow>,
  hidden: readonly HiddenColumn[],
  privacy: Privacy,
): AsyncGenerator<SourceRow> {
  let portion: SourceRow[] = [];
  for await (const row of rows) {
    portion.push(row);
    if (portion.length < PORTION) continue;
    yield* await sealPortion(portion, hidden, privacy);
    portion = [];
  }
  yield* await sealPortion(portion, hidden, privacy);
}

// Private

const PORTION = 500;

/** No column of a file is called like this. */
function keyOf(name: string): string {
  return `\0${name}`;
}

async function sealPortion(
  rows: readonly SourceRow[],
  hidden: readonly HiddenColumn[],
  privacy: Privacy,
): Promise<SourceRow[]> {
  const ids = rows.map(() => randomUUIDv7());
  const columns = hidden.map(({ source, column }) => ({
    column,
    texts: rows.map(({ line, cells }) => readCell(cells.get(source) ?? null, { source, column }, line)),
  }));
  const fields: Field[] = [{ name: 'id', castType: 'uuid', texts: ids }, ...(await sealFields(privacy, columns, ids))];
  return rows.map(({ line, cells }, i) => ({
    line,
    cells: new Map([...cells, ...fields.map(({ name, texts }) => [keyOf(name), texts[i] ?? null] as const)]),
  }));
}

function readCell(cell: string | null, { source, column: { type } }: HiddenColumn, line: number): string | null {
  if (cell === null || (cell === '' && type !== 'text')) return null;
  if (holds(type, cell)) return cell;
  throw badLine(line, `\`${source}\` is not ${expectationOf(type)}.`);
}
