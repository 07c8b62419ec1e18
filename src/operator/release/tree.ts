import { chmod, copyFile, link, lstat, mkdir, readdir, readlink, rename, symlink } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { codeOf } from '../agent/durable.ts';
import { inTurns } from '../agent/manifest.ts';
import { makePassingFolder } from '../agent/passing-folder.ts';

/** Modes are those of the commit and the packages, not of this laptop's umask. */
export async function normaliseModes(folder: string): Promise<void> {
  await inTurns(await pathsIn(folder), async path => {
    const file = join(folder, path);
    const stat = await lstat(file);
    if (stat.isSymbolicLink()) return;
    await chmod(file, stat.isDirectory() || stat.mode & 0o100 ? 0o755 : 0o644);
  });
}

/** The same tree a second time: its files are the same files, so it costs no space. */
export async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o755 });
  const paths = await pathsIn(from);
  const folders = await inTurns(paths, async path => ((await lstat(join(from, path))).isDirectory() ? [path] : []));
  for (const path of folders.flat()) await mkdir(join(to, path), { mode: 0o755 });
  const isFolder = new Set(folders.flat());
  await inTurns(
    paths.filter(path => !isFolder.has(path)),
    path => linkOne(join(from, path), join(to, path)),
  );
}

/** A folder to work in, beside what it becomes; what killed builds left there is removed. */
export async function makeDraft(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  return await makePassingFolder(folder, '.draft-');
}

/** False when there is something else of that name already. */
export async function renameFolder(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (thrown) {
    if (['ENOTEMPTY', 'EEXIST'].includes(codeOf(thrown) ?? '')) return false;
    throw thrown;
  }
}

// Private

/** Folders stand before what is in them. */
async function pathsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.map(entry => relative(folder, join(entry.parentPath, entry.name))).sort();
}

async function linkOne(from: string, to: string): Promise<void> {
  const stat = await lstat(from);
  if (stat.isSymbolicLink()) return await symlink(await readlink(from), to);
  // A file system without links, or a file with too many of them.
  await link(from, to).catch(async () => {
    await copyFile(from, to);
    await chmod(to, stat.mode & 0o777);
  });
}
