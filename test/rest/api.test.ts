import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { asGood, ask, type Reply } from '../http/client.ts';
import { createFixtureDoor, customerNamed, type FixtureDoor, type Gateway, startGateway } from '../http/fixture.ts';

/** `/api`: the tools for scripts, by the letter of docs and contract. */
let gateway: Gateway;
let door: FixtureDoor;

beforeAll(async () => {
  door = createFixtureDoor();
  gateway = await startGateway({ door, customers: [customerNamed('axe', { origin: 'https://axe.example' })] });
});

afterAll(() => gateway?.stop());

const host = { host: 'axe.example' };
const get = (path: string, headers = {}) => ask(gateway, path, { headers: { ...host, ...headers } });

function post(body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return ask(gateway, '/api/tool', { method: 'POST', headers: { ...host, ...asGood, ...headers }, body: text });
}

describe('POST /api/tool', () => {
  test('answers what the tool answered', async () => {
    const { status, headers, body } = await post({ tool: 'echo', params: { a: [1, null] } });
    expect([status, headers['content-type']]).toEqual([200, 'application/json']);
    expect(JSON.parse(body)).toEqual({ success: true, tool: 'echo', result: { args: { a: [1, null] } } });
  });

  test('needs no params where a tool takes none', async () => {
    expect(JSON.parse((await post({ tool: 'echo' })).body)).toEqual({ success: true, tool: 'echo', result: {} });
  });

  test('answers a refusal of the tool with its status, code and hint, and nothing for our log', async () => {
    const { status, body } = await post({ tool: 'refuse' });
    expect(status).toBe(400);
    expect(JSON.parse(body)).toEqual({
      success: false,
      error: 'There is no column `totl`.',
      code: 'table/no-such-column',
      hint: 'Did you mean `total`?',
    });
  });

  test('answers a tool that there is not', async () => {
    const { status, body } = await post({ tool: 'nope' });
    expect(status).toBe(404);
    expect(JSON.parse(body)).toEqual({ success: false, error: 'Unknown tool: nope', code: 'args/unknown-tool' });
  });

  test('says when to come back while the database is away', async () => {
    const { status, headers, body } = await post({ tool: 'outage' });
    expect([status, headers['retry-after']]).toEqual([503, '7']);
    expect(JSON.parse(body)).toMatchObject({ success: false, code: 'unavailable' });
  });

  test('keeps a defect of ours to our log', async () => {
    const { status, body } = await post({ tool: 'defect' });
    expect(status).toBe(500);
    expect(JSON.parse(body)).toMatchObject({ success: false, code: 'internal' });
    expect(body).not.toContain('SECRET');
    expect(gateway.observations).toContainEqual(expect.objectContaining({ kind: 'crash-averted', where: '/api/tool' }));
  });

  test.each([
    ['null', 400, 'args/invalid'],
    ['[]', 400, 'args/invalid'],
    ['"echo"', 400, 'args/invalid'],
    ['{}', 400, 'args/invalid'],
    ['{"tool":1}', 400, 'args/invalid'],
    ['{"tool":"echo","parms":{}}', 400, 'args/invalid'],
    ['{"tool":"echo"', 400, 'args/malformed'],
    ['{"tool":"echo","tool":"refuse"}', 400, 'args/malformed'],
    ['{"tool":"echo","params":{"__proto__":{}}}', 400, 'args/malformed'],
    [`{"tool":"echo","params":${'['.repeat(40)}${']'.repeat(40)}}`, 400, 'args/malformed'],
    ['', 400, 'args/malformed'],
  ])('refuses %s in the envelope', async (body, status, code) => {
    const reply = await post(body);
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.body)).toMatchObject({ success: false, code, error: expect.any(String) });
  });

  test('refuses a body that is too long, or of another type', async () => {
    const long = await post({ tool: 'echo', params: { a: 'x'.repeat(1_000_001) } });
    const form = await post('tool=echo', { 'content-type': 'application/x-www-form-urlencoded' });
    expect([long.status, form.status]).toEqual([413, 415]);
    for (const { body } of [long, form]) expect(JSON.parse(body)).toMatchObject({ success: false });
  });

  test.each([
    ['no token', { authorization: '' }, 401, 'access/token-missing'],
    ['a bad token', { authorization: 'Bearer bad' }, 401, 'access/token-invalid'],
    ['a token that nobody admitted', { authorization: 'Bearer no-access-rule' }, 403, 'access/not-admitted'],
    ['keys out of reach', { authorization: 'Bearer keys-unreachable' }, 503, 'unavailable'],
  ])('answers %s in the envelope', async (_, headers, status, code) => {
    const reply = await post({ tool: 'echo' }, headers);
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.body)).toMatchObject({ success: false, code });
    expect('www-authenticate' in reply.headers).toBe(status === 401);
  });

  test('records the program that calls, by the name it gives', async () => {
    await post({ tool: 'echo' }, { 'x-client': 'nightly\ttotals' });
    expect(door.calls.at(-1)?.request.client).toBe('nightly?totals');
    await post({ tool: 'echo' }, { 'user-agent': 'curl/8' });
    expect(door.calls.at(-1)?.request.client).toBe('curl/8');
  });

  test.each(['GET', 'PUT', 'DELETE'])('is not there for %s', async method => {
    const { status, headers } = await ask(gateway, '/api/tool', { method, headers: { ...host, ...asGood } });
    expect([status, headers.allow]).toEqual([405, 'POST']);
  });
});

describe('GET /api/tools', () => {
  test('lists what the caller may call, with schemas', async () => {
    const { status, body } = await get('/api/tools', asGood);
    expect(status).toBe(200);
    const { success, role, tools } = JSON.parse(body);
    expect([success, role]).toEqual([true, 'view']);
    expect(tools[0]).toEqual({
      name: 'echo',
      title: 'echo',
      description: 'Does echo.',
      kind: 'read',
      params: { type: 'object' },
      result: { type: 'object' },
    });
  });

  test('is for people with a token only', async () => {
    const { status, body } = await get('/api/tools');
    expect(status).toBe(401);
    expect(JSON.parse(body)).toMatchObject({ success: false, code: 'access/token-missing' });
  });
});

describe('GET /api/openapi.json', () => {
  test('describes every tool for everybody, at the configured origin', async () => {
    const { status, body } = await get('/api/openapi.json');
    expect(status).toBe(200);
    const { openapi, servers, paths } = JSON.parse(body);
    expect([openapi, servers]).toEqual(['3.1.0', [{ url: 'https://axe.example' }]]);
    const { oneOf } = paths['/api/tool'].post.requestBody.content['application/json'].schema;
    expect(oneOf.map((one: { properties: { tool: { const: string } } }) => one.properties.tool.const)).toEqual(
      door.all.map(({ name }) => name),
    );
  });
});

test('a page of another origin may not use it', async () => {
  const { status, body } = await get('/api/tools', { ...asGood, origin: 'https://evil.example' });
  expect(status).toBe(403);
  expect(JSON.parse(body)).toMatchObject({ success: false, code: 'access/wrong-origin' });
});
