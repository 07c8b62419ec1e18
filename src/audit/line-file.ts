import { createReadStream } from 'node:fs';
import { access, type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** A line of a file, without its end. */
export interface FileLine {
  text: string;
  /** False: the end of the line is missing, so it is the last, and not written in full. */
  isWhole: boolean;
}

/** The lines of the first `bytes`; none when there is no such file. Read in pieces, any size. */
export async function* readLines(file: string, bytes = Number.POSITIVE_INFINITY): AsyncGenerator<FileLine> {
  if (bytes === 0) return;
  let rest = '';
  try {
    for await (const piece of createReadStream(file, { encoding: 'utf8', end: bytes - 1 })) {
      const texts = (rest + piece).split('\n');
      rest = texts.pop() ?? '';
      for (const text of texts) yield { text, isWhole: true };
    }
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
  }
  if (rest !== '') yield { text: rest, isWhole: false };
}

/** The last line that `read` takes for one, found from the end on, unfinished or not; undefined when there is none. */
export async function readLastLine<T>(file: string, read: (text: string) => T | undefined): Promise<T | undefined> {
  const handle = await open(file).catch(ignoreMissing);
  if (!handle) return undefined;
  try {
    const { size } = await handle.stat();
    for (let length = PIECE; ; length *= 8) {
      const from = Math.max(0, size - length);
      const bytes = Buffer.alloc(size - from);
      await handle.read(bytes, 0, bytes.length, from);
      const texts = bytes
        .toString('utf8')
        .split('\n')
        .slice(from === 0 ? 0 : 1);
      for (const text of texts.reverse()) {
        const found = read(text);
        if (found !== undefined) return found;
      }
      if (from === 0) return undefined;
    }
  } finally {
    await handle.close();
  }
}

/**
 * Adds lines, on the disk when this resolves. Only ever adds: what a killed process left behind in the middle of a line is
 * ended, not taken back. What this call itself could not finish, on a full disk, it takes back.
 */
export async function appendLines(file: string, lines: readonly string[]): Promise<void> {
  const handle = await open(file, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const text = lines.map(line => `${line}\n`).join('');
    try {
      await handle.appendFile((await endsInLine(handle, size)) ? text : `\n${text}`);
      await handle.sync();
    } catch (thrown) {
      await handle.truncate(size).catch(() => {});
      throw thrown;
    }
    if (size === 0) await flushFolder(dirname(file));
  } finally {
    await handle.close();
  }
}

/** A new file, on the disk when this resolves, and not there at all when it cannot be written in full. EEXIST if it is. */
export async function writeLines(file: string, lines: AsyncIterable<string>): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await pipeline(ended(lines), handle.createWriteStream({ flush: true }));
    await flushFolder(dirname(file));
  } catch (thrown) {
    await rm(file, { force: true });
    throw thrown;
  }
}

/** The same, and under its name only when `check` does not throw at what was written: beside it, as a draft. */
export async function writeChecked(
  file: string,
  lines: AsyncIterable<string>,
  check: (draft: string) => Promise<void>,
): Promise<void> {
  const draft = `${file}.draft`;
  await rm(draft, { force: true });
  await writeLines(draft, lines);
  try {
    await check(draft);
    await rename(draft, file);
  } catch (thrown) {
    await rm(draft, { force: true });
    throw thrown;
  }
  await flushFolder(dirname(file));
}

/** The name of a new file survives a loss of power only when its folder is on the disk too. */
export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

/** For nobody else. */
export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

export async function isThere(file: string): Promise<boolean> {
  return (await access(file).then(() => true, ignoreMissing)) ?? false;
}

export function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
}

export function ignoreMissing(thrown: unknown): undefined {
  if (!isMissing(thrown)) throw thrown;
}

// Private

const PIECE = 64 * 1024;

async function endsInLine(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return buffer.toString() === '\n';
}

async function* ended(lines: AsyncIterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield `${line}\n`;
}
