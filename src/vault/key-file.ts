import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { WrongConfiguration } from '../errors.ts';
import { Secret } from '../secret.ts';

/** A key of 32 random bytes, in base64, in a file that only its owner may read. */
export const KEY_RECIPE = 'umask 077; openssl rand -base64 32';

/** Undefined when there is no such file. Throws WrongConfiguration when it cannot be used, with what mends it. */
export async function readKeyFile(file: string): Promise<Secret<Buffer> | undefined> {
  const content = await readPrivately(file);
  if (content === undefined) return undefined;
  const text = content.trim();
  const key = Buffer.from(text, 'base64');
  if (key.length === KEY_BYTES && key.toString('base64') === text) return new Secret(key);
  throw wrongKeyFile(file, `must hold ${KEY_BYTES} bytes in base64, as \`${KEY_RECIPE}\` makes them`);
}

/**
 * The key in the file, a new one if there was none: whole under its name or not there, on the disk before this resolves,
 * and never over another. Of two processes that race, both get the first one's.
 */
export async function makeKeyFile(file: string): Promise<Secret<Buffer>> {
  const folder = dirname(file);
  await mkdir(folder, { recursive: true });
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const key = randomBytes(KEY_BYTES).toString('base64');
    await writeFile(draft, `${key}\n`, { mode: 0o600, flag: 'wx', flush: true });
    await link(draft, file).catch(ignoreExisting);
  } finally {
    await rm(draft, { force: true });
  }
  await flushFolder(folder);
  const key = await readKeyFile(file);
  if (key) return key;
  throw wrongKeyFile(file, 'was made and is gone again; leave it there');
}

/** Whether this is the name of a copy that whoever was killed while making the key left behind. */
export function isDraftOf(name: string, other: string): boolean {
  return other.startsWith(`${name}.`) && /^[0-9a-f]{12}$/.test(other.slice(name.length + 1));
}

/** A name that is new, changed or gone survives a loss of power only when its folder is on the disk too. */
export async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

export function wrongKeyFile(file: string, sentence: string): WrongConfiguration {
  return new WrongConfiguration([{ file, sentence }]);
}

// Private

const KEY_BYTES = 32;

/** The rights are those of the file that is read, not of one that replaced it. */
async function readPrivately(file: string): Promise<string | undefined> {
  const handle = await open(file, 'r').catch(explain);
  if (!handle) return undefined;
  try {
    const { mode } = await handle.stat();
    if ((mode & 0o077) !== 0) throw wrongKeyFile(file, `can be read by others; run: chmod 600 ${file}`);
    return await handle.readFile('utf8').catch(explain);
  } finally {
    await handle.close();
  }

  function explain(thrown: NodeJS.ErrnoException): undefined {
    if (thrown.code === 'ENOENT') return undefined;
    throw wrongKeyFile(file, `cannot be read (${thrown.code}); it must be a file of the user who runs Frame`);
  }
}

function ignoreExisting(thrown: NodeJS.ErrnoException): void {
  if (thrown.code !== 'EEXIST') throw thrown;
}
