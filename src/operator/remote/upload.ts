import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { FrameError } from '../../errors.ts';
import { type FileEntry, isFile } from '../agent/manifest.ts';
import type { Described } from '../agent/protocol.ts';
import type { Release } from '../release/release.ts';
import { script } from '../ssh.ts';
import type { Ask } from './agent.ts';
import { freshToken, type Machine, runOrFail } from './machine.ts';
import { compress, packTar, type TarFile } from './tar.ts';

export interface UploadOptions {
  /** For what is sent. Default 1800. */
  timeoutSeconds?: number;
}

export type OnProgress = (sentBytes: number, totalBytes: number) => void;

/**
 * Brings a release to a machine. Only contents that no file there has are sent, each once, under the name of its hash;
 * the agent puts the release together, and it has its name when it is whole. What arrived before an interruption is not
 * sent again. Of two uploads of one release, the second finds it there.
 */
export async function uploadRelease(
  machine: Machine,
  ask: Ask,
  release: Release,
  onProgress: OnProgress,
  { timeoutSeconds = 1_800 }: UploadOptions = {},
): Promise<{ sentBytes: number }> {
  const { id, manifest, file } = release;
  const described = { id, manifest, file };
  const offered = await ask('offer', described);
  if (offered.complete) return { sentBytes: 0 };
  const missing = filesOf(release, offered.missing);
  const totalBytes = missing.reduce((sum, { size }) => sum + size, 0);
  refuseFullDisk(machine, totalBytes, offered.freeBytes);
  try {
    if (missing.length > 0) await send(machine, release, missing, onProgress, timeoutSeconds);
    await ask('assemble', described);
    return { sentBytes: totalBytes };
  } catch (thrown) {
    if (!(await isThereByNow(ask, described, thrown))) throw thrown;
    return { sentBytes: totalBytes };
  }
}

// Private

const RECEIVE = script('home', 'id', 'token')`
  umask 022; into="$home/releases/$id.partial/$token";
  mkdir -p "$into" && cd "$into" && exec tar -xzmf -`;

function filesOf({ manifest }: Release, digests: readonly string[]): FileEntry[] {
  const wanted = new Set(digests);
  // Each content once: deleted when it is met.
  return manifest.filter(isFile).filter(({ sha256 }) => wanted.delete(sha256));
}

function refuseFullDisk({ ssh, customer }: Machine, neededBytes: number, freeBytes: number): void {
  if (neededBytes < freeBytes) return;
  const [needed, free] = [neededBytes, freeBytes].map(bytes => `${Math.ceil(bytes / 1e6)} MB`);
  throw new FrameError('deploy/refused', `${ssh.destination} has ${free} free, and the release needs ${needed}.`, {
    hint: `Make room there: \`frame slot cleanup ${customer.id}\` removes old releases.`,
  });
}

async function send(
  { ssh, home }: Machine,
  { id, folder }: Release,
  files: readonly FileEntry[],
  onProgress: OnProgress,
  timeoutSeconds: number,
): Promise<void> {
  const totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  let sentBytes = 0;
  async function* read(path: string): AsyncIterable<Uint8Array> {
    for await (const chunk of createReadStream(join(folder, path))) {
      yield chunk;
      sentBytes += chunk.length;
      onProgress(sentBytes, totalBytes);
    }
  }
  const packed = files.map(
    ({ path, sha256, size, executable }): TarFile => ({ name: sha256, executable, size, read: () => read(path) }),
  );
  const values = { home, id, token: freshToken() };
  const payload = compress(packTar(packed));
  await runOrFail(ssh, 'The release cannot be sent', RECEIVE, values, { payload, timeoutSeconds });
}

/** Another upload of it, that was done first, has taken our folder away. */
async function isThereByNow(ask: Ask, described: Described, thrown: unknown): Promise<boolean> {
  if (thrown instanceof FrameError && thrown.code === 'deploy/unreachable') return false;
  return await ask('offer', described).then(
    ({ complete }) => complete,
    () => false,
  );
}
