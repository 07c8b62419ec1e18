import { hkdfSync } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Secret } from '../secret.ts';
import { flushFolder, isDraftOf, makeKeyFile, readKeyFile } from './key-file.ts';
import type { KeyPlace } from './place-keys.ts';

/**
 * The key of an entity (KEK), in a file of its own: whoever destroys the file destroys what its data keys sealed. While
 * it is replaced there are two files, and each data key says which of them wraps it.
 */
export interface EntityKey {
  /** Tells it from every other one, and reveals nothing of it. */
  id: string;
  file: string;
  key: Secret<Buffer>;
}

export type Entity = Pick<KeyPlace, 'customer' | 'entity'>;

/** `<folder>/<customer>/<entity>.key` */
export function keyFileOf(folder: string, { customer, entity }: Entity): string {
  return join(folder, customer, `${entity}.key`);
}

/** Those that are there: the one in force, and the one that is about to replace it. */
export async function readEntityKeys(folder: string, entity: Entity): Promise<EntityKey[]> {
  const files = [keyFileOf(folder, entity), nextFileOf(folder, entity)];
  return (await Promise.all(files.map(read))).flatMap(key => key ?? []);
}

/** Undefined unless somebody is replacing the one in force, or was stopped while doing so. */
export async function readNextEntityKey(folder: string, entity: Entity): Promise<EntityKey | undefined> {
  return await read(nextFileOf(folder, entity));
}

/** The one in force; made if there is none, so never where something is wrapped already. */
export async function makeEntityKey(folder: string, entity: Entity): Promise<EntityKey> {
  return await make(keyFileOf(folder, entity));
}

/** The one that will replace it: new, or left there by whoever was stopped while replacing. */
export async function makeNextEntityKey(folder: string, entity: Entity): Promise<EntityKey> {
  return await make(nextFileOf(folder, entity));
}

/** From now on the next one is the one in force; the old one is gone. */
export async function promoteNextEntityKey(folder: string, entity: Entity): Promise<void> {
  const file = keyFileOf(folder, entity);
  await rename(nextFileOf(folder, entity), file);
  await removeDrafts(folder, entity);
  await flushFolder(dirname(file));
}

/** Both of them, and every copy that was left beside them. Safe to repeat. */
export async function destroyEntityKeys(folder: string, entity: Entity): Promise<void> {
  const file = keyFileOf(folder, entity);
  for (const gone of [file, nextFileOf(folder, entity)]) await rm(gone, { force: true });
  await removeDrafts(folder, entity);
  await flushFolder(dirname(file)).catch(unlessMissing);
}

// Private

function nextFileOf(folder: string, { customer, entity }: Entity): string {
  return join(folder, customer, `${entity}.next.key`);
}

/** Whoever was killed while making a key may have left it under a second name. */
async function removeDrafts(folder: string, entity: Entity): Promise<void> {
  const files = [keyFileOf(folder, entity), nextFileOf(folder, entity)];
  const inFolder = dirname(keyFileOf(folder, entity));
  const names = (await readdir(inFolder).catch(unlessMissing)) ?? [];
  const drafts = names.filter(name => files.some(file => isDraftOf(basename(file), name)));
  for (const draft of drafts) await rm(join(inFolder, draft), { force: true });
}

async function read(file: string): Promise<EntityKey | undefined> {
  const key = await readKeyFile(file);
  return key && { id: idOf(key), file, key };
}

async function make(file: string): Promise<EntityKey> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const key = await makeKeyFile(file);
  return { id: idOf(key), file, key };
}

function idOf(key: Secret<Buffer>): string {
  return Buffer.from(hkdfSync('sha256', key.reveal(), Buffer.alloc(0), 'frame/1/kek-id', 8)).toString('hex');
}

function unlessMissing(thrown: NodeJS.ErrnoException): undefined {
  if (thrown.code !== 'ENOENT') throw thrown;
}
