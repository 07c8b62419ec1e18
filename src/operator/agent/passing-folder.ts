import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** A folder of the moment in `parent`. What processes that were killed left there under this prefix is removed. */
export async function makePassingFolder(parent: string, prefix: string): Promise<string> {
  const names = (await readdir(parent)).filter(name => name.startsWith(prefix));
  for (const path of names.map(name => join(parent, name))) {
    const stat = await lstat(path).catch(() => undefined);
    // In /tmp, those of others stay theirs.
    if (stat && stat.mtimeMs < Date.now() - A_DAY_MS) await rm(path, { recursive: true, force: true }).catch(() => {});
  }
  return await mkdtemp(join(parent, prefix));
}

// Private

const A_DAY_MS = 86_400_000;
