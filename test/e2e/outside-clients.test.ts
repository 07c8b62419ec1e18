import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { type FrameHome, freePorts, makeFrameHome } from '../support/frame-process.ts';
import { installOutsideProgram } from '../support/outside-program.ts';
import { customersYaml } from './companies.ts';
import { walk } from './sign-in.ts';

/** Programs that people really use, each signed in as `ai@axellc.com` from nothing but the address of the company. */
const REMOTE = await installOutsideProgram('mcp-remote', '0.15.1', 'dist/proxy.js');
const INSPECTOR = await installOutsideProgram(
  '@modelcontextprotocol/inspector',
  '2.12.0',
  'clients/launcher/build/index.js',
);

const TIMEOUT_MS = 60_000;
const TOOLS = [
  'get_context',
  'describe_tables',
  'select_rows',
  'run_sql',
  'reveal',
  'insert_rows',
  'update_rows',
  'delete_rows',
  'plan_change',
  'apply_change',
  'search_audit',
];

let home: FrameHome;
let url: string;
let env: Record<string, string>;

beforeAll(async () => {
  home = await makeFrameHome(customersYaml('http://127.0.0.1:1'));
  env = await environment(home.folder);
  const port = await freePorts();
  url = `http://127.0.0.1:${port}/frame/mcp`;
  await home.start(['start'], { env: { FRAME_LISTEN: `127.0.0.1:${port}` } }).until(/Ctrl-C stops everything/);
});

afterAll(() => home?.remove());

test.skipIf(!REMOTE.script)(
  `${REMOTE.title} signs in at a browser and passes on what its client asks`,
  async () => {
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [REMOTE.script ?? '', url],
      env,
      stderr: 'pipe',
    });
    const client = new Client({ name: 'outside', version: '1.0' });
    onTestFinished(() => client.close());
    await Promise.all([client.connect(transport), signInAt(transport.stderr as Readable)]);
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(TOOLS);
    expect(await client.callTool({ name: 'get_context' })).toMatchObject({
      structuredContent: { customer: 'AXE LLC', role: 'admin', person: { username: 'ai@axellc.com' } },
    });
  },
  TIMEOUT_MS,
);

test.skipIf(!INSPECTOR.script)(
  `${INSPECTOR.title} signs in at a browser and lists the tools`,
  async () => {
    const callback = ['--callback-url', 'http://127.0.0.1:0/oauth/callback'];
    const ask = ['--cli', url, '--transport', 'http', ...callback, '--method', 'tools/list'];
    const child = spawn(process.execPath, [INSPECTOR.script ?? '', ...ask], {
      cwd: home.folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'close');
    onTestFinished(async () => {
      child.kill();
      await ended;
    });
    const [answer] = await Promise.all([text(child.stdout), signInAt(child.stderr)]);
    const { tools } = ToolList.parse(JSON.parse(answer));
    expect(tools.map(({ name }) => name)).toEqual(TOOLS);
    expect(await ended).toEqual([0, null]);
  },
  TIMEOUT_MS,
);

const ToolList = z.object({ tools: z.array(z.object({ name: z.string() })) });

/** Everything that they keep stays in `folder`, and the browser that they open does nothing: a test reads where it leads. */
async function environment(folder: string): Promise<Record<string, string>> {
  const bin = join(folder, 'bin');
  await mkdir(bin);
  for (const opener of ['open', 'xdg-open']) await symlink('/usr/bin/true', join(bin, opener));
  return {
    PATH: `${bin}:${process.env.PATH}`,
    HOME: folder,
    BROWSER: 'true',
    MCP_REMOTE_CONFIG_DIR: join(folder, 'remote'),
    MCP_AUTO_OPEN_ENABLED: 'true',
    MCP_INSPECTOR_SECRET_STORE: 'file',
  };
}

/** Goes where the program asks its user to go, and back to the program. */
async function signInAt(stderr: Readable): Promise<void> {
  const back = await walk(await addressIn(stderr), 'ai@axellc.com');
  // Programs say where to sign in before they listen for the way back, and no person is as quick as this.
  const arrive = () =>
    fetch(back).then(
      ({ status }) => status,
      () => 'nobody listens yet',
    );
  await expect.poll(arrive).toBe(200);
}

function addressIn(stderr: Readable): Promise<URL> {
  return new Promise((resolve, reject) => {
    let said = '';
    stderr.setEncoding('utf8').on('data', (more: string) => {
      said += more;
      const address = /(http:\S+\/authorize\?\S+)\s/.exec(said)?.[1];
      if (address) resolve(new URL(address));
    });
    stderr.once('end', () => reject(new Error(`ended without an address to sign in at:\n${said}`)));
  });
}
