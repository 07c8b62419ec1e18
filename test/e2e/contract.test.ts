import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { AXE, createCompanies, customersYaml, NORDWIND, PEOPLE, type Who } from './companies.ts';
import { type Ask, ask, call, modern, objectOf, post, problemOf, type Row, rpc, type Seat } from './wire.ts';

/** contract.md §3, letter by letter, from outside. That every answer is marked is checked in `ask` itself. */
const DARK = {
  tenantId: '122fb574-0000-4000-8000-0000000000dd',
  host: 'dark.example',
  authority: 'http://127.0.0.1:1',
};
const AXE_METADATA = 'https://axe.example/.well-known/oauth-protected-resource/frame/mcp';
const AXE_SCOPE = 'api://axe.example/frame/access_as_user';
const CHALLENGE = `Bearer resource_metadata="${AXE_METADATA}", scope="${AXE_SCOPE}"`;

const entra = createCompanies();
let home: FrameHome;
let gateway: Serving;
let pinned: Serving;
const tokens = new Map<string, string>();

beforeAll(async () => {
  const authority = await entra.listen('127.0.0.1', 0);
  for (const { username } of Object.values(PEOPLE)) tokens.set(username, await entra.mint(username));
  home = await makeFrameHome(`${customersYaml(authority)}${darkEntry()}`);
  gateway = await home.serve({ env: { FRAME_SLOT: 'blue' } });
  pinned = await home.serve({ env: { FRAME_CUSTOMER: 'nordwind', FRAME_SLOT: 'green' } });
});

afterAll(async () => {
  await home?.remove();
  await entra.close();
});

/** A company whose Entra cannot be reached. */
const darkEntry = () => `
  dark:
    name: Dark Ltd
    origin: https://${DARK.host}
    domains: [dark.example]
    entra: { tenant_id: ${DARK.tenantId}, audience: [x], scope: s, authority: "${DARK.authority}" }
    sign_in: direct
    entities: { dark: { name: Dark } }
    access: [{ who: "*@dark.example", role: view }]
`;

const seat = (who: Who, port = gateway.port): Seat => {
  const { username, host } = PEOPLE[who];
  return { port, host, token: tokens.get(username) ?? '' };
};
const atAxe = (path: string, options: Ask = {}) => ask(gateway.port, path, { host: AXE.host, ...options });
const postTo = (host: string, headers: Record<string, string | string[]>, path = '/frame/mcp') =>
  ask(gateway.port, path, {
    method: 'POST',
    host,
    headers: { 'content-type': 'application/json', ...headers },
    body: rpc('tools/list'),
  });
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const toolNames = (body: string) => JSON.parse(body).result.tools.map(({ name }: { name: string }) => name);

