import {
  chmod,
  constants,
  copyFile,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readFile,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Content, findContents, partialOf } from './contents.ts';
import { type Deed, Refused } from './deed.ts';
import { codeOf, syncFolderOf } from './durable.ts';
import type { Layout } from './layout.ts';
import {
  checkManifest,
  differenceOf,
  type FileEntry,
  inTurns,
  isFile,
  RELEASE_FILE,
  RELEASE_ID,
  readManifest,
  releaseText,
  treeHashOf,
} from './manifest.ts';
import type { Described } from './protocol.ts';

/**
 * Puts a release together from what was uploaded and what other releases have. It gets its name when every byte of it
 * has been read and is as it was built, and is on the disk: what bears the name is whole. Takes no lock: of two that put
 * together the same release, the second finds it done.
 */
export const assemble: Deed<'assemble'> = async (release, { layout }) => {
  const { id, manifest, file } = release;
  const answer = { id, treeHash: file.tree };
  if ((await examine(release, layout)) === 'whole') return answer;
  const partial = partialOf(layout, id);
  await mkdir(partial, { recursive: true });
  const tree = await mkdtemp(join(partial, 'tree-'));
  try {
    const placed = await place(await findContents(layout, id, manifest), release, tree);
    await writeFile(join(tree, RELEASE_FILE), releaseText(file), { mode: 0o644, flush: true });
    await verify(release, tree);
    await inTurns(placed, sync);
    await publish(release, tree, layout.release(id));
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
  await rm(partial, { recursive: true, force: true }).catch(() => {});
  return answer;
};

/**
 * What bears the name of this release.
 * @throws Refused for a name or a manifest that must not become a folder, and for a release that is not as it was built
 */
export async function examine(release: Described, layout: Layout): Promise<'whole' | 'missing'> {
  const { id, manifest, file } = release;
  if (!RELEASE_ID.test(id)) throw new Refused({ ...WRONG, message: `${JSON.stringify(id)} is no name of a release.` });
  try {
    checkManifest(manifest);
  } catch (thrown) {
    throw refuse(id, `its manifest is wrong: ${messageOf(thrown)}`);
  }
  if (file.release !== id || file.tree !== treeHashOf(manifest)) throw refuse(id, 'release.json speaks of another one');
  const folder = layout.release(id);
  if (!(await lstat(folder).catch(() => undefined))) return 'missing';
  await verify(release, folder, `Remove ${folder} there when no slot has it.`);
  return 'whole';
}

// Private

const WRONG = { code: 'deploy/refused', exit: 2 } as const;
const FAILED = { code: 'deploy/failed', exit: 1 } as const;

function refuse(id: string, why: string, hint?: string): Refused {
  return new Refused({ ...FAILED, message: `Release ${id}: ${why}.`, ...(hint && { hint }) });
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message.replace(/\.$/, '') : String(thrown);
}

async function verify({ id, manifest, file }: Described, folder: string, hint?: string): Promise<void> {
  const text = await readFile(join(folder, RELEASE_FILE), 'utf8').catch(() => '');
  const why =
    text === releaseText(file)
      ? await readManifest(folder).then(found => differenceOf(found, manifest), messageOf)
      : `${RELEASE_FILE} is not as it was built`;
  if (why) throw refuse(id, `the machine does not have what was built: ${why}`, hint);
}

/** Links come last: no file is ever written through one. Resolves to what has to reach the disk. */
async function place(
  contents: ReadonlyMap<string, readonly Content[]>,
  { id, manifest }: Described,
  tree: string,
): Promise<string[]> {
  const files = manifest.filter(isFile);
  const missing = files.filter(({ sha256 }) => !contents.has(sha256));
  if (missing.length > 0) {
    const hint = 'Run it again: what arrived is kept.';
    throw refuse(id, `${missing.length} of its files did not arrive, ${missing[0]?.path} is one of them`, hint);
  }
  await chmod(tree, 0o755);
  for (const folder of new Set(manifest.map(({ path }) => dirname(path)))) {
    await mkdir(join(tree, folder), { recursive: true });
  }
  const placed = await inTurns(files, file => placeOne(file, contents.get(file.sha256) ?? [], join(tree, file.path)));
  for (const entry of manifest) if (entry.kind === 'link') await symlink(entry.target, join(tree, entry.path));
  return placed.flat();
}

/** The same file under one more name where its mode allows that; a copy otherwise. */
async function placeOne({ executable }: FileEntry, candidates: readonly Content[], to: string): Promise<string[]> {
  const mode = executable ? 0o755 : 0o644;
  const same = candidates.find(candidate => candidate.mode === mode);
  const isLinked =
    same &&
    (await link(same.file, to).then(
      () => true,
      () => false,
    ));
  if (isLinked) return same.isNew ? [to] : [];
  await copyFile(candidates[0]?.file ?? '', to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  await chmod(to, mode);
  return [to];
}

async function sync(file: string): Promise<void> {
  await using handle = await open(file);
  await handle.sync();
}

async function publish(release: Described, tree: string, folder: string): Promise<void> {
  try {
    await rename(tree, folder);
  } catch (thrown) {
    if (!['ENOTEMPTY', 'EEXIST'].includes(codeOf(thrown) ?? '')) throw thrown;
    // Another upload of it was done first.
    await verify(release, folder);
  }
  await syncFolderOf(folder);
}
