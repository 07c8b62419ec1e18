import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { codeOf, isMissing } from './durable.ts';

/** One process, and no other that gets its number later. */
export interface Life {
  pid: number;
  /** When it started, in the words of this system; only good for being compared. */
  started: string;
}

/**
 * Undefined for one that is no more.
 * @throws when this system cannot be asked now: whoever took that for dead would break the lock of a living one
 */
export async function lifeOf(pid: number, platform = process.platform): Promise<Life | undefined> {
  const started = await startOf(pid, platform);
  return started === undefined ? undefined : { pid, started };
}

export async function isAlive({ pid, started }: Life): Promise<boolean> {
  return (await startOf(pid, process.platform)) === started;
}

/** Empty when there is none. */
export async function commandLineOf(pid: number, platform = process.platform): Promise<string> {
  if (platform !== 'linux') return await ps(pid, ['command']);
  return ((await readProc(`${pid}/cmdline`)) ?? '').replaceAll('\0', ' ').trim();
}

/** False when it is gone already. */
export function signal({ pid }: Life, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

// Private

/** A zombie is no more: it holds no lock and no port. */
async function startOf(pid: number, platform: NodeJS.Platform): Promise<string | undefined> {
  if (!Number.isSafeInteger(pid) || pid <= 1) return undefined;
  return platform === 'linux' ? await startOnLinux(pid) : await startFromPs(pid);
}

/** Ticks since the boot, so the boot belongs to it. */
async function startOnLinux(pid: number): Promise<string | undefined> {
  const stat = (await readProc(`${pid}/stat`)) ?? '';
  // The second field is the name of the program, in brackets, and may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, ticks] = [fields[0], fields[19]];
  if (!ticks || state === 'Z' || state === 'X') return undefined;
  const boot = (await readProc('sys/kernel/random/boot_id')) ?? '';
  return `${ticks} ${boot.trim()}`;
}

/** Undefined when there is no such process, or none any more while it is read. */
async function readProc(path: string): Promise<string | undefined> {
  return await readFile(`/proc/${path}`, 'utf8').catch(thrown => {
    if (isMissing(thrown) || codeOf(thrown) === 'ESRCH') return undefined;
    throw thrown;
  });
}

async function startFromPs(pid: number): Promise<string | undefined> {
  const [, state = '', started] = /^(\S+)\s+(.+)$/.exec(await ps(pid, ['stat', 'lstart'])) ?? [];
  return state.startsWith('Z') ? undefined : started;
}

/** One column per -o: what stands behind the first `=` is a heading to BSD. */
async function ps(pid: number, columns: readonly string[]): Promise<string> {
  const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
  const flags = ['-ww', ...columns.flatMap(column => ['-o', `${column}=`]), '-p', `${pid}`];
  return await promisify(execFile)('ps', flags, { env, timeout: PS_MS, killSignal: 'SIGKILL' }).then(
    ({ stdout }) => stdout.trim(),
    thrown => {
      // So it says that there is none; else it was not asked at all, or did not answer.
      if (thrown.code === 1) return '';
      throw new Error(`\`ps\` does not say whether process ${pid} lives: ${thrown.message.trim()}`, { cause: thrown });
    },
  );
}

const PS_MS = 10_000;
