import { appendFile, open, readFile, rename, rm, symlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Changes to files that are there as a whole or not at all, also after the power failed. */

/** Nobody else may read it unless `mode` says so. One writer at a time: whoever holds the lock. */
export async function writeWhole(file: string, text: string, mode = 0o600): Promise<void> {
  const fresh = `${file}.fresh`;
  await rm(fresh, { force: true });
  await writeAndSync(fresh, text, mode);
  await rename(fresh, file);
  await syncFolderOf(file);
}

export async function writeAndSync(file: string, text: string, mode = 0o600): Promise<void> {
  await using handle = await open(file, 'wx', mode);
  await handle.writeFile(text);
  await handle.sync();
}

export async function appendLine(file: string, line: string): Promise<void> {
  await appendFile(file, `${line}\n`, { mode: 0o600, flush: true });
}

/** There is no moment at which `link` is missing or leads somewhere else. */
export async function replaceLink(link: string, target: string): Promise<void> {
  const fresh = `${link}.new`;
  await rm(fresh, { force: true });
  await symlink(target, fresh);
  await rename(fresh, link);
  await syncFolderOf(link);
}

export async function syncFolderOf(file: string): Promise<void> {
  await using folder = await open(dirname(file), 'r');
  await folder.sync();
}

/** Undefined when there is no such file. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}

export function isMissing(thrown: unknown): boolean {
  return codeOf(thrown) === 'ENOENT';
}

export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : undefined;
}
