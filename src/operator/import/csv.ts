import { Readable } from 'node:stream';
import { CsvError, type Info, parse } from 'csv-parse';
import { badLine, readText, type SourceRow } from './source.ts';

/**
 * Records of a CSV file (RFC 4180; comma, semicolon or tab, told by the header line). An empty cell is null, `""` is an
 * empty text.
 */
export async function* readCsv(path: string, onBytes: (count: number) => void): AsyncGenerator<SourceRow> {
  const chunks = readText(path, onBytes);
  const first = await chunks.next();
  if (first.done) return;
  let parsedLines = 0;
  const parser = parse({
    delimiter: delimiterOf(first.value),
    info: true,
    skip_empty_lines: true,
    cast: (cell, { quoting }) => (cell === '' && !quoting ? null : cell),
    on_record(record, { lines }) {
      parsedLines = lines;
      return record;
    },
  });
  const source = Readable.from(withFirst(first.value, chunks));
  source.on('error', error => parser.destroy(error));
  source.pipe(parser);
  let header: string[] | undefined;
  let line = 1;
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: (string | null)[]; info: Info }>) {
      if (header) yield { line, cells: new Map(header.map((name, at) => [name, record[at] ?? null])) };
      else header = readHeader(record);
      // `lines` counts up to the end of this record; one with line breaks in its cells started earlier.
      line = info.lines + 1;
    }
  } catch (thrown) {
    // The record that could not be read begins where the last one ended; the parser only knows where it gave up.
    throw thrown instanceof CsvError ? badLine(parsedLines + 1, toSentence(thrown)) : thrown;
  } finally {
    source.destroy();
  }
}

// Private

async function* withFirst(first: string, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  yield first;
  yield* rest;
}

function delimiterOf(text: string): string {
  const header = text.slice(0, text.indexOf('\n') + 1 || text.length);
  const count = (mark: string) => header.split(mark).length;
  return [',', ';', '\t'].reduce((best, mark) => (count(mark) > count(best) ? mark : best));
}

function readHeader(record: readonly (string | null)[]): string[] {
  const names = record.map(name => (name ?? '').trim());
  const empty = names.indexOf('');
  if (empty !== -1) throw badLine(1, `column ${empty + 1} has no name. The first line must name every column.`);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw badLine(1, `two columns are called \`${twice}\`.`);
  return names;
}

function toSentence({ code, message }: CsvError): string {
  if (code === 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH') return 'the number of cells differs from the first line.';
  if (code === 'CSV_QUOTE_NOT_CLOSED') return 'a quote is opened and never closed.';
  if (code === 'CSV_INVALID_CLOSING_QUOTE') return 'a quote inside a quoted cell must be doubled ("").';
  if (code === 'INVALID_OPENING_QUOTE') return 'a quote stands in the middle of a cell; quote the whole cell.';
  return `${message}.`;
}
