import { randomBytes } from 'node:crypto';
import { chown, lstat, mkdtemp, readdir, readFile, realpath, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unavailable, WrongConfiguration } from '../errors.ts';
import { Secret } from '../secret.ts';
import { findBinaries } from './embedded-binaries.ts';
import { chooseIdentity, type Identity, isAlive, mayEnter, run } from './embedded-process.ts';

/** One embedded server at rest: its files, and what it takes to run it. */
export interface Cluster {
  /** `<dataFolder>/postgres`, or what that links to: holds `data`, `password` and `postgres.log`. */
  folder: string;
  data: string;
  password: Secret;
  identity: Identity;
  /** The `postgres` program. */
  program: string;
}

export const SUPERUSER = 'postgres';

/** The cluster that is there, or a new one. Safe to race: the first complete one wins, the others take it. */
export async function prepareCluster(dataFolder: string): Promise<Cluster> {
  const path = join(dataFolder, 'postgres');
  const identity = await chooseIdentity(join(path, 'data'));
  const binaries = await findBinaries(identity);
  if (!(await exists(path))) await createCluster(path, binaries.initdb, identity);
  return { ...(await readCluster(path)), identity, program: binaries.postgres };
}

// Private

const exists = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  );

async function readCluster(path: string): Promise<Pick<Cluster, 'folder' | 'data' | 'password'>> {
  try {
    const folder = await realpath(path);
    const password = await readFile(join(folder, 'password'), 'utf8');
    return { folder, data: join(folder, 'data'), password: new Secret(password) };
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const sentence = `The embedded database in ${path} cannot be read (${reason}). Removing it loses its data.`;
    throw new WrongConfiguration([{ file: 'FRAME_DATA', sentence }]);
  }
}

/** Made complete beside its place, then moved there: a crash leaves a draft behind, never half a cluster. */
async function createCluster(path: string, initdb: string, identity: Identity): Promise<void> {
  await removeDeadDrafts(path);
  const parent = join(path, '..');
  const inPlace = await mayEnter(identity, parent);
  // The server's user cannot enter folders like /root: then the files lie outside, and a link says where.
  const draft = await mkdtemp(inPlace ? `${path}.draft-${process.pid}-` : '/var/tmp/frame-postgres-data-');
  try {
    await initialise(draft, initdb, identity);
    await (inPlace ? rename(draft, path) : symlink(draft, path));
  } catch (thrown) {
    await rm(draft, { recursive: true, force: true });
    if (await exists(path)) return;
    throw unavailable('The embedded database cannot be created.', { hint: String(thrown), cause: thrown });
  }
}

async function initialise(folder: string, initdb: string, identity: Identity): Promise<void> {
  const password = join(folder, 'password');
  await writeFile(password, randomBytes(24).toString('base64url'), { mode: 0o600 });
  const { uid, gid } = identity;
  if (uid !== undefined && gid !== undefined) {
    await chown(password, uid, gid);
    await chown(folder, uid, gid);
  }
  await run(identity, initdb, [
    `--pgdata=${join(folder, 'data')}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${password}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // The same order and case rules on every machine and in every release, whatever its C library knows.
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--locale=C',
  ]);
}

/** What a kill in the middle of initdb left behind. */
async function removeDeadDrafts(path: string): Promise<void> {
  const parent = join(path, '..');
  for (const name of await readdir(parent)) {
    const pid = /^postgres\.draft-(\d+)-/.exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) await rm(join(parent, name), { recursive: true, force: true });
  }
}
