import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A program of others that is too large to be a dependency: installed when it is first needed, and kept for later runs. */
export interface OutsideProgram {
  /** For titles: says why when tests are skipped. */
  title: string;
  /** The script that Node runs, or undefined when it cannot be installed. */
  script?: string;
}

/** `entry`: the script inside the package. */
export async function installOutsideProgram(name: string, version: string, entry: string): Promise<OutsideProgram> {
  const title = `${name} ${version}`;
  try {
    const folder = join(await keptFolder(), `${name.replace(/\W+/g, '-')}-${version}`);
    const script = join(folder, 'node_modules', name, entry);
    if (!existsSync(script)) await install(`${name}@${version}`, folder, script);
    return { title, script };
  } catch (error) {
    return { title: `${title} (skipped: ${reasonIn(String(error))})` };
  }
}

/** Where such programs are kept. Its name can be guessed: whoever made it first could have put a program of theirs in it. */
export async function keptFolder(): Promise<string> {
  const { uid } = userInfo();
  const folder = join(tmpdir(), `frame-outside-programs-${uid}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found = await lstat(folder);
  if (found.isDirectory() && found.uid === uid && (found.mode & 0o022) === 0) return folder;
  throw new Error(`${folder} is not a folder that only this user writes to`);
}

// Private

const INSTALL_TIMEOUT_MS = 180_000;

/** Two runs may do so at once: each makes a copy of its own, and the first one to be complete stays. */
async function install(wanted: string, folder: string, script: string): Promise<void> {
  const copy = await mkdtemp(`${folder}-`);
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--fetch-retries=0'];
  try {
    await promisify(execFile)('npm', ['install', ...flags, '--prefix', copy, wanted], { timeout: INSTALL_TIMEOUT_MS });
    await rename(copy, folder).catch(error => {
      if (!existsSync(script)) throw error;
    });
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** npm names a code first, and then says what happened. */
function reasonIn(message: string): string {
  return /^npm error (?!code|errno|syscall)(.+)$/m.exec(message)?.[1] ?? message.split('\n')[0] ?? '';
}
