import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join, posix, relative } from 'node:path';
import type { Manifest, ReleaseFile } from './protocol.ts';

/** What a release consists of, said the same way on both ends. */

export type Entry = Manifest[number];
export type FileEntry = Extract<Entry, { kind: 'file' }>;

export const isFile = (entry: Entry) => entry.kind === 'file';

export const RELEASE_FILE = 'release.json';
export const RELEASE_ID = /^\d{8}T\d{6}Z-[0-9a-f]{7}$/;

/**
 * The manifest of a folder, read to the last byte.
 * @throws Error for what no release may contain: other modes, devices, links that lead out of it
 */
export async function readManifest(folder: string): Promise<Manifest> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = names
    .filter(entry => !entry.isDirectory())
    .map(entry => relative(folder, join(entry.parentPath, entry.name)))
    .filter(path => path !== RELEASE_FILE)
    .sort();
  const manifest = await inTurns(paths, path => readEntry(folder, path));
  checkManifest(manifest);
  return manifest;
}

/** The content hash of a release. */
export function treeHashOf(manifest: Manifest): string {
  const hash = createHash('sha256');
  for (const entry of manifest) {
    const rest = entry.kind === 'file' ? [entry.executable, entry.size, entry.sha256] : [entry.target];
    hash.update(`${JSON.stringify([entry.path, entry.kind, ...rest])}\n`);
  }
  return hash.digest('hex');
}

/** release.json, byte for byte. */
export function releaseText(file: ReleaseFile): string {
  return `${JSON.stringify(file, null, 2)}\n`;
}

/** The first difference, as the end of a sentence; undefined when they are the same. */
export function differenceOf(found: Manifest, wanted: Manifest): string | undefined {
  const others = new Map(found.map(entry => [entry.path, entry]));
  for (const entry of wanted) {
    const other = others.get(entry.path);
    if (!other) return `${entry.path} is missing`;
    if (treeHashOf([other]) !== treeHashOf([entry])) return `${entry.path} is not as it was built`;
    others.delete(entry.path);
  }
  const [extra] = others.keys();
  return extra === undefined ? undefined : `${extra} does not belong to it`;
}

/**
 * Nothing that is made by this manifest may come to lie, or lead, outside of its folder. A link leads to a file of the
 * manifest by the shortest way: then no folder on any path is a link, and `..` means what it seems to mean.
 * @throws Error
 */
export function checkManifest(manifest: Manifest): void {
  const files = new Set(manifest.filter(isFile).map(({ path }) => path));
  const all = new Set(manifest.map(({ path }) => path));
  let last = '';
  for (const entry of manifest) {
    const { path } = entry;
    if (!isPlainPath(path) || path === RELEASE_FILE) refuse(path, 'is no path inside a release');
    if (path <= last) refuse(path, 'is not in the order of paths');
    if (foldersOf(path).some(folder => all.has(folder))) refuse(path, 'is below something that is no folder');
    if (entry.kind === 'file') checkFile(entry);
    else if (!files.has(targetOf(entry.path, entry.target))) refuse(path, 'leads to no file of the release');
    last = path;
  }
}

/** sha256 of a file, in hex. */
export async function digestOf(file: string, size: number): Promise<string> {
  const hash = createHash('sha256');
  if (size < WHOLE_BYTES) return hash.update(await readFile(file)).digest('hex');
  for await (const chunk of createReadStream(file, { highWaterMark: WHOLE_BYTES })) hash.update(chunk);
  return hash.digest('hex');
}

/** `work` for each, a few at a time: a release has thousands of files, a process may open a few hundred. */
export async function inTurns<T, R>(all: readonly T[], work: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let i = 0; i < all.length; i += AT_ONCE) {
    results.push(...(await Promise.all(all.slice(i, i + AT_ONCE).map(work))));
  }
  return results;
}

// Private

async function readEntry(folder: string, path: string): Promise<Entry> {
  const file = join(folder, path);
  const stat = await lstat(file);
  if (stat.isSymbolicLink()) return { path, kind: 'link', target: await readlink(file) };
  const mode = stat.mode & 0o7777;
  if (!stat.isFile()) refuse(path, 'is neither a file nor a link');
  if (mode !== 0o644 && mode !== 0o755) refuse(path, `has the mode ${mode.toString(8)} instead of 644 or 755`);
  return { path, kind: 'file', executable: mode === 0o755, size: stat.size, sha256: await digestOf(file, stat.size) };
}

function isPlainPath(path: unknown): path is string {
  return (
    typeof path === 'string' &&
    path.split('/').every(part => part !== '' && part !== '.' && part !== '..') &&
    !path.includes('\0')
  );
}

function foldersOf(path: string): string[] {
  const parts = path.split('/').slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'));
}

function checkFile({ path, executable, size, sha256 }: FileEntry): void {
  if (typeof executable !== 'boolean' || !Number.isSafeInteger(size) || size < 0 || !/^[0-9a-f]{64}$/.test(sha256)) {
    refuse(path, 'is not described as a file is');
  }
}

/** Inside the release; empty when the target is not written as the shortest way there. */
function targetOf(path: string, target: string): string {
  const inside = posix.join(posix.dirname(path), String(target));
  return posix.relative(posix.dirname(path), inside) === target ? inside : '';
}

function refuse(path: unknown, why: string): never {
  throw new Error(`${JSON.stringify(path)} ${why}.`);
}

const WHOLE_BYTES = 1_048_576;
const AT_ONCE = 32;
