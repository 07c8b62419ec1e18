import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { commandLineOf, isAlive, run } from '../../src/database/embedded-process.ts';

/** A folder for the embedded server of a test, which a server that root runs as `nobody` can enter too. */
export async function makeDataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `frame-test-${process.pid}-`));
  await chmod(folder, 0o711);
  return folder;
}

/** With the server that may still run on it. Not by SIGKILL: that would leave its shared memory to the machine. */
export async function removeDataFolder(folder: string): Promise<void> {
  const pid = Number.parseInt(await readFile(join(folder, 'postgres/data/postmaster.pid'), 'utf8').catch(() => ''), 10);
  if (pid && (await commandLineOf(pid)).includes(folder)) {
    for (const signal of ['SIGCONT', 'SIGQUIT'] as const) sendSignal(pid, signal);
    while ((await commandLineOf(pid)).includes(folder)) await pause(10);
  }
  await unmountBelow(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** What a killed test run left behind. */
export async function removeDeadDataFolders(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = /^frame-test-(\d+)-/.exec(name)?.[1];
    if (pid && !isAlive(Number(pid))) await removeDataFolder(join(tmpdir(), name));
  }
}

export function sendSignal(pid: number, signal: NodeJS.Signals): void {
  // Zero and below would be this whole run.
  if (!(pid > 1)) throw new Error(`${pid} is no process of a test.`);
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile.
  }
}

// Private

async function unmountBelow(folder: string): Promise<void> {
  const mounts = await readFile('/proc/mounts', 'utf8').catch(() => '');
  const points = mounts.split('\n').map(line => line.split(' ')[1] ?? '');
  for (const point of points.filter(name => name.startsWith(`${folder}/`))) await run({}, 'umount', ['--lazy', point]);
}
