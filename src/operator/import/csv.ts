import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { badLine, readText, type SourceRow } from './source.ts';

/**
 * Records of a CSV file (RFC 4180; comma, semicolon or tab, told by the header line; any mixture of line ends). An empty
 * cell is null, `""` is an empty text.
 */
export async function* readCsv(path: string, onBytes: (count: number) => void): AsyncGenerator<SourceRow> {
  const chunks = readText(path, onBytes);
  const first = await chunks.next();
  if (first.done) return;
  // CRLF ends in it too; a file without any is of the kind that old Macs wrote.
  const lineEnd = first.value.includes('\n') ? '\n' : '\r';
  const parser = parse({
    delimiter: delimiterOf(first.value),
    // By itself the parser takes the first line end for that of the whole file.
    record_delimiter: lineEnd === '\n' ? ['\r\n', '\n'] : ['\r'],
    // Empty lines too, and rows of any length: only so each record begins where the one before it ended.
    relax_column_count: true,
    cast: (cell, { quoting }) => (cell === '' && !quoting ? null : cell),
  });
  const source = Readable.from(withFirst(first.value, chunks));
  source.on('error', error => parser.destroy(error));
  source.pipe(parser);
  let header: string[] | undefined;
  let line = 1;
  try {
    for await (const record of parser as AsyncIterable<Cell[]>) {
      const isEmpty = record.length === 1 && record[0] === null;
      if (!isEmpty && header) yield { line, cells: toCells(line, header, record) };
      else if (!isEmpty) header = readHeader(line, record);
      line += linesOf(record, lineEnd);
    }
  } catch (thrown) {
    throw thrown instanceof CsvError ? badLine(line, toSentence(thrown)) : thrown;
  } finally {
    source.destroy();
  }
}

// Private

type Cell = string | null;

async function* withFirst(first: string, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  yield first;
  yield* rest;
}

function delimiterOf(text: string): string {
  const [header = ''] = text.trimStart().split(/[\r\n]/, 1);
  const count = (mark: string) => header.split(mark).length;
  return [',', ';', '\t'].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
}

function readHeader(line: number, record: readonly Cell[]): string[] {
  const names = record.map(name => (name ?? '').trim());
  const empty = names.indexOf('');
  if (empty !== -1) throw badLine(line, `column ${empty + 1} has no name. The first line must name every column.`);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw badLine(line, `two columns are called \`${twice}\`.`);
  return names;
}

function toCells(line: number, header: readonly string[], record: readonly Cell[]): SourceRow['cells'] {
  if (record.length !== header.length) throw badLine(line, 'the number of cells differs from the first line.');
  return new Map(header.map((name, at) => [name, record[at] ?? null]));
}

/** From its first one to the one behind it: cells in quotes may have line breaks. */
function linesOf(record: readonly Cell[], lineEnd: string): number {
  return record.reduce((lines, cell) => lines + (cell?.includes(lineEnd) ? cell.split(lineEnd).length - 1 : 0), 1);
}

function toSentence({ code, message }: CsvError): string {
  if (code === 'CSV_QUOTE_NOT_CLOSED') return 'a quote is opened and never closed.';
  if (code === 'CSV_INVALID_CLOSING_QUOTE') return 'a quote inside a quoted cell must be doubled ("").';
  if (code === 'INVALID_OPENING_QUOTE') return 'a quote stands in the middle of a cell; quote the whole cell.';
  return `${message}.`;
}
