import { existsSync } from 'node:fs';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, findFreePort, runToEnd, startChild } from './child.ts';
import { anyItem, SELECT } from './items.ts';
import type { Asking } from './load.ts';
import type { Stage } from './stage.ts';
import { bodyOf, type Era, headersOf } from './tool-call.ts';

/** Another MCP server on the same Postgres with the same SELECT. It checks no token, keeps no audit, and is superuser. */
export interface Peer {
  child: Child;
  asking: Asking;
}

/** @toolbox-sdk/server, its own binary: the launcher around it would only add memory. */
export async function startToolbox({ folder, databaseUrl }: Stage): Promise<Peer> {
  const home = await install('@toolbox-sdk/server', '1.12.0');
  const { hostname: host, port: databasePort, username: user, password, pathname } = new URL(databaseUrl);
  const source = { kind: 'postgres', host, port: databasePort, user, password, database: pathname.slice(1) };
  const tool = {
    kind: 'postgres-sql',
    source: 'shop',
    description: DESCRIPTION,
    statement: SELECT,
    parameters: [NUMBER],
  };
  const config = join(folder, 'toolbox.yaml');
  // JSON is YAML.
  await writeFile(config, JSON.stringify({ sources: { shop: source }, tools: { [TOOL]: tool } }));
  const port = await findFreePort();
  const program = join(home, `node_modules/@toolbox-sdk/server-${process.platform}-${process.arch}/bin/toolbox`);
  const args = ['--config', config, '--port', `${port}`, '--disable-version-check'];
  return start({ program, args, folder }, port, 'modern');
}

/** @bytebase/dbhub, on our Node. It knows the 2025 revisions only. */
export async function startDbhub({ folder, databaseUrl }: Stage): Promise<Peer> {
  const home = await install('@bytebase/dbhub', '1.4.0');
  const config = join(folder, 'dbhub.toml');
  await writeFile(
    config,
    `[[sources]]
id = "shop"
dsn = "${databaseUrl}?sslmode=disable"

[[tools]]
name = "${TOOL}"
source = "shop"
description = "${DESCRIPTION}"
statement = "${SELECT}"

[[tools.parameters]]
name = "${NUMBER.name}"
type = "${NUMBER.type}"
description = "${NUMBER.description}"
`,
  );
  const port = await findFreePort();
  const program = join(home, 'node_modules/@bytebase/dbhub/dist/index.js');
  const options = ['--transport', 'http', '--host', '127.0.0.1', '--port', `${port}`, '--config', config];
  return start({ program: process.execPath, args: [program, ...options], folder }, port, '2025');
}

/** Our own bare tool (bare-tool.ts). */
export async function startBareTool({ folder }: Stage): Promise<Peer> {
  const port = await findFreePort();
  const program = join(import.meta.dirname, 'bare-tool.ts');
  return start({ program: process.execPath, args: [program, `${port}`], folder }, port, 'modern', () => ({
    number: 1,
    name: 'Item 1.',
  }));
}

// Private

const TOOL = 'get_item';
const DESCRIPTION = 'One item by its number';
const NUMBER = { name: 'number', type: 'integer', description: 'Its number' };

async function start(
  options: Parameters<typeof startChild>[0],
  port: number,
  era: Era,
  nextItem: () => { number: number; name: string } = anyItem,
): Promise<Peer> {
  const asking: Asking = {
    url: `http://127.0.0.1:${port}/mcp`,
    headers: [headersOf(era, TOOL)],
    next() {
      const { number, name } = nextItem();
      return { body: bodyOf(era, TOOL, { number }), expect: name };
    },
  };
  return { child: await startChild(options, asking), asking };
}

/** Once for all runs, outside the project: peers are no dependencies of ours. Their install scripts do not run. */
async function install(name: string, version: string): Promise<string> {
  const cache = join(tmpdir(), `frame-bench-peers-${process.getuid?.()}`);
  await mkdir(cache, { recursive: true, mode: 0o700 });
  // Whoever made the folder before us could have put any program into it.
  if ((await stat(cache)).uid !== process.getuid?.()) throw new Error(`${cache} belongs to somebody else`);
  const home = join(cache, `${name.replaceAll(/[@/]/g, '_')}-${version}`);
  // npm writes this file last.
  if (existsSync(join(home, 'node_modules/.package-lock.json'))) return home;
  console.error(`Installing ${name} ${version} into ${home} …`);
  await mkdir(home, { recursive: true });
  await writeFile(join(home, 'package.json'), '{ "private": true }');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await runToEnd('npm', ['install', ...flags, `${name}@${version}`], home);
  return home;
}
