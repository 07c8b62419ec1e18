import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FrameHome, type FrameProcess, freePorts, makeFrameHome } from '../support/frame-process.ts';
import { customersYaml } from './companies.ts';
import { createSignIn, type SignIn } from './sign-in.ts';

/** What a person does on the first day, by the official clients against `frame start`: nothing of it is ours. */
interface StoryClient {
  list(): Promise<{ tools: { name: string }[] }>;
  call(name: string, args?: Row): Promise<Row>;
  close(): Promise<void>;
}

type Row = Record<string, unknown>;

const NORDWIND_CLIENT = '6f0c0000-0000-4000-8000-00000000000b';

let home: FrameHome;
let port: number;
let running: FrameProcess;
const axe = () => new URL(`http://127.0.0.1:${port}/frame/mcp`);
const nordwind = () => new URL(`http://localhost:${port}/frame/mcp`);

beforeAll(async () => {
  home = await makeFrameHome(customersYaml('http://127.0.0.1:1'));
  port = await freePorts();
  running = await start();
});

afterAll(() => home?.remove());

async function start(): Promise<FrameProcess> {
  const starting = home.start(['start'], { env: { FRAME_LISTEN: `127.0.0.1:${port}` } });
  await starting.until(/Ctrl-C stops everything/);
  return starting;
}

async function token(username: string): Promise<string> {
  const { out } = await home.run(['token', username]);
  return out.trim();
}

type Connect = (url: URL, signIn: SignIn) => Promise<StoryClient>;

const CLIENTS: [string, Connect, string][] = [
  ['client 2.x at 2026-07-28', connectNew, 'story_new'],
  ['sdk 1.x of the 2025 era', connectOld, 'story_old'],
];

async function connectNew(url: URL, authProvider: SignIn): Promise<StoryClient> {
  const open = async () => {
    const client = new Client(
      { name: 'story', version: '2.0' },
      { versionNegotiation: { mode: { pin: '2026-07-28' } } },
    );
    const transport = new StreamableHTTPClientTransport(url, { authProvider });
    return { client, transport, error: await client.connect(transport).then(() => undefined, String) };
  };
  let { client, transport, error } = await open();
  if (error) {
    await transport.finishAuth(authProvider.callback());
    ({ client, transport, error } = await open());
  }
  if (error) throw new Error(error);
  return {
    list: () => client.listTools(),
    call: (name, args) => client.callTool({ name, arguments: args }),
    close: () => client.close(),
  };
}

async function connectOld(url: URL, authProvider: SignIn): Promise<StoryClient> {
  const open = async () => {
    const client = new OldClient({ name: 'story', version: '1.0' });
    const transport = new OldTransport(url, { authProvider });
    return { client, transport, error: await client.connect(transport).then(() => undefined, String) };
  };
  let { client, transport, error } = await open();
  if (error) {
    await transport.finishAuth(authProvider.callback().get('code') ?? '');
    ({ client, transport, error } = await open());
  }
  if (error) throw new Error(error);
  return {
    list: () => client.listTools(),
    call: (name, args) => client.callTool({ name, arguments: args }),
    close: () => client.close(),
  };
}

/** The result of a tool that has to work. */
async function use(client: StoryClient, name: string, args: Row = {}): Promise<Row> {
  const { isError, structuredContent, content } = await client.call(name, args);
  expect(isError, JSON.stringify(content)).toBeFalsy();
  expect(content).toEqual([{ type: 'text', text: JSON.stringify(structuredContent) }]);
  return structuredContent as Row;
}

