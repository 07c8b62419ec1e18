import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Who the server runs as, in the form that child_process takes. Empty: as ourselves. */
export interface Identity {
  uid?: number;
  gid?: number;
}

/** Postgres refuses to run as root: then it runs as the owner of the data that is there, else as `nobody`. */
export async function chooseIdentity(clusterFolder: string): Promise<Identity> {
  if (process.getuid?.() !== 0) return {};
  const owner = await stat(clusterFolder).catch(() => undefined);
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const [uid, gid] = await Promise.all([run({}, 'id', ['-u', 'nobody']), run({}, 'id', ['-g', 'nobody'])]);
  return { uid: Number(uid), gid: Number(gid) };
}

/** Runs a program to its end and resolves with what it printed; rejects when it fails. */
export async function run(identity: Identity, program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, {
    ...identity,
    cwd: '/',
    env: { ...process.env, LC_ALL: 'C' },
  });
  return stdout;
}

/** Asked of the system, because only it knows all of owner, group, lists and mounts. */
export async function mayEnter(identity: Identity, folder: string): Promise<boolean> {
  return run(identity, 'test', ['-x', folder]).then(
    () => true,
    () => false,
  );
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM';
  }
}

/** What a process was started as: a pid alone may belong to another program by now. Empty when there is none. */
export async function commandLineOf(pid: number): Promise<string> {
  const linux = readFile(`/proc/${pid}/cmdline`, 'utf8').then(line => line.replaceAll('\0', ' '));
  return linux.catch(() => run({}, 'ps', ['-ww', '-o', 'command=', '-p', String(pid)])).catch(() => '');
}
