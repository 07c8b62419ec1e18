import { globSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

const src = join(import.meta.dirname, '../src');

/** Floors of docs/architecture.md: a room imports only from floors below it, and rooms on one floor never meet. */
const FLOORS: Record<string, number> = {
  ground: 0,
  config: 1,
  customers: 1,
  database: 2,
  vault: 3,
  audit: 3,
  access: 4,
  tables: 4,
  sql: 4,
  tools: 5,
  mcp: 6,
  rest: 6,
  broker: 6,
  operator: 6,
  http: 7,
  gateway: 8,
  demo: 8,
  // The composition root: it alone may know its two neighbours of the top floor, which never meet each other.
  main: 9,
};

/** Single files that everybody may use: together they are one room, the ground. */
const GROUND = new Set(['address', 'did-you-mean', 'errors', 'observe', 'secret', 'yaml-file', 'yaml-source']);

/** Packages that only certain places may know. */
const KEEPERS: Record<string, RegExp> = {
  jose: /^(access|vault|demo)\//,
  pino: /^observe\.ts$/,
  'prom-client': /^observe\.ts$/,
  child_process: /^(database\/embedded|operator\/(program\.ts|agent\/))/,
  postgres: /^database\//,
  'libpg-query': /^sql\//,
  '@modelcontextprotocol/server': /^mcp\//,
};

interface Import {
  from: string;
  to: string;
}

const files = globSync('**/*.ts', { cwd: src }).sort();
const imports = files.flatMap(file => readImports(file));

/** Static, dynamic and type imports, and re-exports. */
function readImports(from: string): Import[] {
  const text = readFileSync(join(src, from), 'utf8');
  const specifiers = text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)['"]([^'"\s]+)['"]/g);
  return [...specifiers].map(([, to = '']) => ({
    from,
    to: to.startsWith('.') ? relative(src, join(src, dirname(from), to)) : to,
  }));
}

const isInside = ({ to }: Import) => to.endsWith('.ts') && !to.startsWith('..');

function roomOf(file: string): string {
  const name = file.includes('/') ? file.slice(0, file.indexOf('/')) : file.replace(/\.ts$/, '');
  return GROUND.has(name) ? 'ground' : name;
}

describe('the floors', () => {
  test('every room stands on a floor', () => {
    expect(files.map(roomOf).filter(room => !(room in FLOORS))).toEqual([]);
  });

  test('a room imports only from floors below it', () => {
    const climbing = imports
      .filter(isInside)
      .filter(({ from, to }) => roomOf(from) !== roomOf(to))
      .filter(({ from, to }) => (FLOORS[roomOf(from)] ?? -1) <= (FLOORS[roomOf(to)] ?? 99));
    expect(climbing).toEqual([]);
  });

  test('no file reaches itself through its imports', () => {
    expect(files.filter(file => reach(file).has(file))).toEqual([]);
  });

  test('the gateway never meets the demonstration', () => {
    expect([...reach('gateway.ts')].filter(file => roomOf(file) === 'demo')).toEqual([]);
  });
});

describe('the packages', () => {
  test.each(Object.entries(KEEPERS))('%s is known to its keepers only', (name, keepers) => {
    const strangers = imports
      .filter(({ to }) => to === name || to === `node:${name}` || to.startsWith(`${name}/`))
      .filter(({ from }) => !keepers.test(from));
    expect(strangers).toEqual([]);
  });

  test('every package is a dependency of package.json', () => {
    const { dependencies } = JSON.parse(readFileSync(join(src, '../package.json'), 'utf8'));
    const names = imports
      .map(({ to }) => to)
      .filter(to => !to.startsWith('.') && !to.startsWith('node:') && !to.endsWith('.ts') && !to.endsWith('.json'))
      .map(to => to.split('/', to.startsWith('@') ? 2 : 1).join('/'));
    expect([...new Set(names)].filter(name => !(name in dependencies) || builtinModules.includes(name))).toEqual([]);
  });
});

describe('the names', () => {
  test('no room or file has a name that says nothing', () => {
    const empty = /(^|\/)(utils?|helpers?|common|misc|shared|managers?|services?|index)(\/|\.ts$)/;
    expect(files.filter(file => empty.test(file))).toEqual([]);
  });

  test('a file has at most 400 lines', () => {
    expect(files.filter(file => readFileSync(join(src, file), 'utf8').split('\n').length > 400)).toEqual([]);
  });
});

function reach(file: string, seen = new Set<string>()): Set<string> {
  for (const { to } of imports.filter(({ from }) => from === file).filter(isInside)) {
    if (seen.has(to)) continue;
    seen.add(to);
    reach(to, seen);
  }
  return seen;
}
