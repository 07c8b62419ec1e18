import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/**
 * Puts `src/main.ts` of a tiny release into this folder. It leads to a few lines of JavaScript that load the one program
 * of all of them, which Node has compiled once: hundreds of these are started in a run.
 */
export async function writeTinyProgram(release: string): Promise<void> {
  await mkdir(join(release, 'src'), { recursive: true });
  await writeFile(join(release, 'src/main.mjs'), STUB);
  await symlink('main.mjs', join(release, 'src/main.ts'));
}

/** Of all runs: on a machine, a folder beside the agent stands for it. */
export const COMPILED = join(import.meta.dirname, '../../../.frame/test-compiled');

// Private

const PROGRAM = pathToFileURL(join(import.meta.dirname, 'tiny-release.ts'));
const STUB = `import { enableCompileCache } from 'node:module';
enableCompileCache(${JSON.stringify(COMPILED)});
await import(${JSON.stringify(PROGRAM)});
`;
