import { type ErrorCode, type ErrorFacts, FrameError } from '../errors.ts';

/** A sentence about a place in a query. `at` is in bytes, as the grammar counts. */
export function refusalAt(
  text: string,
  at: number,
  sentence: string,
  facts?: ErrorFacts,
  code: ErrorCode = 'sql/refused',
): FrameError {
  const place = placeAfter(Buffer.from(text).subarray(0, at).toString());
  return new FrameError(code, `${place}: ${sentence}`, facts);
}

/** For a column that every table of Postgres has. */
export function ofPostgres(text: string, at: number, name: string): FrameError {
  return refusalAt(text, at, `\`${name}\` belongs to Postgres.`, { hint: 'Give your own column another name.' });
}

/** `Line 2, column 5`: the place that comes after a text. Columns are counted in characters. */
export function placeAfter(before: string): string {
  const lines = before.split('\n');
  return `Line ${lines.length}, column ${Array.from(lines.at(-1) ?? '').length + 1}`;
}