describe('401', () => {
  test.each([
    ['no credential', {}],
    ['an empty one', { authorization: '' }],
    ['another scheme', { authorization: 'Basic YTpi' }],
    ['a cookie', { cookie: 'access_token=abc' }],
  ])('%s: a challenge without an error', async (_, headers) => {
    const reply = await postTo(AXE.host, headers);
    expect(problemOf(reply)).toEqual({ status: 401, code: 'access/token-missing', challenges: 1 });
    expect(reply.headers['www-authenticate']).toBe(CHALLENGE);
    expect(reply.headers['retry-after']).toBeUndefined();
  });

  test('a key beside a good token is refused, for there are no keys yet', async () => {
    const reply = await postTo(AXE.host, {
      authorization: `Bearer ${await entra.mint(PEOPLE.admin.username)}`,
      'x-api-key': 'frame_abc',
    });
    expect(problemOf(reply)).toEqual({ status: 401, code: 'access/token-invalid', challenges: 1 });
  });

  test.each<[string, () => Promise<string>]>([
    ['garbage', async () => 'abc'],
    [
      'a token with another signature',
      async () => (await entra.mint(PEOPLE.admin.username)).replace(/.{20}$/, 'A'.repeat(20)),
    ],
    ['no algorithm', async () => unsigned(await entra.mint(PEOPLE.admin.username))],
    ['another audience', () => entra.mint(PEOPLE.admin.username, { claims: { aud: 'api://other/frame' } })],
    [
      'an audience in a list',
      () => entra.mint(PEOPLE.admin.username, { claims: { aud: ['api://axe.example/frame'] } }),
    ],
    ['another tenant id', () => entra.mint(PEOPLE.admin.username, { claims: { tid: NORDWIND.tenantId } })],
    ['a token of another company', async () => seat('northAdmin').token],
    ['app-only', () => entra.mint(PEOPLE.admin.username, { claims: { idtyp: 'app', scp: undefined, roles: ['x'] } })],
    ['no scope at all (an ID token)', () => entra.mint(PEOPLE.admin.username, { claims: { scp: undefined } })],
    ['not valid yet', () => entra.mint(PEOPLE.admin.username, { claims: { nbf: Date.now() / 1000 + 3600 } })],
    ['an unknown key', () => entra.mint(PEOPLE.admin.username, { header: { kid: 'nobody' } })],
    ['a key of its own', () => entra.mint(PEOPLE.admin.username, { header: { jku: 'http://127.0.0.1:1/keys' } })],
    ['a part too many', async () => `${await entra.mint(PEOPLE.admin.username)}.x`],
  ])('%s: the challenge names the error', async (_, mint) => {
    const reply = await postTo(AXE.host, bearer(await mint()));
    expect(problemOf(reply)).toEqual({ status: 401, code: 'access/token-invalid', challenges: 1 });
    expect(reply.headers['www-authenticate']).toMatch(
      /^Bearer resource_metadata="[^"]+", scope="[^"]+", error="invalid_token", error_description="[^"\\]+"$/,
    );
    expect(reply.headers['www-authenticate']?.startsWith(`${CHALLENGE}, `)).toBe(true);
  });

  test('an expired token is called expired', async () => {
    const exp = Math.floor(Date.now() / 1000) - 3600;
    const reply = await postTo(AXE.host, bearer(await entra.mint(PEOPLE.admin.username, { claims: { exp } })));
    expect(reply.headers['www-authenticate']).toContain(
      'error="invalid_token", error_description="The access token is expired."',
    );
  });

  test('is decided before the body is looked at', async () => {
    const reply = await ask(gateway.port, '/frame/mcp', { method: 'POST', host: AXE.host, body: 'no JSON' });
    expect(reply.status).toBe(401);
  });
});

describe('403', () => {
  test('a good token with too small a scope: insufficient_scope, naming all scopes', async () => {
    const token = await entra.mint(PEOPLE.admin.username, { claims: { scp: 'access_as_use access_as_user2' } });
    const reply = await postTo(AXE.host, bearer(token));
    expect(problemOf(reply)).toEqual({ status: 403, code: 'access/scope-missing', challenges: 1 });
    expect(reply.headers['www-authenticate']?.startsWith(`${CHALLENGE}, error="insufficient_scope"`)).toBe(true);
  });

  test('one scope among others is enough', async () => {
    const token = await entra.mint(PEOPLE.admin.username, { claims: { scp: 'other access_as_user' } });
    expect((await postTo(AXE.host, bearer(token))).status).toBe(200);
  });

  test.each([
    ['nobody of the access rules', 'stranger@axe.example', AXE],
    ['a guest', 'gus_other.example#EXT#@axe.example', AXE],
    ['a name of another company in this tenant', 'ai@nordwind.example', AXE],
    ['the name of their admin in our tenant', 'ai@axe.example', NORDWIND],
  ])('%s: not admitted, without a challenge, and in the audit', async (_, username, { tenantId, host }) => {
    const reply = await postTo(host, {
      ...bearer(await entra.mint(username, { tenantId })),
      'x-request-id': 'turned-away',
    });
    expect(problemOf(reply)).toEqual({ status: 403, code: 'access/not-admitted', challenges: 0 });
    const admin = seat(host === AXE.host ? 'admin' : 'northAdmin');
    const { value } = await call(admin, 'search_audit', { actor: username, outcome: 'refused' });
    expect(value.entries).toContainEqual(
      expect.objectContaining({ code: 'access/not-admitted', request_id: 'turned-away' }),
    );
  });

  test('a Host that is nobody’s, and an Origin of somebody else', async () => {
    for (const host of [
      'evil.example',
      'axe.example.evil.example',
      'axe.example:8443',
      'nordwind.example.',
      '127.0.0.1:1',
    ]) {
      const reply = await postTo(host, bearer(seat('admin').token));
      expect([host, reply.status, reply.count('www-authenticate')]).toEqual([host, 403, 0]);
    }
    for (const origin of [
      'https://evil.example',
      'null',
      'https://nordwind.example',
      'http://axe.example',
      'https://axe.example.evil.example',
    ]) {
      const reply = await postTo(AXE.host, { ...bearer(seat('admin').token), origin });
      expect([origin, problemOf(reply)]).toEqual([origin, { status: 403, code: 'access/wrong-origin', challenges: 0 }]);
      expect(reply.headers['access-control-allow-origin']).toBeUndefined();
    }
    expect((await postTo(AXE.host, { ...bearer(seat('admin').token), origin: 'https://axe.example' })).status).toBe(
      200,
    );
    expect((await postTo('AXE.example:443', bearer(seat('admin').token))).status).toBe(200);
  });
});

