import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { WrongConfiguration } from '../errors.ts';
import { Secret } from '../secret.ts';

/**
 * The master key: 32 random bytes, in base64, in a file that only its owner may read. `mayCreate` makes a missing one,
 * which is right on a first local start only: a new key opens nothing that an old one sealed.
 * @throws WrongConfiguration that says how to mend it.
 */
export async function readMasterKey(file: string, mayCreate: boolean): Promise<Secret<Buffer>> {
  const content = (await readPrivately(file)) ?? (mayCreate ? await create(file) : undefined);
  if (content === undefined) {
    throw wrong(file, `is not there; restore it, or make one for a new installation: ${RECIPE} > ${file}`);
  }
  const text = content.trim();
  const key = Buffer.from(text, 'base64');
  if (key.length !== KEY_BYTES || key.toString('base64') !== text) {
    throw wrong(file, `must hold ${KEY_BYTES} bytes in base64, as \`${RECIPE}\` makes them`);
  }
  return new Secret(key);
}

// Private

const KEY_BYTES = 32;
const RECIPE = `umask 077; openssl rand -base64 ${KEY_BYTES}`;

/** Undefined when there is no such file. The rights are those of the file that is read, not of one that replaced it. */
async function readPrivately(file: string): Promise<string | undefined> {
  const handle = await open(file, 'r').catch(explain);
  if (!handle) return undefined;
  try {
    const { mode } = await handle.stat();
    if ((mode & 0o077) !== 0) throw wrong(file, `can be read by others; run: chmod 600 ${file}`);
    return await handle.readFile('utf8').catch(explain);
  } finally {
    await handle.close();
  }

  function explain(thrown: NodeJS.ErrnoException): undefined {
    if (thrown.code === 'ENOENT') return undefined;
    throw wrong(file, `cannot be read (${thrown.code}); it must be a file of the user who runs Frame`);
  }
}

/** A whole key under its name or none, and never over another: of two processes that race, both get the first one's. */
async function create(file: string): Promise<string | undefined> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const key = randomBytes(KEY_BYTES).toString('base64');
    await writeFile(draft, `${key}\n`, { mode: 0o600, flag: 'wx', flush: true });
    await link(draft, file).catch(ignoreExisting);
  } finally {
    await rm(draft, { force: true });
  }
  return await readPrivately(file);
}

function ignoreExisting(thrown: NodeJS.ErrnoException): void {
  if (thrown.code !== 'EEXIST') throw thrown;
}

function wrong(file: string, sentence: string): WrongConfiguration {
  return new WrongConfiguration([{ file, sentence }]);
}
