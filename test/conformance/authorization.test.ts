import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agreeAndSignIn, createBrowser } from '../broker/browser.ts';
import { ADA, openWorld, type World } from '../broker/world.ts';
import { freePorts } from '../support/frame-process.ts';

/** The conformance suite against the authorization server. It waits for a person at a browser: here a script is one. */
const program = join(import.meta.dirname, '../../node_modules/@modelcontextprotocol/conformance/dist/index.js');

let world: World;
let folder: string;

beforeAll(async () => {
  [world, folder] = await Promise.all([openWorld(), mkdtemp(join(tmpdir(), 'frame-conformance-'))]);
});
afterAll(async () => {
  await world?.close();
  await rm(folder, { recursive: true, force: true });
});

test('metadata and code grant: every check of every scenario passes', async () => {
  const port = await freePorts();
  const client = await world.clients.register(
    { client_name: 'conformance', redirect_uris: [`http://127.0.0.1:${port}/callback`] },
    '127.0.0.1',
  );
  const { exit, output } = await runSuite(String(client.client_id), port);
  expect(resultsOf()).toEqual({
    'authorization-server-metadata-endpoint:authorization-server-metadata': 'SUCCESS',
    'authorization-server-metadata-endpoint:authorization-server-metadata-cimd': 'SUCCESS',
    'authorization-code-grant:authorization-code-grant': 'SUCCESS',
  });
  expect(exit, output).toBe(0);
});

test('these are all scenarios that there are', async () => {
  const { output } = await run(['list', '--authorization']);
  const listed = [...output.matchAll(/^ {2}- ([\w-]+)/gm)].map(([, name]) => name);
  const ran = new Set(Object.keys(resultsOf()).map(check => check.split(':')[0]));
  expect(new Set(listed)).toEqual(ran);
});

/** The person opens what it prints. */
async function runSuite(clientId: string, port: number) {
  const { origin, resource } = world;
  const what = ['--url', origin, '--client-id', clientId, '--resource', resource, '--port', String(port)];
  return run(['authorization', ...what, '--output-dir', folder], line => {
    if (line.startsWith(`${origin}/authorize?`)) void signIn(line);
  });
}

async function signIn(url: string): Promise<void> {
  const browser = createBrowser();
  const back = await browser.open(await agreeAndSignIn(browser, await browser.open(url), ADA));
  await browser.open(back.location);
}

async function run(args: readonly string[], onLine: (line: string) => void = () => {}) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    onLine(line);
  }
  const [exit] = await ended;
  return { exit, output: lines.join('\n') };
}

/** Every check as `scenario:check`, and how it ended. */
function resultsOf(): Record<string, string> {
  const results: Record<string, string> = {};
  for (const file of globSync('*/checks.json', { cwd: folder })) {
    const scenario = dirname(file).replace(/^authorization-server-(.*)-\d{4}-\d\d-\d\dT.*$/, '$1');
    const checks: { id: string; status: string }[] = JSON.parse(readFileSync(join(folder, file), 'utf8'));
    for (const { id, status } of checks) results[`${scenario}:${id}`] = status;
  }
  return results;
}
