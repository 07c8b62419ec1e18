import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { callTool, post } from '../http/client.ts';
import { createFixtureDoor, type FixtureDoor, type Gateway, startGateway } from '../http/fixture.ts';
import { type AnyClient, CLIENTS } from './clients.ts';

let gateway: Gateway;
let door: FixtureDoor;

beforeAll(async () => {
  door = createFixtureDoor();
  gateway = await startGateway({ door });
});

beforeEach(() => {
  door.calls.length = 0;
  gateway.observations.length = 0;
});

afterAll(() => gateway?.stop());

describe.each(CLIENTS)('%s', (_, connect) => {
  let client: AnyClient;

  beforeAll(async () => {
    client = await connect(gateway.url);
  });

  afterAll(() => client?.close());

  test('learns who answers and how to work here', () => {
    expect(client.server()).toMatchObject({ name: 'frame', version: 'r1' });
    expect(client.instructions()).toContain('get_context');
    expect(client.instructions()?.length).toBeLessThanOrEqual(2048);
  });

  test('lists the tools in the order of the door', async () => {
    const { tools } = await client.list();
    expect(tools.map(({ name }) => name)).toEqual(['echo', 'wait', 'refuse', 'outage', 'defect']);
    expect(tools[0]).toMatchObject({
      title: 'echo',
      annotations: { readOnlyHint: true, openWorldHint: false },
      outputSchema: { type: 'object' },
    });
  });

  test('gets the same as structure and as text', async () => {
    const args = { text: 'Grüße, \u0000 and 😀', nested: [{ a: [null, 1.5] }] };
    const { structuredContent, content, isError } = await client.call('echo', args);
    expect(structuredContent).toEqual({ args });
    expect(content).toEqual([{ type: 'text', text: JSON.stringify({ args }) }]);
    expect(isError).toBeFalsy();
  });

  test('gets the error of a tool as a result that the model reads', async () => {
    const { isError, structuredContent, content } = await client.call('refuse');
    const shown = {
      code: 'table/no-such-column',
      message: 'There is no column `totl`.',
      hint: 'Did you mean `total`?',
      retryable: false,
    };
    expect({ isError, structuredContent }).toEqual({ isError: true, structuredContent: shown });
    expect(content).toEqual([{ type: 'text', text: JSON.stringify(shown) }]);
  });

  test('gets -32602 for a tool that does not exist', async () => {
    await expect(client.call('drop_everything')).rejects.toMatchObject({
      code: -32602,
      message: expect.stringContaining('Unknown tool: drop_everything'),
    });
  });

  test('gets HTTP 503 when the database cannot be reached', async () => {
    await expect(client.call('outage')).rejects.toThrow('The database cannot be reached.');
  });

  test('sees nothing of a defect but the request id', async () => {
    const result = await client.call('defect');
    expect(result).toMatchObject({
      isError: true,
      structuredContent: { code: 'internal', request_id: expect.any(String) },
    });
    expect(JSON.stringify(result)).not.toContain('SECRET');
    expect(gateway.observations).toContainEqual(expect.objectContaining({ kind: 'crash-averted' }));
  });

  test('that leaves ends its call', async () => {
    const waiting = door.nextWaiting();
    const other = await connect(gateway.url);
    const call = other.call('wait').catch(() => 'gave up');
    const { request } = await waiting;
    await other.close();
    expect(await call).toBe('gave up');
    if (!request.signal.aborted) await once(request.signal, 'abort');
  });

  test('is known to the door by its name', async () => {
    await client.call('echo');
    expect(door.calls[0]?.request.client).toMatch(/^(probe\/1\.2\.3|node)$/);
    expect(door.calls[0]?.caller.customer.id).toBe('axe');
  });

  test('is not served without a good token', async () => {
    await expect(connect(gateway.url, 'forged')).rejects.toThrow();
    expect(door.calls).toEqual([]);
  });
});

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'probe', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
const modern = (method: string, params = {}, id: unknown = 1) =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: META } });
const headersFor = (method: string, name?: string) => ({
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': method,
  ...(name && { 'mcp-name': name }),
});

