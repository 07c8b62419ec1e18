import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A numbered file of migrations/control or migrations/entity. It runs inside a transaction, so it has no COMMIT. */
export interface Migration {
  version: number;
  /** The file's name without `.sql`. */
  name: string;
  /** Line one says `-- breaking`: an older release must not run on a schema that has it. */
  breaking: boolean;
  /** With the placeholders `:schema`, `:own`, `:rw` and `:ro`. */
  text: string;
  checksum: string;
}

/** In the order of their numbers. */
export async function readMigrations(folder: 'control' | 'entity'): Promise<Migration[]> {
  const files = (await readdir(join(MIGRATIONS, folder))).filter(file => /^\d{3}_\w+\.sql$/.test(file)).sort();
  return await Promise.all(
    files.map(async file => toMigration(file, await readFile(join(MIGRATIONS, folder, file), 'utf8'))),
  );
}

export function toMigration(file: string, text: string): Migration {
  return {
    version: Number.parseInt(file, 10),
    name: file.slice(0, -'.sql'.length),
    breaking: /^-- breaking\b/.test(text),
    text,
    checksum: createHash('sha256').update(text).digest('hex'),
  };
}

// Private

const MIGRATIONS = join(import.meta.dirname, 'migrations');