describe.each(CLIENTS)('%s', (_, connect, clientName) => {
  const table = clientName.replace('story', 'orders');
  const place = { entity: 'axe', environment: 'dev' };
  let client: StoryClient;
  let signIn: SignIn;

  beforeAll(async () => {
    signIn = createSignIn('ai@axellc.com', clientName);
    client = await connect(axe(), signIn);
  });

  afterAll(() => client?.close());

  test('was sent to sign in with everything it learned from the challenge, and nobody told it more', () => {
    const [sent] = signIn.sentTo;
    const { scope, resource, ...others } = Object.fromEntries(sent?.searchParams ?? []);
    expect(`${sent?.origin}${sent?.pathname}`).toBe(`${axe().origin}/authorize`);
    expect(scope?.split(' ')).toEqual(expect.arrayContaining(['frame:read', 'frame:write']));
    expect(resource).toBe(axe().href);
    expect(others).toMatchObject({ code_challenge_method: 'S256', client_id: expect.stringMatching(/^fc_/) });
    expect(signIn.sentTo).toHaveLength(1);
  });

  test('sees all tools', async () => {
    const { tools } = await client.list();
    expect(tools.map(({ name }) => name)).toEqual([
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
    ]);
  });

  test('learns who it works for', async () => {
    expect(await use(client, 'get_context')).toMatchObject({
      customer: 'AXE LLC',
      role: 'admin',
      person: { username: 'ai@axellc.com' },
    });
  });

  test('makes a table in two steps', async () => {
    const columns = [
      { name: 'number', type: 'integer', required: true, unique: true },
      { name: 'total', type: 'numeric', check: { min: 0 } },
      { name: 'note', type: 'text' },
    ];
    const plan = await use(client, 'plan_change', { ...place, changes: [{ create_table: { name: table, columns } }] });
    expect(JSON.stringify(plan.statements)).toContain(table);
    expect(await client.call('select_rows', { ...place, table })).toMatchObject({
      isError: true,
      structuredContent: { code: 'table/not-found' },
    });
    expect(await use(client, 'apply_change', { ...place, plan: plan.plan })).toMatchObject({
      version: expect.any(Number),
    });
    expect(JSON.stringify(await use(client, 'describe_tables', { ...place, tables: [table] }))).toContain('total');
  });

  test('fills it, once, however often it asks', async () => {
    const rows = Array.from({ length: 120 }, (_, i) => ({ number: i, total: `${i}.50`, note: i % 2 ? 'odd' : null }));
    const args = { ...place, table, rows, idempotency_key: `fill ${table}` };
    const first = await use(client, 'insert_rows', args);
    expect(first.count).toBe(120);
    expect(await use(client, 'insert_rows', args)).toMatchObject({ ids: first.ids, replayed: true });
  });

  test('reads it to the end, page by page', async () => {
    const numbers: unknown[] = [];
    let pages = 0;
    let cursor: unknown;
    do {
      const args = { ...place, table, columns: ['number'], order_by: ['-number'], limit: 50, count: true };
      const page = await use(client, 'select_rows', { ...args, ...(cursor !== undefined && { cursor }) });
      numbers.push(...(page.rows as unknown[][]).map(([number]) => number));
      expect(page.total).toBe(120);
      expect(page.truncated).toBe(page.next_cursor !== undefined);
      cursor = page.next_cursor;
      pages += 1;
    } while (cursor !== undefined);
    expect(numbers).toEqual(Array.from({ length: 120 }, (_, i) => 119 - i));
    expect(pages).toBe(3);
  });

  test('changes and deletes, and is stopped when more is meant than was said', async () => {
    const where = { number: { lt: 10 } };
    const tooMany = await client.call('update_rows', { ...place, table, where, set: { note: 'x' } });
    expect(tooMany).toMatchObject({ isError: true, structuredContent: { code: 'row/too-many-matches' } });
    const args = { ...place, table, where, set: { note: 'small' }, max_rows: 10 };
    expect(await use(client, 'update_rows', { ...args, dry_run: true })).toMatchObject({ count: 10, dry_run: true });
    expect(await use(client, 'update_rows', args)).toMatchObject({ count: 10 });
    expect(await use(client, 'delete_rows', { ...place, table, where: { note: 'small' }, max_rows: 10 })).toMatchObject(
      { count: 10 },
    );
    expect(await use(client, 'select_rows', { ...place, table, count: true, limit: 1 })).toMatchObject({ total: 110 });
  });

  test('finds all of it in the audit', async () => {
    const { entries } = await use(client, 'search_audit', { actor: 'ai@axellc.com' });
    const mine = (entries as Row[]).filter(entry => entry.client === clientName);
    const done = mine.map(({ tool, phase, outcome }) => `${tool} ${phase} ${outcome ?? ''}`.trim());
    expect(done.toReversed()).toEqual(
      expect.arrayContaining([
        'plan_change call ok',
        'apply_change intent',
        'apply_change outcome ok',
        'insert_rows intent',
        'insert_rows outcome ok',
        'select_rows call refused',
        'select_rows call ok',
        'update_rows outcome refused',
        'update_rows outcome ok',
        'delete_rows outcome ok',
      ]),
    );
    expect(JSON.stringify(mine)).not.toContain('"odd"');
  });

  test('gets a new token by itself when the old one is no good any more', async () => {
    const before = signIn.tokens();
    expect(before?.refresh_token).toMatch(/^frame_rt_/);
    signIn.saveTokens({ access_token: 'worn.out.token', token_type: 'Bearer' });
    expect(await use(client, 'get_context')).toMatchObject({ role: 'admin' });
    expect(signIn.tokens()?.access_token).not.toBe('worn.out.token');
    expect(signIn.sentTo).toHaveLength(1);
  });

  test('a viewer does not see what writes, and cannot call it', async () => {
    const viewer = await connect(axe(), createSignIn('vic@axellc.com', clientName));
    const { tools } = await viewer.list();
    expect(tools.map(({ name }) => name)).toEqual(['get_context', 'describe_tables', 'select_rows', 'run_sql']);
    const args = { table: 'clients', rows: [{ name: 'x' }] };
    const answers = await Promise.all(
      ['insert_rows', 'insert_cows'].map(name =>
        viewer.call(name, args).then(
          () => 'done',
          ({ code, message }) => [code, message],
        ),
      ),
    );
    expect(answers[0]).toEqual([-32602, expect.stringContaining('Unknown tool: insert_rows')]);
    expect(JSON.stringify(answers[0]).replace('insert_rows', 'insert_cows')).toBe(JSON.stringify(answers[1]));
    await viewer.close();
  });

  test('the token of one company is none at the other', async () => {
    const nora = createSignIn('nora@nordwind.example', clientName, NORDWIND_CLIENT);
    const there = await connect(nordwind(), nora);
    expect(await use(there, 'get_context')).toMatchObject({ customer: 'Nordwind GmbH' });
    const [sent] = nora.sentTo;
    expect(sent?.origin).toBe(`http://127.0.0.1:${port + 1}`);
    expect(sent?.searchParams.get('scope')?.split(' ')).toContain(`${nordwind().href}/access_as_user`);
    await there.close();
    const answer = await fetch(axe(), {
      method: 'POST',
      headers: { authorization: `Bearer ${nora.tokens()?.access_token}`, 'content-type': 'application/json' },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });
});

test('the welcome names everything that one needs', async () => {
  const text = running.output();
  for (const wanted of [
    axe().href,
    nordwind().href,
    'claude mcp add',
    'inspector',
    'ai@axellc.com',
    'ole@nordwind.example',
  ]) {
    expect(text).toContain(wanted);
  }
  const printed = /ai@axellc\.com\n {2}(frame_at_\S+)/.exec(text)?.[1] ?? '';
  for (const text of [printed, await token('ai@axellc.com')]) {
    const reply = await fetch(axe(), {
      method: 'POST',
      headers: { authorization: `Bearer ${text}`, 'content-type': 'application/json' },
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}',
    });
    expect(reply.status).toBe(200);
  }
});

test('a second one on the same folder is told that the first one runs', async () => {
  const { exit, err } = await home.run(['start'], { env: { FRAME_LISTEN: `127.0.0.1:${port}` } });
  expect([exit, err]).toEqual([75, expect.stringContaining('running already')]);
  expect((await fetch(`http://127.0.0.1:${port}/frame/ready`)).status).toBe(200);
});

test('it stops on Ctrl-C, and everything is there at the next start, tokens too', async () => {
  const earlier = await token('ai@axellc.com');
  expect(await running.stop('SIGINT')).toBe(0);
  running = await start();
  const reply = await fetch(axe(), {
    method: 'POST',
    headers: { authorization: `Bearer ${earlier}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: {
        name: 'select_rows',
        arguments: { entity: 'axe', environment: 'dev', table: 'orders_new', count: true, limit: 1 },
      },
    }),
  });
  expect(await reply.json()).toMatchObject({ result: { structuredContent: { total: 110 } } });
});