// In 2025 giving up is a message of its own, which names the call by a number that other sessions use, too.
test.each(CLIENTS.slice(0, 2))('%s that gives up ends its call', async (_, connect) => {
  const client = await connect(gateway.url);
  const waiting = door.nextWaiting();
  const giveUp = new AbortController();
  const call = client.call('wait', {}, giveUp.signal).catch(() => 'gave up');
  const { request } = await waiting;
  giveUp.abort();
  expect(await call).toBe('gave up');
  if (!request.signal.aborted) await once(request.signal, 'abort');
  await client.close();
});

describe('the wire at 2026-07-28', () => {
  test.each(['tools/list', 'server/discover'])('%s may be kept for a minute, by its caller alone', async method => {
    const { status, body } = await post(gateway, modern(method), headersFor(method));
    expect(status).toBe(200);
    expect(JSON.parse(body).result).toMatchObject({ ttlMs: 60_000, cacheScope: 'private' });
  });

  test('offers tools and nothing else', async () => {
    const { body } = await post(gateway, modern('server/discover'), headersFor('server/discover'));
    expect(JSON.parse(body).result).toMatchObject({ capabilities: { tools: {} }, supportedVersions: ['2026-07-28'] });
    expect(JSON.parse(body).result.capabilities.tools).toEqual({});
  });

  test.each([
    ['another tool in the header', headersFor('tools/call', 'echo'), -32020],
    ['another method in the header', headersFor('tools/list', 'refuse'), -32020],
    ['no name in the header', headersFor('tools/call'), -32020],
    [
      'another version in the header',
      { ...headersFor('tools/call', 'refuse'), 'mcp-protocol-version': '2025-11-25' },
      -32020,
    ],
    ['no headers at all', {}, -32020],
  ])('%s: 400, and nothing is called', async (_, headers, code) => {
    const { status, body } = await post(gateway, modern('tools/call', { name: 'refuse' }), headers);
    expect([status, JSON.parse(body).error.code]).toEqual([400, code]);
    expect(door.calls).toEqual([]);
  });

  test('a revision that is not ours', async () => {
    const text = modern('tools/list').replace('2026-07-28', '2031-01-01');
    const { status, body } = await post(gateway, text, {
      ...headersFor('tools/list'),
      'mcp-protocol-version': '2031-01-01',
    });
    expect([status, JSON.parse(body).error.code]).toEqual([400, -32022]);
  });

  test('a method that is not ours is 404', async () => {
    const { status, body } = await post(gateway, modern('prompts/list'), headersFor('prompts/list'));
    expect([status, JSON.parse(body).error.code]).toEqual([404, -32601]);
  });

  test('an outage is 503 with the JSON-RPC error', async () => {
    const reply = await post(
      gateway,
      modern('tools/call', { name: 'outage' }, 'my-id'),
      headersFor('tools/call', 'outage'),
    );
    expect(reply.status).toBe(503);
    expect(reply.headers).toMatchObject({ 'retry-after': '7', 'content-type': 'application/json' });
    expect(reply.headers).not.toHaveProperty('www-authenticate');
    expect(JSON.parse(reply.body)).toEqual({
      jsonrpc: '2.0',
      id: 'my-id',
      error: {
        code: -32000,
        message: 'The database cannot be reached.',
        data: { code: 'unavailable', message: 'The database cannot be reached.', retryable: true },
      },
    });
  });
});