test('503 with Retry-After and no challenge while the keys cannot be had', async () => {
  const dark = createCompanies(DARK.authority);
  const iss = `${DARK.authority}/${DARK.tenantId}/v2.0`;
  const token = await dark.mint(PEOPLE.admin.username, { claims: { iss, tid: DARK.tenantId, aud: 'x', scp: 's' } });
  const reply = await postTo(DARK.host, bearer(token));
  expect(problemOf(reply)).toEqual({ status: 503, code: 'unavailable', challenges: 0 });
  expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
  // The others do not notice.
  expect((await call(seat('admin'), 'get_context')).status).toBe(200);
});

describe('400', () => {
  test.each(['access_token', 'token', 'api_key', 'apikey', 'API-Key', 'authorization', 'id_token'])(
    'a credential in the address: %s',
    async name => {
      for (const headers of [{}, bearer(seat('admin').token)]) {
        const reply = await postTo(AXE.host, headers, `/frame/mcp?x=1&${name}=abc`);
        expect(problemOf(reply)).toEqual({ status: 400, code: 'access/credential-in-url', challenges: 0 });
      }
    },
  );

  test('two credentials of one kind, even the same one twice', async () => {
    const one = `Bearer ${seat('admin').token}`;
    for (const authorization of [[one, one], ['Bearer a', 'Bearer b'], `${one}, ${one}`]) {
      const reply = await postTo(AXE.host, { authorization });
      expect(problemOf(reply)).toEqual({ status: 400, code: 'access/credential-twice', challenges: 0 });
    }
  });

  const inside = (text: string) => `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":${text}}}`;
  // The message, its params and its `x` are three levels of their own, and eleven tokens.
  const nested = (levels: number) => inside(`${'['.repeat(levels - 2)}${']'.repeat(levels - 2)}`);
  const tokens = (count: number) =>
    inside(
      `[${Array(count - 11)
        .fill('1')
        .join()}]`,
    );

  test.each<[string, string | Buffer]>([
    ['no JSON', '{"jsonrpc":'],
    ['nothing', ''],
    ['invalid UTF-8', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])],
    ['an overlong slash', Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')])],
    ['a byte order mark', `\ufeff${rpc('tools/list')}`],
    ['a key twice', '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}'],
    ['a key twice, once in disguise', inside('{"a":1,"\\u0061":2}')],
    ['__proto__', inside('{"__proto__":{"role":"admin"}}')],
    ['__proto__ in disguise', inside('{"\\u005f_proto__":1}')],
    ['33 levels', nested(33)],
    ['50,001 tokens', tokens(50_001)],
    ['half of a surrogate pair', inside('"\\ud83d"')],
    ['a number beyond a double', inside('1e400')],
    ['two documents', `${rpc('tools/list')}${rpc('tools/list')}`],
  ])('%s', async (_, body) => {
    expect(problemOf(await post(seat('admin'), body))).toEqual({ status: 400, code: 'args/malformed', challenges: 0 });
  });

  test('the limits themselves are inside', async () => {
    for (const body of [
      nested(32),
      tokens(50_000),
      `${rpc('tools/list')}${' '.repeat(1_000_000 - rpc('tools/list').length)}`,
    ]) {
      expect((await post(seat('admin'), body)).status).toBe(200);
    }
  });
});

