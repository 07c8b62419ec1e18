import { createWriteStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { FrameError } from '../../errors.ts';
import { makePassingFolder } from '../agent/passing-folder.ts';
import { readCsv } from './csv.ts';
import { readJson } from './json.ts';
import type { SourceRow } from './source.ts';

/** The file of an import. It is read twice: once to learn its types, once to load it. */
export interface ImportFile {
  bytes: number;
  rows(onBytes: (count: number) => void): AsyncIterable<SourceRow>;
  /** Removes what standard input was kept in. */
  close(): Promise<void>;
}

/** `-` is standard input. Throws `args/invalid` when there is no such file. */
export async function openImportFile(name: string, stdin: NodeJS.ReadableStream): Promise<ImportFile> {
  const kept = name === '-' ? await keep(stdin) : undefined;
  const path = kept?.path ?? name;
  const found = await stat(path).catch(() => undefined);
  if (!found) throw new FrameError('args/invalid', `There is no file ${name}.`);
  if (found.isDirectory()) throw new FrameError('args/invalid', `${name} is a folder; name a file.`);
  const read = (await looksLikeJson(path)) ? readJson : readCsv;
  return { bytes: found.size, rows: onBytes => read(path, onBytes), close: async () => kept?.remove() };
}

// Private

async function keep(stdin: NodeJS.ReadableStream): Promise<{ path: string; remove(): Promise<void> }> {
  const folder = await makePassingFolder(tmpdir(), 'frame-import-');
  const path = join(folder, 'input');
  await pipeline(stdin, createWriteStream(path, { mode: 0o600 }));
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** The first mark decides, not the name: no header line of a CSV file starts with a bracket. */
async function looksLikeJson(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0);
    return /^[\uFEFF\s]*[[{]/.test(buffer.toString('utf8', 0, bytesRead));
  } finally {
    await file.close();
  }
}
