import { statfs } from 'node:fs/promises';
import { examine } from './assemble.ts';
import { findContents } from './contents.ts';
import type { Deed } from './deed.ts';
import { isFile } from './manifest.ts';

/** Which contents of this release are not on the machine yet? */
export const offer: Deed<'offer'> = async (release, { layout }) => {
  const { id, manifest } = release;
  const isComplete = (await examine(release, layout)) === 'whole';
  const here = isComplete ? undefined : await findContents(layout, id, manifest);
  const missing = here ? manifest.filter(isFile).filter(({ sha256 }) => !here.has(sha256)) : [];
  const { bavail, bsize } = await statfs(layout.home);
  return {
    complete: isComplete,
    missing: [...new Set(missing.map(({ sha256 }) => sha256))],
    freeBytes: bavail * bsize,
  };
};
