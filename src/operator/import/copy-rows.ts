import { expectationOf, holds } from '../../tables/cell.ts';
import type { ColumnType } from '../../tables/column-type.ts';
import { badLine, type SourceRow } from './source.ts';

export interface TargetColumn {
  source: string;
  name: string;
  /** Undefined for a type that only tables made elsewhere have: Postgres judges its values. */
  type: ColumnType | undefined;
}

/**
 * Rows in the text format of COPY, a few kilobytes at a time. Throws at the first cell that its column cannot hold, with
 * the line in the file. `onRow` gets that line for every row, for what only Postgres can notice.
 */
export async function* toCopyText(
  rows: AsyncIterable<SourceRow>,
  columns: readonly TargetColumn[],
  constants: readonly string[],
  onRow: (line: number) => void,
): AsyncGenerator<string> {
  const ending = constants.map(text => `\t${escapeText(text)}`).join('');
  let buffer = '';
  for await (const { line, cells } of rows) {
    const row = columns.map(column => toField(cells.get(column.source) ?? null, column, line));
    buffer += `${row.join('\t')}${ending}\n`;
    onRow(line);
    if (buffer.length < CHUNK) continue;
    yield buffer;
    buffer = '';
  }
  if (buffer) yield buffer;
}

// Private

const CHUNK = 64 * 1024;
const NULL = '\\N';

function toField(cell: string | null, { source, type }: TargetColumn, line: number): string {
  // An empty cell in quotes is an empty text, and in every other type it is nothing.
  if (cell === null || (cell === '' && type !== 'text' && type !== undefined)) return NULL;
  if (type && !holds(type, cell)) {
    throw badLine(line, `\`${source}\` is \`${cell.slice(0, 60)}\`, which is not ${expectationOf(type)}.`);
  }
  return escapeText(cell);
}

function escapeText(text: string): string {
  return /[\\\n\r\t]/.test(text) ? text.replace(/[\\\n\r\t]/g, mark => ESCAPES[mark] ?? mark) : text;
}

const ESCAPES: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
