import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layout } from './layout.ts';
import { digestOf, inTurns, isFile, RELEASE_ID } from './manifest.ts';
import type { Manifest } from './protocol.ts';

/** Where on this machine the contents of a release are, whichever file they belong to now. */

export interface Content {
  file: string;
  mode: number;
  /** It arrived for this release, and may not have reached the disk. */
  isNew: boolean;
}

/** Uploads of one release lie here, each in a folder of its own: `<id>.partial/<token>/<sha256>`. */
export function partialOf(layout: Layout, id: string): string {
  return `${layout.release(id)}.partial`;
}

/** By sha256. Names prove nothing: every file that may be wanted is read, each one once however many names it has. */
export async function findContents(layout: Layout, id: string, manifest: Manifest): Promise<Map<string, Content[]>> {
  const wanted = new Set(manifest.filter(isFile).map(({ sha256 }) => sha256));
  const sizes = new Set(manifest.filter(isFile).map(({ size }) => size));
  const found = new Map<string, Content[]>();
  const seen = new Set<string>();

  async function look(file: string, isNew: boolean): Promise<void> {
    const stat = await lstat(file).catch(() => undefined);
    if (!stat?.isFile() || !sizes.has(stat.size) || seen.has(`${stat.dev} ${stat.ino}`)) return;
    seen.add(`${stat.dev} ${stat.ino}`);
    const sha256 = await digestOf(file, stat.size).catch(() => '');
    if (!wanted.has(sha256)) return;
    found.set(sha256, [...(found.get(sha256) ?? []), { file, mode: stat.mode & 0o7777, isNew }]);
  }

  await look(layout.node, false);
  for (const release of await readdir(layout.releases).catch(() => [])) {
    if (!RELEASE_ID.test(release)) continue;
    await inTurns(await pathsBelow(layout.release(release)), file => look(file, false));
  }
  await inTurns(await pathsBelow(partialOf(layout, id)), file => look(file, true));
  return found;
}

// Private

/** A folder that somebody removes meanwhile has nothing for us. */
async function pathsBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
}
