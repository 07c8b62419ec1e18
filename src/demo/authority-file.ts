import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the stand-in Entra of a data folder listens, for `frame token` in another process. */
export async function noteAuthority(dataFolder: string, authority: string): Promise<void> {
  await mkdir(dataFolder, { recursive: true });
  await writeFile(fileIn(dataFolder), authority);
}

/** Undefined when there never was one. */
export async function readAuthority(dataFolder: string): Promise<string | undefined> {
  return await readFile(fileIn(dataFolder), 'utf8').catch(() => undefined);
}

// Private

const fileIn = (dataFolder: string) => join(dataFolder, 'entra-authority');
