import { FrameError } from '../../errors.ts';
import { guessType, type TypeGuess } from '../../tables/cell.ts';
import type { ColumnType } from '../../tables/column-type.ts';
import { SYSTEM_COLUMNS } from '../../tables/table.ts';
import type { SourceRow } from './source.ts';

/** What a file holds, known after reading all of it once. */
export interface Survey {
  rows: number;
  columns: readonly SurveyedColumn[];
}

export interface SurveyedColumn {
  /** As the file calls it. */
  source: string;
  /** As the table will call it. */
  name: string;
  /** The narrowest that holds every cell. */
  type: ColumnType;
}

/** Reads every record: a type that fits the first thousand and not the last one would be no help. */
export async function survey(rows: AsyncIterable<SourceRow>, onRow: (count: number) => void): Promise<Survey> {
  const guesses = new Map<string, TypeGuess>();
  let count = 0;
  for await (const { cells } of rows) {
    for (const [source, cell] of cells) {
      const guess = guesses.get(source) ?? guessType();
      guesses.set(source, guess);
      // Many programs put every cell into quotes: an empty one says nothing about the others.
      if (cell !== null && cell !== '') guess.see(cell);
    }
    count += 1;
    onRow(count);
  }
  if (count === 0) throw new FrameError('row/missing-value', 'The file has no rows.');
  if (guesses.size === 0) throw new FrameError('row/missing-value', 'No row of the file has a column.');
  return { rows: count, columns: nameColumns([...guesses].map(([source, guess]) => ({ source, type: guess.type() }))) };
}

// Private

function nameColumns(found: readonly { source: string; type: ColumnType }[]): SurveyedColumn[] {
  const columns = found.map(column => ({ ...column, name: toName(column.source) }));
  for (const { name, source } of columns) {
    const twin = columns.find(other => other.name === name && other.source !== source);
    if (twin) {
      throw new FrameError('table/bad-name', `\`${twin.source}\` and \`${source}\` would both be called \`${name}\`.`, {
        hint: 'Rename one of them in the file.',
      });
    }
  }
  return columns;
}

/** `Net total (€)` → `net_total`. Names that the database keeps for itself are moved out of the way: `source_id`. */
function toName(source: string): string {
  const words = source
    .normalize('NFKD')
    .replaceAll(/(\p{Ll})(\p{Lu})/gu, '$1_$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '');
  const name = /^[a-z]/.test(words) && !words.startsWith('pg_') ? words : `column_${words}`.replace(/_$/, '');
  return (Object.hasOwn(SYSTEM_COLUMNS, name) ? `source_${name}` : name).slice(0, 63);
}
