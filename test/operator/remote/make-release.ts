import { chmod, mkdir, readdir, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RELEASE_FILE, readManifest, releaseText, treeHashOf } from '../../../src/operator/agent/manifest.ts';
import type { ReleaseFile } from '../../../src/operator/agent/protocol.ts';
import { idOf } from '../agent/fixture.ts';
import { writeTinyProgram } from '../agent/tiny-program.ts';
import type { Behaviour } from '../agent/tiny-release.ts';

/** A release, in a folder of its own below `root`. No two have the same behaviour.json, for machines link what is the same. */
export async function makeTinyRelease(root: string, number: number, behaviour: Behaviour = {}): Promise<string> {
  const id = idOf(number);
  const draft = join(root, '..', `draft-${id}`);
  for (const part of ['src/database', 'src/vault', 'config', 'node_modules/.bin', 'node_modules/node']) {
    await mkdir(join(draft, part), { recursive: true });
  }
  await writeTinyProgram(draft);
  await writeFile(join(draft, 'package.json'), '{"type":"module"}');
  await writeFile(join(draft, 'config/roles.yaml'), '');
  for (const file of ['src/database/walls.ts', 'src/vault/keyring.ts']) await writeFile(join(draft, file), '');
  await writeFile(join(draft, 'behaviour.json'), JSON.stringify({ ...behaviour, number }));
  await writeFile(join(draft, 'node_modules/node/node'), `#!/bin/sh\nexec "${process.execPath}" "$@"\n`);
  await symlink('../node/node', join(draft, 'node_modules/.bin/node'));
  await tidyModes(draft);
  const file: ReleaseFile = {
    release: id,
    commit: id.slice(-7).padStart(40, '0'),
    tree: treeHashOf(await readManifest(draft)),
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    schema: { control: { newest: 0, breaking: 0 }, entity: { newest: 0, breaking: 0 } },
  };
  await writeFile(join(draft, RELEASE_FILE), releaseText(file), { mode: 0o644 });
  await rename(draft, join(root, id));
  return id;
}

// Private

async function tidyModes(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() || entry.name === 'node' ? 0o755 : 0o644);
  }
}