describe('the wire in 2025', () => {
  test('answers are JSON, whatever covers it in Accept', async () => {
    for (const accept of [
      'application/json, text/event-stream',
      'application/json',
      '*/*',
      'application/*;q=0.5',
      'text/event-stream, */*',
    ]) {
      const { status, headers } = await post(gateway, callTool('echo'), { accept });
      expect([status, headers['content-type']]).toEqual([200, 'application/json']);
    }
    expect((await post(gateway, callTool('echo'))).status).toBe(200);
    expect((await post(gateway, callTool('echo'), { accept: 'text/html' })).status).toBe(406);
  });

  test('there is no session, and one that is sent does not matter', async () => {
    const initialize = JSON.stringify({
      jsonrpc: '2.0',
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'probe', version: '1' } },
    });
    const { headers, body } = await post(gateway, initialize);
    expect(headers).not.toHaveProperty('mcp-session-id');
    expect(JSON.parse(body).result.protocolVersion).toBe('2025-06-18');
    expect((await post(gateway, callTool('echo'), { 'mcp-session-id': 'made-up' })).status).toBe(200);
  });

  test('notifications and answers to nothing are 202 without a body', async () => {
    for (const message of [
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } },
      { jsonrpc: '2.0', id: 1, result: {} },
    ]) {
      expect(await post(gateway, JSON.stringify(message))).toMatchObject({ status: 202, body: '' });
    }
  });

  test('batches are answered as a whole', async () => {
    const batch = `[${callTool('echo', {}, 1)},${callTool('outage', {}, 2)},${callTool('nothing', {}, 3)}]`;
    const { status, body } = await post(gateway, batch);
    expect(status).toBe(200);
    expect(
      JSON.parse(body).map(({ id, error }: { id: number; error?: { code: number } }) => [id, error?.code]),
    ).toEqual([
      [1, undefined],
      [2, -32000],
      [3, -32602],
    ]);
  });

  test('a batch has at most ten messages, and makes its calls one after the other', async () => {
    const echoes = (count: number) => `[${Array.from({ length: count }, (_, i) => callTool('echo', {}, i)).join()}]`;
    const { status, body } = await post(gateway, echoes(11));
    expect([status, JSON.parse(body).error]).toEqual([
      400,
      { code: -32600, message: 'A batch has at most 10 messages.' },
    ]);
    expect(door.calls).toEqual([]);
    expect(JSON.parse((await post(gateway, echoes(10))).body)).toHaveLength(10);
    door.calls.length = 0;
    const begun = door.nextWaiting();
    const answered = post(gateway, `[${callTool('wait', {}, 1)},${callTool('echo', {}, 2)}]`);
    const { finish } = await begun;
    expect(door.calls.map(({ tool }) => tool)).toEqual(['wait']);
    finish();
    expect(JSON.parse((await answered).body)).toHaveLength(2);
  });

  test('nothing in a batch takes the answer of another from it', async () => {
    const cancel = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } });
    const { status, body } = await post(gateway, `[${callTool('echo', {}, 1)},${cancel}]`);
    expect([status, JSON.parse(body)]).toMatchObject([200, { id: 1, result: {} }]);
  });

  test.each([
    ['a batch of nothing', '[]', {}],
    ['a batch with something else in it', '[1]', {}],
    ['null', 'null', {}],
    ['text', '"tools/list"', {}],
    ['no version of JSON-RPC', '{"id":1,"method":"tools/list"}', {}],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"tools/list"}', {}],
    ['a revision that is not ours', callTool('echo'), { 'mcp-protocol-version': '1999-01-01' }],
  ])('%s is 400', async (_, text, headers) => {
    const { status, body } = await post(gateway, text, headers);
    expect([status, JSON.parse(body).jsonrpc]).toEqual([400, '2.0']);
    expect(door.calls).toEqual([]);
  });

  test.each([
    ['no name', {}],
    ['a name that is no text', { name: 7 }],
  ])('a call with %s is -32602', async (_, params) => {
    const { body } = await post(gateway, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }));
    expect(JSON.parse(body).error.code).toBe(-32602);
    expect(door.calls).toEqual([]);
  });
});

test.each([[[1]], [null], ['x'], [7]])('arguments that are %j go to the door, and its words come back', async args => {
  const params = { name: 'echo', arguments: args };
  const { status, body } = await post(gateway, JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }));
  expect(status).toBe(400);
  expect(JSON.parse(body)).toMatchObject({ id: 1, error: { code: -32602 } });
  expect(door.calls).toMatchObject([{ tool: 'echo', args }]);
});

describe('the client as the door hears of it', () => {
  test('by its envelope, else by its User-Agent, in print and not too long', async () => {
    await post(gateway, modern('tools/call', { name: 'echo' }), headersFor('tools/call', 'echo'));
    await post(gateway, callTool('echo'), { 'user-agent': 'Claude-User' });
    await post(gateway, callTool('echo'), { 'user-agent': `a\tb${'x'.repeat(200)}` });
    await post(gateway, callTool('echo'));
    const [envelope, agent, odd, none] = door.calls.map(({ request }) => request.client);
    expect([envelope, agent, none]).toEqual(['probe/1', 'Claude-User', undefined]);
    expect(odd).toMatch(/^a\?bx{97}$/);
  });

  test('under the id of the request', async () => {
    await post(gateway, callTool('echo'), { 'x-request-id': 'abc-1' });
    expect(door.calls[0]?.request.requestId).toBe('abc-1');
  });
});
