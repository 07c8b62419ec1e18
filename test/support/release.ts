import { execFile } from 'node:child_process';
import { cp, lstat, mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { buildRelease } from '../../src/operator/release/build.ts';
import type { Platform } from '../../src/operator/release/platform.ts';
import type { Release } from '../../src/operator/release/release.ts';
import { makeDataFolder } from './data-folder.ts';

/** A git clone of Frame as it stands in this work tree, committed or not. */
export interface Repository extends AsyncDisposable {
  root: string;
  git(...args: string[]): Promise<string>;
  /** Writes files (undefined: removes them) and commits them. The same content at the same place is the same commit. */
  commit(files: Readonly<Record<string, string | undefined>>): Promise<string>;
}

/**
 * Shared by all tests: packages are installed once, and a release is built once. Never write into it. Not below
 * node_modules, where Node runs no TypeScript.
 */
export const RELEASES_DATA = join(import.meta.dirname, '../../.frame/test-releases');

export const THIS_PLATFORM = { os: process.platform, cpu: process.arch } as Platform;

export async function makeRepository(): Promise<Repository> {
  const root = await makeDataFolder();
  const env: NodeJS.ProcessEnv = { PATH: process.env.PATH, HOME: root, GIT_CONFIG_NOSYSTEM: '1', ...WHO };
  const git = async (...args: string[]) => (await promisify(execFile)('git', args, { cwd: root, env })).stdout.trim();
  let commits = 0;
  const repository: Repository = {
    root,
    git,
    async commit(files) {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(root, path)), { recursive: true });
        await (text === undefined ? rm(join(root, path)) : writeFile(join(root, path), text));
      }
      commits += 1;
      env.GIT_AUTHOR_DATE = env.GIT_COMMITTER_DATE = `${FIRST_COMMIT + commits} +0000`;
      await git('add', '--all');
      await git('commit', '--quiet', '--allow-empty', '--message', `Commit ${commits}`);
      return await git('rev-parse', 'HEAD');
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
  for (const path of COPIED) await cp(join(here, path), join(root, path), { recursive: true });
  await git('init', '--quiet', '--initial-branch=main');
  await repository.commit({});
  return repository;
}

/** The release of a commit, or of this work tree as it stands. */
export async function buildForTests(repository?: Repository, ref = 'HEAD'): Promise<Release> {
  if (repository) return await build(repository, ref);
  await using own = await makeRepository();
  return await build(own, ref);
}

// Private

async function build({ root }: Repository, ref: string): Promise<Release> {
  const release = await buildRelease({ ...WHERE, root, ref, allowUnpushed: true });
  await utimes(release.folder, new Date(), new Date());
  await removeOld(dirname(release.folder));
  return release;
}

/** Every change of the sources is a release of its own. */
async function removeOld(releases: string): Promise<void> {
  for (const name of await readdir(releases)) {
    const stat = await lstat(join(releases, name)).catch(() => undefined);
    if (stat && stat.mtimeMs < Date.now() - A_DAY_MS) await rm(join(releases, name), { recursive: true, force: true });
  }
}

const A_DAY_MS = 86_400_000;

const here = join(import.meta.dirname, '../..');
const COPIED = ['src', 'config', 'package.json', 'package-lock.json', 'scripts/frame', 'customers.yaml', '.gitignore'];
const WHERE = { dataFolder: RELEASES_DATA, platform: THIS_PLATFORM };
const FIRST_COMMIT = 1_790_000_000;
const WHO: Record<string, string> = {
  GIT_AUTHOR_NAME: 'Frame',
  GIT_AUTHOR_EMAIL: 'frame@example.com',
  GIT_COMMITTER_NAME: 'Frame',
  GIT_COMMITTER_EMAIL: 'frame@example.com',
};
