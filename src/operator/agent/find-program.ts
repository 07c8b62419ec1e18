import { access, constants, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** The program of that name in PATH, or where Homebrew puts it: a login that is no terminal has a short PATH. */
export async function findProgram(name: string): Promise<string | undefined> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...HOMEBREW, ...(await findKegs())];
  for (const folder of folders.filter(Boolean)) {
    const program = join(folder, name);
    if (await isExecutable(program)) return program;
  }
  return undefined;
}

// Private

const HOMEBREW = ['/opt/homebrew/bin', '/usr/local/bin'];
const KEGS = '/opt/homebrew/opt';

/** Homebrew links no Postgres of a named version into its bin; the newest first. */
async function findKegs(): Promise<string[]> {
  const kegs = await readdir(KEGS).catch(() => []);
  const postgres = kegs.filter(name => /^(postgresql@\d+|libpq)$/.test(name));
  return postgres
    .sort()
    .reverse()
    .map(name => join(KEGS, name, 'bin'));
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