test.each(['GET', 'PUT', 'DELETE', 'PATCH', 'HEAD'])('405 with Allow: POST for %s', async method => {
  for (const headers of [{}, bearer(seat('admin').token)]) {
    const reply = await atAxe('/frame/mcp', { method, headers });
    expect([reply.status, reply.headers.allow, reply.count('www-authenticate')]).toEqual([405, 'POST', 0]);
  }
});

test('413 above 1 MB, however it is sent', async () => {
  const body = Buffer.alloc(1_000_001, ' ');
  expect(problemOf(await post(seat('admin'), body))).toMatchObject({ status: 413, code: 'args/too-large' });
  const chunked = await post(seat('admin'), body, { 'transfer-encoding': 'chunked' });
  expect(problemOf(chunked)).toMatchObject({ status: 413, code: 'args/too-large' });
});

test('415 for everything that is no plain JSON', async () => {
  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json-rpc',
    'application/json; charset=utf-16',
    '',
  ];
  for (const type of types) {
    expect(problemOf(await post(seat('admin'), rpc('tools/list'), { 'content-type': type }))).toMatchObject({
      status: 415,
    });
  }
  expect((await post(seat('admin'), rpc('tools/list'), { 'content-encoding': 'gzip' })).status).toBe(415);
  expect(
    (await post(seat('admin'), rpc('tools/list'), { 'content-type': 'Application/JSON; charset="UTF-8"' })).status,
  ).toBe(200);
});

test('404 is a problem as well, and nothing else stands at this origin', async () => {
  for (const path of [
    '/',
    '/frame',
    '/frame/mcp/',
    '/frame/mcp/x',
    '/FRAME/MCP',
    '/.well-known/oauth-authorization-server',
    '/frame/../frame/x',
    '/%2e%2e/etc/passwd',
    '/mcp',
    '/token',
    '/authorize',
  ]) {
    const reply = await atAxe(path);
    expect([path, reply.status, problemOf(reply).code]).toEqual([path, 404, 'args/no-such-route']);
  }
});

