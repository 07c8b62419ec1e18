import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

const agent = join(import.meta.dirname, '../../../src/operator/agent');

test('the agent imports only Node and the files beside it', async () => {
  const names = (await readdir(agent)).filter(name => name.endsWith('.ts'));
  const strangers: string[] = [];
  for (const name of names) {
    const source = await readFile(join(agent, name), 'utf8');
    // Imports of types alone are gone when it runs.
    const values = source.replaceAll(/^(import|export) type [^;]*;/gm, '');
    for (const [, from = ''] of values.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)['"]([^'"\s]+)['"]/g)) {
      const isOurs = from.startsWith('node:') || (/^\.\/[^/]+$/.test(from) && names.includes(from.slice(2)));
      if (!isOurs) strangers.push(`${name}: ${from}`);
    }
  }
  expect(strangers).toEqual([]);
});

test('the agent runs where there is nothing but its folder, and loads every verb', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'frame-agent-'));
  try {
    await cp(agent, join(folder, 'agent'), { recursive: true });
    const verbs = ['offer', 'assemble', 'activate', 'promote', 'rollback', 'cleanup', 'inspect', 'provision'];
    for (const verb of verbs) {
      const child = spawn(process.execPath, [join(folder, 'agent/main.ts'), join(folder, 'home')], { cwd: folder });
      child.stdin.end(`${JSON.stringify({ verb, by: 'anna', dryRun: false })}\n`);
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
      // It has no machine to work on, and says so in its own words.
      expect([verb, out.split('\n').at(-2), err]).toEqual([verb, expect.stringMatching(/^\{"kind":"refusal"/), '']);
      expect(out).not.toMatch(/Cannot find (module|package)/);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
