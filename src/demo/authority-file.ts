import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the stand-in Entra of a data folder listens, for `frame token` and a second `npm start` in other processes. */
export async function noteAuthority(dataFolder: string, authority: string): Promise<void> {
  await mkdir(dataFolder, { recursive: true });
  const draft = `${fileIn(dataFolder)}.${process.pid}`;
  await writeFile(draft, JSON.stringify({ authority, pid: process.pid }));
  await rename(draft, fileIn(dataFolder));
}

/** Undefined when there never was one. */
export async function readAuthority(dataFolder: string): Promise<string | undefined> {
  return (await readNote(dataFolder))?.authority;
}

/** Whether the process that wrote it still runs, and answers there: a process id alone may belong to another one by now. */
export async function isAuthorityAlive(dataFolder: string): Promise<boolean> {
  const note = await readNote(dataFolder);
  if (!note || note.pid === process.pid || !isProcess(note.pid)) return false;
  return await fetch(note.authority, { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'manual' }).then(
    () => true,
    () => false,
  );
}

// Private

/** Who has ended refuses at once; who is only busy is waited for. */
const ANSWER_MS = 5000;
const fileIn = (dataFolder: string) => join(dataFolder, 'entra-authority.json');

async function readNote(dataFolder: string): Promise<{ authority: string; pid: number } | undefined> {
  const text = await readFile(fileIn(dataFolder), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

function isProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}