describe('the marks', () => {
  test('release and slot', async () => {
    const { headers } = await atAxe('/frame/live');
    expect([headers['x-frame-release'], headers['x-frame-slot']]).toEqual(['dev', 'blue']);
    const other = await ask(pinned.port, '/nowhere', { host: NORDWIND.host });
    expect([other.status, other.headers['x-frame-slot']]).toEqual([404, 'green']);
  });

  test('a request id is kept when it can do no harm, else it is ours', async () => {
    expect((await atAxe('/frame/live', { headers: { 'x-request-id': 'abc-1.2_Z' } })).headers['x-request-id']).toBe(
      'abc-1.2_Z',
    );
    for (const id of ['', 'a b', 'x'.repeat(65), '"><script>', 'a,b', 'ü']) {
      const sent = (await atAxe('/frame/live', { headers: { 'x-request-id': id } })).headers['x-request-id'];
      expect(sent).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

describe('discovery', () => {
  const PATHS = [
    '/.well-known/oauth-protected-resource/frame/mcp',
    '/.well-known/oauth-protected-resource',
    '/frame/mcp/.well-known/oauth-protected-resource',
  ];

  test('three addresses, one document, for anybody', async () => {
    const replies = await Promise.all(
      PATHS.map(path => atAxe(path, { headers: { origin: 'https://anywhere.example' } })),
    );
    for (const { status, headers, body } of replies) {
      expect([status, headers['content-type'], headers['access-control-allow-origin']]).toEqual([
        200,
        'application/json',
        '*',
      ]);
      expect(body).toBe(replies[0]?.body);
    }
    const [first] = replies;
    expect(first && objectOf(first)).toMatchObject({
      resource: 'https://axe.example/frame/mcp',
      authorization_servers: [`${entra.authority}/${AXE.tenantId}/v2.0`],
      scopes_supported: [AXE_SCOPE],
      bearer_methods_supported: ['header'],
    });
  });

  test('every origin has its own, whatever else the request says', async () => {
    const reply = await ask(gateway.port, PATHS[0] ?? '', {
      host: NORDWIND.host,
      headers: { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http', forwarded: 'host=evil.example' },
    });
    expect(objectOf(reply).resource).toBe('https://nordwind.example/frame/mcp');
    expect(reply.body).not.toContain('evil');
    expect((await ask(gateway.port, PATHS[0] ?? '', { host: 'evil.example' })).status).toBe(403);
  });

  test('nothing can be posted there', async () => {
    for (const path of PATHS) expect((await atAxe(path, { method: 'POST', body: '{}' })).status).toBe(405);
  });
});

test('CORS: pages of the origin itself may call, and read what they need', async () => {
  const origin = 'https://axe.example';
  const asked = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' };
  const preflight = await atAxe('/frame/mcp', { method: 'OPTIONS', headers: asked });
  expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([204, origin]);
  expect(preflight.headers['access-control-allow-methods']).toBe('POST');
  for (const name of ['authorization', 'content-type', 'mcp-protocol-version', 'mcp-method', 'mcp-name']) {
    expect(preflight.headers['access-control-allow-headers']?.toLowerCase()).toContain(name);
  }
  expect(preflight.headers['access-control-allow-credentials']).toBeUndefined();
  const refused = await postTo(AXE.host, { origin });
  expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([401, origin]);
  expect(refused.headers['access-control-expose-headers']).toContain('WWW-Authenticate');
  const foreign = await atAxe('/frame/mcp', {
    method: 'OPTIONS',
    headers: { ...asked, origin: 'https://evil.example' },
  });
  expect([foreign.status, foreign.headers['access-control-allow-origin']]).toEqual([403, undefined]);
});

describe('health', () => {
  test('live, ready and health', async () => {
    expect(objectOf(await atAxe('/frame/live'))).toEqual({ status: 'alive' });
    const ready = await atAxe('/frame/ready');
    expect(ready.status).toBe(200);
    expect(objectOf(ready)).toEqual({
      status: 'ready',
      service: 'frame',
      customer: null,
      slot: 'blue',
      release: 'dev',
      migrations: expect.any(String),
      checks: { database: 'ok', migrations: 'ok' },
    });
    const mine = await ask(pinned.port, '/frame/ready', { host: `127.0.0.1:${pinned.port}` });
    expect(objectOf(mine)).toMatchObject({ customer: 'nordwind', slot: 'green' });
    const health = await ask(gateway.port, '/frame/health', { host: `localhost:${gateway.port}` });
    expect([health.status, objectOf(health)]).toMatchObject([200, { status: 'ready', depth: { customers: 3 } }]);
    expect(objectOf(await atAxe('/frame/health'))).not.toHaveProperty('depth');
  });

  test('metrics are for this machine only', async () => {
    const { status, headers, body } = await ask(gateway.port, '/frame/metrics', { host: `127.0.0.1:${gateway.port}` });
    expect([status, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    expect(body).toMatch(/^frame_tool_calls_total\{tool="get_context",outcome="ok"\} \d+$/m);
    expect(body).toMatch(/^frame_customers 3$/m);
    for (const secret of ['axe.example', 'ai@', 'studio']) expect(body).not.toContain(secret);
    expect((await atAxe('/frame/metrics')).status).toBe(403);
    expect((await ask(gateway.port, '/frame/metrics', { host: 'evil.example' })).status).toBe(403);
  });

  test('other methods are 405', async () => {
    for (const page of ['live', 'ready', 'health', 'metrics']) {
      const reply = await ask(gateway.port, `/frame/${page}`, { method: 'POST', host: `127.0.0.1:${gateway.port}` });
      expect([page, reply.status]).toEqual([page, 405]);
    }
  });
});

describe('both eras on one URL', () => {
  test('2025: initialize, then calls without a session', async () => {
    for (const protocolVersion of ['2025-03-26', '2025-06-18', '2025-11-25']) {
      const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'probe', version: '1' } };
      const reply = await post(seat('admin'), rpc('initialize', params));
      expect(objectOf(reply)).toMatchObject({ result: { protocolVersion, serverInfo: { name: 'frame' } } });
      expect(reply.headers['mcp-session-id']).toBeUndefined();
    }
  });

  test('2026: lists may be kept for a while, by their caller alone', async () => {
    const reply = await post(seat('admin'), ...modern('tools/list'));
    expect([reply.status, objectOf(reply)]).toMatchObject([200, { result: { ttlMs: 60_000, cacheScope: 'private' } }]);
    expect(objectOf(await post(seat('admin'), ...modern('server/discover')))).toMatchObject({
      result: { supportedVersions: ['2026-07-28'], cacheScope: 'private' },
    });
  });

  test('the same tools in both, always in the same order', async () => {
    const lists = [];
    for (let i = 0; i < 3; i += 1) {
      lists.push(
        (await post(seat('admin'), rpc('tools/list'))).body,
        (await post(seat('admin'), ...modern('tools/list'))).body,
      );
    }
    const [first = ''] = lists;
    expect(toolNames(first)).toHaveLength(11);
    for (const list of lists) expect(toolNames(list)).toEqual(toolNames(first));
  });

  test.each<[string, Record<string, string>]>([
    ['another tool', { 'mcp-name': 'select_rows' }],
    ['another method', { 'mcp-method': 'tools/list' }],
    ['another version', { 'mcp-protocol-version': '2025-11-25' }],
  ])('a header that says %s than the body: 400, and nothing happens', async (_, headers) => {
    const [body, good] = modern('tools/call', { name: 'get_context', arguments: {} });
    expect((await post(seat('admin'), body, good)).status).toBe(200);
    const reply = await post(seat('admin'), body, { ...good, ...headers });
    expect([reply.status, objectOf(reply)]).toMatchObject([400, { error: { code: -32020 } }]);
  });

  test('headers that are missing: 400', async () => {
    const [body] = modern('tools/call', { name: 'get_context', arguments: {} });
    expect((await post(seat('admin'), body)).status).toBe(400);
  });
});

describe('tools', () => {
  const READS = ['get_context', 'describe_tables', 'select_rows', 'run_sql'];
  const DATA = [...READS, 'insert_rows', 'update_rows', 'delete_rows'];
  const SCHEMA = [...DATA, 'plan_change', 'apply_change'];

  test.each<[Who, string[]]>([
    ['viewer', READS],
    ['editor', DATA],
    ['northEditor', DATA],
    ['dev', SCHEMA],
    ['admin', [...READS, 'reveal', ...SCHEMA.slice(READS.length), 'search_audit']],
  ])('%s sees theirs, small enough for a model', async (who, expected) => {
    const { body } = await post(seat(who), rpc('tools/list'));
    const { tools } = JSON.parse(body).result;
    expect(toolNames(body)).toEqual(expected);
    expect(tools.length).toBeLessThanOrEqual(20);
    expect(JSON.stringify(tools).length).toBeLessThanOrEqual(16_000);
    for (const foreign of ['nordwind', 'AXE', 'LLC', 'example']) expect(body).not.toContain(foreign);
  });

  test('a tool that one may not call answers as one that does not exist, and both are in the audit', async () => {
    const secret = await call(seat('viewer'), 'apply_change', { plan: 'x' }, { 'x-request-id': 'same' });
    const nothing = await call(seat('viewer'), 'apply_chance', { plan: 'x' }, { 'x-request-id': 'same' });
    expect(secret.body.replaceAll('apply_change', 'apply_chance')).toBe(nothing.body);
    expect(secret.code).toBe('-32602');
    const { value } = await call(seat('admin'), 'search_audit', { actor: PEOPLE.viewer.username, outcome: 'refused' });
    const tools = (value.entries as Row[]).map(({ tool, code }) => [tool, code]);
    expect(tools.slice(0, 2)).toEqual([
      ['apply_chance', 'args/unknown-tool'],
      ['apply_change', 'args/unknown-tool'],
    ]);
  });

  test('errors of a tool are results with a code, a sentence and whether to try again', async () => {
    const { status, code, value } = await call(seat('northAdmin'), 'select_rows', {
      entity: 'nordwind',
      table: 'nothing',
    });
    expect([status, code]).toEqual([200, 'table/not-found']);
    expect(value).toMatchObject({ message: expect.any(String), retryable: false });
  });
});

describe('a gateway that is pinned to one customer', () => {
  test('serves that one, under its name', async () => {
    const { value } = await call(seat('northAdmin', pinned.port), 'get_context');
    expect(value.customer).toBe('Nordwind GmbH');
  });

  test('does not know the others: not their Host, not their tokens', async () => {
    expect((await post(seat('admin', pinned.port), rpc('tools/list'))).status).toBe(403);
    const reply = await post({ ...seat('admin', pinned.port), host: NORDWIND.host }, rpc('tools/list'));
    expect(problemOf(reply)).toEqual({ status: 401, code: 'access/token-invalid', challenges: 1 });
    const own = await post({ ...seat('northAdmin', pinned.port), token: 'abc' }, rpc('tools/list'));
    expect(objectOf(reply).detail).toBe(objectOf(own).detail);
  });
});

describe('customers.yaml while Frame runs', () => {
  const may = async (who: Who) => (await post(seat(who), rpc('tools/list'))).status;
  let good = '';

  async function change(text: string, expected: 'customers-reloaded' | 'customers-refused'): Promise<string> {
    const from = gateway.output().length;
    await home.writeCustomers(text);
    await gateway.until(new RegExp(`"msg":"${expected}"`), from);
    return gateway.output().slice(from);
  }

  beforeAll(() => {
    good = `${customersYaml(entra.authority)}${darkEntry()}`;
  });

  test.each([
    ['broken', () => `${good}\n  : [`],
    ['empty', () => ''],
    ['cut off in the middle', () => good.slice(0, good.indexOf('nordwind:') + 30)],
    ['with an unknown key', () => good.replace('sign_in:', 'signin:')],
    ['without customers', () => 'customers: {}\n'],
    ['with a tenant twice', () => good.replaceAll(NORDWIND.tenantId, AXE.tenantId)],
    ['with a role that does not exist', () => good.replace('role: dev', 'role: developer')],
    ['with a variable that is not set', () => good.replace('name: AXE LLC', `name: \${NOT_SET}`)],
  ])('%s: the last good one serves on, and the log says where it is wrong', async (_, text) => {
    const log = await change(text(), 'customers-refused');
    expect(log).toContain('"sentence"');
    expect([await may('admin'), await may('northAdmin')]).toEqual([200, 200]);
  });

  test('a person whose rule is gone is refused at once, with the token that was good', async () => {
    expect(await may('viewer')).toBe(200);
    await change(good.replace(/ *- \{ who: vic.*\n/, ''), 'customers-reloaded');
    expect(problemOf(await post(seat('viewer'), rpc('tools/list')))).toMatchObject({
      status: 403,
      code: 'access/not-admitted',
    });
    expect(await may('admin')).toBe(200);
    await change(good, 'customers-reloaded');
    expect(await may('viewer')).toBe(200);
  });

  test('another role is another list of tools', async () => {
    await change(good.replace('vic@axe.example, role: view', 'vic@axe.example, role: editor'), 'customers-reloaded');
    expect(toolNames((await post(seat('viewer'), rpc('tools/list'))).body)).toContain('insert_rows');
    await change(good, 'customers-reloaded');
  });

  test('a customer who is gone is nobody, and the others stay', async () => {
    await change(good.slice(0, good.indexOf('\n  nordwind:')), 'customers-reloaded');
    expect([await may('northAdmin'), await may('admin')]).toEqual([403, 200]);
    await change(good, 'customers-reloaded');
    expect(await may('northAdmin')).toBe(200);
  });

  test('a new entity is there within moments, with a schema of its own', async () => {
    await change(
      good.replace('studio: { name: Nordwind', 'lab: { name: Lab }\n      studio: { name: Nordwind'),
      'customers-reloaded',
    );
    await expect
      .poll(async () => (await call(seat('northAdmin'), 'describe_tables', { entity: 'lab' })).code, {
        timeout: 15_000,
      })
      .toBeUndefined();
    await change(good, 'customers-reloaded');
    const { value } = await call(seat('northAdmin'), 'describe_tables', { entity: 'lab' });
    expect(value.code).toBe('args/invalid');
  });

  test('SIGHUP reads it as well', async () => {
    const from = gateway.output().length;
    process.kill(gateway.pid, 'SIGHUP');
    await gateway.until(/"msg":"customers-reloaded"/, from);
  });
});

test('no token, password or key was printed by any of this', async () => {
  const key = (await readFile(join(home.data, 'master.key'), 'utf8')).trim();
  const password = (await readFile(join(home.data, 'postgres/password'), 'utf8')).trim();
  expect([key, password, ...tokens.values()].filter(secret => home.printed().includes(secret))).toEqual([]);
});

function unsigned(token: string): string {
  const [, claims] = token.split('.');
  const header = Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT', kid: 'x' })).toString('base64url');
  return `${header}.${claims}.`;
}
