import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TarFile } from './tar.ts';

/** The laptop's own agent, as it goes to a machine; its name there is the hash of all of it. */
export interface AgentFiles {
  hash: string;
  files: TarFile[];
}

export async function readAgentFiles(folder = join(import.meta.dirname, '../agent')): Promise<AgentFiles> {
  const names = (await readdir(folder, { withFileTypes: true }))
    .filter(entry => entry.isFile())
    .map(({ name }) => name);
  const contents = await Promise.all(
    names.sort().map(async name => [name, await readFile(join(folder, name))] as const),
  );
  const all = [...contents, ['package.json', Buffer.from('{ "type": "module" }\n')] as const];
  const hash = createHash('sha256');
  for (const [name, content] of all) hash.update(`${name} ${content.length}\n`).update(content);
  return {
    hash: hash.digest('hex').slice(0, 16),
    files: all.map(([name, content]) => ({ name, executable: false, size: content.length, read: () => [content] })),
  };
}
