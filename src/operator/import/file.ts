import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { makePassingFolder } from '../agent/passing-folder.ts';
import { WrongUsage } from '../command.ts';
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

/** `-` is standard input. Throws WrongUsage when there is no such file, or when it cannot be read. */
export async function openImportFile(name: string, stdin: NodeJS.ReadableStream): Promise<ImportFile> {
  const kept = await keepPassing(name, stdin);
  const path = kept?.path ?? name;
  const file = await open(path).catch(thrown => {
    throw new WrongUsage(`${name} cannot be read: ${thrown.message}.`);
  });
  try {
    const { size } = await file.stat();
    const read = (await looksLikeJson(file)) ? readJson : readCsv;
    return { bytes: size, rows: onBytes => read(path, onBytes), close: async () => kept?.remove() };
  } finally {
    await file.close();
  }
}

// Private

interface Kept {
  path: string;
  remove(): Promise<void>;
}

/** What can be read only once: standard input, and a pipe with a name (`<(…)` of the shell, /dev/stdin). */
async function keepPassing(name: string, stdin: NodeJS.ReadableStream): Promise<Kept | undefined> {
  if (name === '-') return await keep(stdin);
  const found = await stat(name).catch(() => undefined);
  if (!found) throw new WrongUsage(`There is no file ${name}.`);
  if (found.isDirectory()) throw new WrongUsage(`${name} is a folder; name a file.`);
  return found.isFile() ? undefined : await keep(createReadStream(name));
}

async function keep(stdin: NodeJS.ReadableStream): Promise<Kept> {
  const folder = await makePassingFolder(tmpdir(), 'frame-import-');
  const path = join(folder, 'input');
  await pipeline(stdin, createWriteStream(path, { mode: 0o600 }));
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** The first mark decides, not the name: no header line of a CSV file starts with a bracket. */
async function looksLikeJson(file: FileHandle): Promise<boolean> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0);
  return /^[\uFEFF\s]*[[{]/.test(buffer.toString('utf8', 0, bytesRead));
}
