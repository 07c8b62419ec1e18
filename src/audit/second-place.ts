import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointFiles, readLastSigned } from './checkpoint-writer.ts';
import { withFileLock } from './file-lock.ts';
import { appendLines, readLines } from './line-file.ts';
import type { Verifier } from './signature.ts';
import { hashOf, type SignedLine, textOf } from './signed-line.ts';

/**
 * Brings the copy of the checkpoints in the second place up to this line, and with it all lines that it missed while it was
 * full or gone. Rejects when it cannot. The folder is never made: where a disk is not mounted, nothing must look like it.
 */
export async function copyToSecondPlace(
  dataFolder: string,
  secondFolder: string,
  line: SignedLine,
  verifier: Verifier,
): Promise<void> {
  const files = checkpointFiles(dataFolder);
  const copy = secondFile(secondFolder);
  await access(secondFolder);
  await withFileLock(files.secondLock, async () => {
    const last = await readLastSigned(copy, verifier);
    if (last && last.number >= line.number) return;
    const missing = last && hashOf(last) === line.previous ? [textOf(line)] : linesBehind(files.checkpoints, last);
    for await (const texts of inPieces(missing)) await appendLines(copy, texts);
  });
}

export function secondFile(secondFolder: string): string {
  return join(secondFolder, 'checkpoints.ndjson');
}

// Private

const LINES_AT_ONCE = 1000;

async function* linesBehind(file: string, last: SignedLine | undefined): AsyncGenerator<string> {
  let isBehind = last === undefined;
  for await (const { text, isWhole } of readLines(file)) {
    if (isBehind && isWhole) yield text;
    if (last && text === textOf(last)) isBehind = true;
  }
  if (!isBehind) throw new Error('it has checkpoints that the first place has not');
}

async function* inPieces(lines: Iterable<string> | AsyncIterable<string>): AsyncGenerator<string[]> {
  let piece: string[] = [];
  for await (const line of lines) {
    piece.push(line);
    if (piece.length < LINES_AT_ONCE) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
}
