import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLIENTS } from '../mcp/clients.ts';
import { type FrameHome, type FrameProcess, freePorts, makeFrameHome } from '../support/frame-process.ts';

let home: FrameHome;
let demo: FrameProcess;
let port: number;
let env: Record<string, string>;

beforeAll(async () => {
  home = await makeFrameHome('');
  port = await freePorts();
  env = { FRAME_LISTEN: `127.0.0.1:${port}` };
  demo = home.start(['start'], { env });
  await demo.until(/Ctrl-C stops everything/);
});
afterAll(() => home?.remove());

const [, connect] = CLIENTS[0] ?? [];
const frame = (...args: string[]) => home.run(args, { env });

async function toolsOf(url: string, token: string): Promise<string[]> {
  const client = await connect?.(url, token);
  const listed = await client?.list();
  await client?.close();
  return listed?.tools.map(({ name }) => name) ?? [];
}

describe('npm start', () => {
  test('shows both ways to sign in, and a token for everybody who is let in', () => {
    const shown = demo.output();
    expect(shown).toContain(`http://127.0.0.1:${port}/frame/mcp   AXE LLC, programs sign in at Frame`);
    expect(shown).toContain(`http://localhost:${port}/frame/mcp   Nordwind GmbH, programs sign in at Entra`);
    expect(shown.match(/^ {2}frame_at_[\w-]{43}$/gm)).toHaveLength(4);
    expect(shown.match(/^ {2}eyJ[\w-]+\.[\w-]+\.[\w-]+$/gm)).toHaveLength(2);
    expect(shown).toMatch(/gus_partner\S+\n {2}none: not let in/);
  });

  test('the tokens work where they belong, and nowhere else', async () => {
    const [broker = ''] = /frame_at_[\w-]{43}/.exec(demo.output()) ?? [];
    const [direct = ''] = /eyJ[\w-]+\.[\w-]+\.[\w-]+/.exec(demo.output()) ?? [];
    expect(await toolsOf(`http://127.0.0.1:${port}`, broker)).toContain('apply_change');
    expect(await toolsOf(`http://localhost:${port}`, direct)).toContain('apply_change');
    await expect(toolsOf(`http://localhost:${port}`, broker)).rejects.toThrow();
    await expect(toolsOf(`http://127.0.0.1:${port}`, direct)).rejects.toThrow();
  });
});

describe('frame token', () => {
  test('signs in at the gateway', async () => {
    const { exit, out } = await frame('token', 'Vic@axellc.com', '--json');
    expect(exit).toBe(0);
    const { customer, token } = JSON.parse(out);
    expect(customer).toBe('axe');
    const tools = await toolsOf(`http://127.0.0.1:${port}`, token);
    expect(tools).toContain('select_rows');
    expect(tools).not.toContain('insert_rows');
  });

  test('is made by the stand-in where people sign in at Entra', async () => {
    const { out } = await frame('token', 'ole@nordwind.example');
    expect(await toolsOf(`http://localhost:${port}`, out.trim())).toContain('select_rows');
  });

  test.each([
    ['gus_partner.example#EXT#@axellc.com', 'is not let in'],
    ['nobody@axellc.com', 'knows nobody called'],
  ])('%s gets none', async (email, words) => {
    const { exit, out, err } = await frame('token', email);
    expect([exit, out]).toEqual([1, '']);
    expect(err).toContain(words);
  });

  test('says that the gateway does not run', async () => {
    await demo.stop();
    const { exit, err } = await frame('token', 'vic@axellc.com');
    expect(exit).toBe(1);
    expect(err).toContain('npm start');
  });
});
