import { createHash, randomUUID } from 'node:crypto';
import { link, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Refused } from './deed.ts';
import { codeOf, isMissing, readIfThere, writeAndSync } from './durable.ts';
import { isAlive, lifeOf } from './processes.ts';
import { readWritten } from './written.ts';

/** Who works on this machine. */
export interface Holder {
  token: string;
  pid: number;
  started: string;
  verb: string;
  by: string;
  at: string;
}

export interface Lock {
  token: string;
  /** Whose lock it was before: one that is dead, or was forced. */
  broken?: Holder;
  /** False once somebody else broke it by force. */
  isHeld(): Promise<boolean>;
  release(): Promise<void>;
}

export interface LockWish {
  verb: string;
  by: string;
  /** Break it even though its holder lives. */
  force?: boolean;
}

/** @throws Refused (75) naming who holds it. */
export async function takeLock(file: string, { verb, by, force = false }: LockWish): Promise<Lock> {
  const self = await lifeOf(process.pid);
  // Without it everybody would take us for dead.
  if (!self) throw new Error('This system does not say when a process started.');
  const token = randomUUID();
  const mine: Holder = { ...self, token, verb, by, at: new Date().toISOString() };
  const fresh = `${file}.${token}`;
  try {
    await writeAndSync(fresh, JSON.stringify(mine)).catch(thrown => {
      throw isMissing(thrown) ? notPrepared(file) : thrown;
    });
    const broken = await occupy(file, file, fresh, force);
    const isHeld = async () => (await readHolder(file))?.holder.token === token;
    return {
      token,
      broken,
      isHeld,
      async release() {
        if (await isHeld()) await rm(file, { force: true });
      },
    };
  } finally {
    await rm(fresh, { force: true });
  }
}

export async function readLock(file: string): Promise<(Holder & { alive: boolean }) | undefined> {
  const found = await readHolder(file);
  return found && { ...found.holder, alive: await isAlive(found.holder) };
}

export function secondsSince(at: string): number {
  return Math.max(0, Math.round((Date.now() - Date.parse(at)) / 1000)) || 0;
}

// Private

/**
 * Puts a whole file at `path`. One that a dead holder left is replaced by a rename, and only by whoever owns the claim on
 * exactly that file: of many racers one gets it. The claim is itself a lock, for its owner may die too. Who claims what
 * was replaced meanwhile sees other contents, and starts again.
 */
async function occupy(lock: string, path: string, fresh: string, force: boolean): Promise<Holder | undefined> {
  for (;;) {
    if (await isLinked(fresh, path)) return undefined;
    const found = await readHolder(path);
    if (!found) continue;
    if (!force && (await isAlive(found.holder))) throw locked(found.holder);
    const claim = `${lock}.${found.key}`;
    await occupy(lock, claim, fresh, force);
    if ((await readHolder(path))?.key === found.key) {
      await rename(claim, path);
      return found.holder;
    }
    await rm(claim, { force: true });
  }
}

async function isLinked(fresh: string, path: string): Promise<boolean> {
  try {
    await link(fresh, path);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

async function readHolder(path: string): Promise<{ holder: Holder; key: string } | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  return { holder: toHolder(text), key: createHash('sha256').update(text).digest('hex').slice(0, 32) };
}

/** What nobody can read has no living holder. */
function toHolder(text: string): Holder {
  return readWritten<Holder>(text, SHAPE) ?? NOBODY;
}

const SHAPE = {
  token: 'string',
  pid: 'number',
  started: 'string',
  verb: 'string',
  by: 'string',
  at: 'string',
} as const;
const NOBODY: Holder = { token: '', pid: 0, started: '', verb: 'unknown', by: 'nobody known', at: '' };

function locked({ by, verb, at, pid }: Holder): Refused {
  return new Refused({
    code: 'deploy/locked',
    message: `${by} holds the lock of this machine: \`${verb}\`, for ${secondsSince(at)} s (process ${pid}).`,
    hint: 'Wait until it is done. --force breaks the lock, and what it stood for stops before its next step.',
    exit: 75,
  });
}

/** No refusal that history could hold: there is no place for one. */
function notPrepared(file: string): Error {
  return new Error(`This machine is not prepared: there is no folder ${dirname(file)}. \`frame provision\` makes it.`);
}
