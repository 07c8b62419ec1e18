import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../../src/database/embedded-process.ts';

/** A disk that can be full. */
export interface SmallDisk {
  /** Takes every byte that is left. */
  fill(): Promise<void>;
  free(): Promise<void>;
}

/** Why there is none here: for `describe.skipIf` and the title. */
export const NO_SMALL_DISK =
  process.platform === 'linux' && process.getuid?.() === 0 ? undefined : 'only root on Linux can mount one';

/**
 * Puts a folder, with all that is in it, on a disk of its own. removeDataFolder unmounts it, also one that a killed run
 * left behind.
 */
export async function putOnSmallDisk(folder: string, megabytes: number): Promise<SmallDisk> {
  const { uid, gid, mode } = await stat(folder);
  const before = `${folder}.before`;
  await rename(folder, before);
  await mkdir(folder);
  const options = `size=${megabytes}m,uid=${uid},gid=${gid},mode=${(mode & 0o7777).toString(8)}`;
  await run({}, 'mount', ['-t', 'tmpfs', '-o', options, 'frame-test', folder]);
  await run({}, 'cp', ['-a', `${before}/.`, folder]);
  await rm(before, { recursive: true });
  const ballast = join(folder, 'ballast');
  return {
    async fill() {
      await using file = await open(ballast, 'a');
      const page = Buffer.alloc(PAGE);
      for (;;) {
        const failure = await file.write(page).then(
          () => undefined,
          error => error,
        );
        if (failure?.code === 'ENOSPC') return;
        if (failure) throw failure;
      }
    },
    free: () => rm(ballast),
  };
}

// Private

/** What such a disk gives out at once. */
const PAGE = 4096;
