import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Migration, toMigration } from '../../database/migration-files.ts';
import { FrameError } from '../../errors.ts';
import { RELEASE_FILE, readManifest, releaseText, treeHashOf } from '../agent/manifest.ts';
import type { ReleaseFile } from '../agent/protocol.ts';
import { lastLines, runProgram } from '../program.ts';
import { archive, type Commit, refuseUnclean, refuseUnpushed, resolveCommit } from './commit.ts';
import { addModules, nodeVersionOf } from './modules.ts';
import { nameOf, type Platform } from './platform.ts';
import { type Release, readRelease } from './release.ts';
import { makeDraft, normaliseModes, renameFolder } from './tree.ts';

export interface BuildOptions {
  /** A git clone of Frame: the folder of package.json. */
  root: string;
  /** FRAME_DATA. */
  dataFolder: string;
  platform: Platform;
  /** Branch, tag or commit. Without one: what is checked out, and then nothing may be uncommitted. */
  ref?: string | undefined;
  /** A commit that no remote has may be built. */
  allowUnpushed?: boolean;
  /** For the packages. Default 900. */
  timeoutSeconds?: number;
  signal?: AbortSignal;
}

/**
 * Chooses the commit to deploy.
 * @throws FrameError `deploy/refused` for one that is not there, not pushed or not what the operator sees
 */
export async function chooseCommit({
  root,
  ref,
  allowUnpushed = false,
}: Pick<BuildOptions, 'root' | 'ref' | 'allowUnpushed'>): Promise<Commit> {
  const commit = await resolveCommit(root, ref);
  if (ref === undefined) await refuseUnclean(root);
  if (!allowUnpushed) await refuseUnpushed(root, commit);
  return commit;
}

/**
 * The release of a commit for one platform, in `releases/<platform>/<id>` below the data folder; built when it is not
 * there. The same commit gives the same bytes, on any laptop and at any time.
 * @throws FrameError `deploy/refused`, `deploy/failed`
 */
export async function buildRelease(options: BuildOptions): Promise<Release> {
  const commit = await chooseCommit(options);
  const releases = join(options.dataFolder, 'releases', nameOf(options.platform));
  const found = await readRelease(join(releases, commit.id));
  if (found) return found;
  const draft = await makeDraft(releases);
  try {
    await extract(commit, draft, options.root);
    await addModules(join(draft, commit.id), {
      cacheFolder: join(options.dataFolder, 'modules'),
      platform: options.platform,
      timeoutSeconds: options.timeoutSeconds ?? 900,
      signal: options.signal,
    });
    const release = await describe(commit, join(draft, commit.id), options.platform);
    return await publish(release, draft, join(releases, commit.id));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

// Private

async function extract(commit: Commit, draft: string, root: string): Promise<void> {
  const folder = join(draft, commit.id);
  const file = join(draft, 'source.tar');
  await archive(root, commit, file);
  await mkdir(folder);
  await chmod(folder, 0o755);
  const { exit, err } = await runProgram('tar', ['-xf', file, '-C', folder]);
  if (exit !== 0) throw new FrameError('deploy/failed', `tar cannot read what git wrote: ${lastLines(err)}`);
  await normaliseModes(folder);
}

async function describe({ id, commit }: Commit, folder: string, platform: Platform): Promise<Release> {
  const manifest = await readManifest(folder).catch(cause => {
    throw new FrameError('deploy/failed', `The commit ${commit.slice(0, 7)} cannot be a release: ${cause.message}`, {
      cause,
    });
  });
  const file: ReleaseFile = {
    release: id,
    commit,
    tree: treeHashOf(manifest),
    platform: nameOf(platform),
    node: await nodeVersionOf(folder),
    schema: { control: await schemaOf(folder, 'control'), entity: await schemaOf(folder, 'entity') },
  };
  await writeFile(join(folder, RELEASE_FILE), releaseText(file), { mode: 0o644 });
  return { id, folder, file, manifest };
}

/** From the migrations of that commit, which may be others than ours. */
async function schemaOf(folder: string, kind: 'control' | 'entity') {
  const path = join(folder, 'src/database/migrations', kind);
  const names = (await readdir(path)).filter(name => /^\d{3}_\w+\.sql$/.test(name));
  const all = await Promise.all(names.map(async name => toMigration(name, await readFile(join(path, name), 'utf8'))));
  const newestOf = (some: Migration[]) => Math.max(0, ...some.map(({ version }) => version));
  return { newest: newestOf(all), breaking: newestOf(all.filter(({ breaking }) => breaking)) };
}

/** What is there already is another build's, and as good as ours, or broken, and makes room. */
async function publish(release: Release, draft: string, folder: string): Promise<Release> {
  for (let attempt = 1; attempt <= 3; attempt++) {
    if (await renameFolder(release.folder, folder)) return { ...release, folder };
    const other = await readRelease(folder);
    if (other) return other;
    await renameFolder(folder, join(draft, `broken-${attempt}`));
  }
  throw new FrameError('deploy/failed', `The release in ${folder} changes while it is read.`);
}
