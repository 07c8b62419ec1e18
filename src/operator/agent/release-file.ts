import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Refused } from './deed.ts';
import { readIfThere } from './durable.ts';
import type { Layout } from './layout.ts';
import { RELEASE_ID } from './manifest.ts';
import type { ReleaseFile } from './protocol.ts';

/** Undefined when there is no such release, or its folder says that it is another one. */
export async function findRelease(layout: Layout, id: string): Promise<ReleaseFile | undefined> {
  if (!RELEASE_ID.test(id)) return undefined;
  const text = await readIfThere(join(layout.release(id), 'release.json')).catch(() => undefined);
  try {
    const file = JSON.parse(text ?? '') as ReleaseFile;
    return file.release === id ? file : undefined;
  } catch {
    return undefined;
  }
}

/** @throws Refused when it is not here, not whole, or made for another kind of machine. */
export async function requireRelease(layout: Layout, id: string): Promise<ReleaseFile> {
  const file = await findRelease(layout, id);
  if (!file) throw refused(`The release ${id} is not on this machine.`, hintFor(id));
  const folder = layout.release(id);
  for (const part of ['src/main.ts', 'node_modules/.bin/node', 'config']) {
    if (await lstat(join(folder, part)).catch(() => undefined)) continue;
    throw refused(`The release ${id} is not whole: ${part} is missing.`, 'Remove its folder and deploy it again.');
  }
  const machine = `${process.platform}-${process.arch}`;
  if (file.platform !== machine) throw refused(`The release ${id} is for ${file.platform}; this is ${machine}.`);
  return file;
}

/** Ids, oldest first: an id begins with the time of its commit. */
export async function listReleases(layout: Layout): Promise<string[]> {
  const entries = await readdir(layout.releases, { withFileTypes: true }).catch(() => []);
  const names = entries.filter(entry => entry.isDirectory()).map(({ name }) => name);
  const found = await Promise.all(names.map(name => findRelease(layout, name)));
  return names.filter((_, index) => found[index]).sort();
}

// Private

function hintFor(id: string): string {
  if (!RELEASE_ID.test(id)) return '`frame slot status` names those that are here.';
  return `\`frame slot status\` names those that are here; \`frame deploy --ref ${id.replace(/^.*-/, '')}\` brings this one.`;
}

function refused(message: string, hint?: string): Refused {
  return new Refused({ code: 'deploy/refused', message, hint, exit: 2 });
}
