import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { FrameError } from '../../errors.ts';

/** One record of a file: cells by column name, null where there is none, and the line where it starts. */
export interface SourceRow {
  line: number;
  cells: Map<string, string | null>;
}

/** A file as text, a chunk of whole lines at a time. Throws with the line of the first byte that is not UTF-8. */
export async function* readText(path: string, onBytes: (count: number) => void): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  let line = 1;
  let first = true;
  function toText(bytes: Buffer): string {
    if (!isUtf8(bytes)) throw notUtf8(bytes, line);
    const text = bytes.toString('utf8');
    line += countLines(bytes);
    const start = first && text.startsWith('\uFEFF') ? 1 : 0;
    first = false;
    return text.slice(start);
  }
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) {
    onBytes(chunk.length);
    const bytes: Buffer = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    rest = bytes.subarray(end);
    if (end > 0) yield toText(bytes.subarray(0, end));
  }
  if (rest.length > 0) yield toText(rest);
}

/** The error of one bad record. Nothing is loaded, and the sentence says so. */
export function badLine(line: number, sentence: string): FrameError {
  return new FrameError('row/bad-value', `Line ${line}: ${sentence}`, { hint: 'Nothing was loaded.' });
}

// Private

const NEWLINE = 0x0a;

function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

function notUtf8(bytes: Buffer, firstLine: number): FrameError {
  let line = firstLine;
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    if (!isUtf8(bytes.subarray(start, end))) break;
    start = end + 1;
    line += 1;
  }
  return badLine(line, 'this is not UTF-8. Save the file as UTF-8 and try again.');
}
