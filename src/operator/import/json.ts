import { badLine, readText, type SourceRow } from './source.ts';

/** Records of a JSON file: one array of objects, or one object per line (or several, anyhow spaced). */
export async function* readJson(path: string, onBytes: (count: number) => void): AsyncGenerator<SourceRow> {
  for await (const { line, text } of splitObjects(readText(path, onBytes))) {
    yield { line, cells: toCells(line, text) };
  }
}

// Private

interface Piece {
  line: number;
  text: string;
}

/**
 * Cuts the text into its objects without parsing the whole: a file may be larger than a string can be. Only braces
 * outside strings count; whether a piece is good JSON is decided when it is parsed.
 */
async function* splitObjects(chunks: AsyncIterable<string>): AsyncGenerator<Piece> {
  let line = 1;
  let depth = 0;
  let inString = false;
  let escaped = false;
  let piece = '';
  let startLine = 1;
  let isArray = false;
  let isClosed = false;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const mark = chunk[at];
      if (mark === '\n') line += 1;
      if (inString) {
        if (escaped) escaped = false;
        else if (mark === '\\') escaped = true;
        else if (mark === '"') inString = false;
        continue;
      }
      if (depth > 0) {
        if (mark === '"') inString = true;
        else if (mark === '{') depth += 1;
        else if (mark === '}') depth -= 1;
        if (depth === 0) {
          yield { line: startLine, text: piece + chunk.slice(from, at + 1) };
          piece = '';
        }
        continue;
      }
      if (mark === '{' && !isClosed) {
        depth = 1;
        from = at;
        startLine = line;
      } else if (mark === '[' && !isArray) {
        isArray = true;
      } else if (mark === ']' && isArray && !isClosed) {
        isClosed = true;
      } else if (!/[\s,]/.test(mark ?? '')) {
        throw badLine(line, `here stands \`${mark}\`. The file must be an array of objects, or one object per line.`);
      }
    }
    if (depth > 0) piece += chunk.slice(from);
  }
  if (depth > 0) throw badLine(startLine, 'the object that starts here never ends.');
  if (isArray && !isClosed) throw badLine(line, 'the array never ends; the file seems to be cut off.');
}

function toCells(line: number, text: string): SourceRow['cells'] {
  let value: Record<string, unknown>;
  try {
    value = BEYOND_DOUBLE.test(text) ? JSON.parse(text, keepDigits) : JSON.parse(text);
  } catch (thrown) {
    throw badLine(
      line,
      `the object that starts here is not good JSON (${thrown instanceof Error ? thrown.message : ''}).`,
    );
  }
  return new Map(Object.entries(value).map(([name, cell]) => [name, toCell(cell)]));
}

/** More than 15 digits, or very far from 1: a double would be another number, so it is kept as it is written. */
const BEYOND_DOUBLE = /\d[\d.]{15}|e[+-]?\d{3}/i;

function keepDigits(_key: string, value: unknown, { source }: { source?: string } = {}): unknown {
  return typeof value === 'number' && source && BEYOND_DOUBLE.test(source)
    ? (JSON as JsonWithRaw).rawJSON(source)
    : value;
}

function toCell(value: unknown): string | null {
  if (value === null || typeof value === 'string') return value;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** ES2026, and in Node since 22; TypeScript does not know it yet. */
type JsonWithRaw = typeof JSON & { rawJSON(text: string): object };
