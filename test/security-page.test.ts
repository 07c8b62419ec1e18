import { existsSync, globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');

/** `test/vault/*`, `test/database/{walls,isolation}.test.ts`: as the pages write them. */
function filesOf(pattern: string): string[] {
  return globSync(pattern.endsWith('*') ? `${pattern}.test.ts` : pattern, { cwd: ROOT });
}

test.each(['docs/security.md', 'docs/personal-data.md', 'SECURITY.md'])(
  '%s names nothing that is not there',
  async page => {
    const text = await readFile(join(ROOT, page), 'utf8');
    const words = Array.from(text.matchAll(/`([^`\s]+)`/g), ([, word = '']) => word);
    const tests = words.filter(word => word.startsWith('test/'));
    const isSource = (word: string) => /^[a-z]+\/([a-z/-]+\.ts)?$/.test(word) && !word.startsWith('test/');
    const sources = words.filter(isSource);
    const patterns = tests.flatMap(expandBraces);
    expect(patterns.filter(pattern => filesOf(pattern).length === 0)).toEqual([]);
    expect(sources.filter(source => !existsSync(join(ROOT, 'src', source)))).toEqual([]);
    const links = Array.from(text.matchAll(/\]\(([^)#:]+)\)/g), ([, link = '']) => link);
    expect(links.filter(link => !existsSync(join(ROOT, page, '..', link)))).toEqual([]);
    if (page === 'docs/security.md') expect([tests.length > 30, sources.length > 15]).toEqual([true, true]);
  },
);

/** Each name of its own, so that one that is missing is not hidden by another. */
function expandBraces(pattern: string): string[] {
  const [, before = '', names, after = ''] = /^([^{]*)\{([^}]*)\}(.*)$/.exec(pattern) ?? [];
  return names === undefined ? [pattern] : names.split(',').map(name => before + name + after);
}
