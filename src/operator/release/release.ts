import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RELEASE_FILE, readManifest, treeHashOf } from '../agent/manifest.ts';
import type { Manifest, ReleaseFile } from '../agent/protocol.ts';

/** A release on the laptop, built and complete: what is uploaded is this folder, byte for byte. */
export interface Release {
  id: string;
  folder: string;
  file: ReleaseFile;
  manifest: Manifest;
}

/** Undefined when there is none in this folder, or when it is not what was built. */
export async function readRelease(folder: string): Promise<Release | undefined> {
  try {
    const file: ReleaseFile = JSON.parse(await readFile(join(folder, RELEASE_FILE), 'utf8'));
    const manifest = await readManifest(folder);
    return treeHashOf(manifest) === file.tree ? { id: file.release, folder, file, manifest } : undefined;
  } catch {
    return undefined;
  }
}
