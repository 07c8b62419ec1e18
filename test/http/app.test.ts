import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERROR_CODES, FrameError } from '../../src/errors.ts';
import { statusOf, toProblem } from '../../src/http/problem.ts';
import { createSites } from '../../src/http/sites.ts';
import { asGood, ask, callTool, post, type Reply } from './client.ts';
import { createFixtureDoor, customerNamed, type FixtureDoor, type Gateway, startGateway } from './fixture.ts';

const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const DOCUMENTS = [
  '/.well-known/oauth-protected-resource/frame/mcp',
  '/.well-known/oauth-protected-resource',
  '/frame/mcp/.well-known/oauth-protected-resource',
];

let local: Gateway;
let remote: Gateway;
let door: FixtureDoor;

beforeAll(async () => {
  door = createFixtureDoor();
  local = await startGateway({ slot: 'blue' });
  remote = await startGateway({
    door,
    customers: [
      customerNamed('axe', { origin: 'https://axe.example' }),
      customerNamed('bolt', { origin: 'https://bolt.example:8443' }),
    ],
  });
});

afterAll(() => Promise.all([local?.stop(), remote?.stop()]));

function problem({ body, headers }: Reply): { code: string; status: number } {
  expect(headers['content-type']).toBe('application/problem+json');
  return JSON.parse(body);
}

const at = (host: string, more = {}) => ({ headers: { host, ...more } });
const postAt = (host: string, more = {}) => post(remote, LIST, { host, ...more });

describe('every answer', () => {
  test.each([
    ['GET', '/frame/live'],
    ['HEAD', '/frame/ready'],
    ['POST', '/frame/mcp'],
    ['DELETE', '/frame/mcp'],
    ['OPTIONS', '/frame/mcp'],
    ['GET', '/.well-known/oauth-protected-resource'],
    ['GET', '/nothing-here'],
    ['PATCH', '/frame/live'],
    ['GET', '/%zz'],
    ['GET', '/frame\\mcp'],
    ['GET', 'http://other.example/frame/live'],
  ])('%s %s says who gave it', async (method, path) => {
    const { headers } = await ask(local, path, { method });
    expect(headers).toMatchObject({
      'x-frame-release': 'r1',
      'x-frame-slot': 'blue',
      'x-request-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'x-content-type-options': 'nosniff',
    });
  });

  test('has no slot when there is none', async () => {
    expect((await ask(remote, '/frame/live')).headers).not.toHaveProperty('x-frame-slot');
  });

  test.each(['abc', 'A.b_c-1', 'x'.repeat(64)])('keeps the request id %s', async id => {
    expect((await ask(local, '/frame/live', { headers: { 'x-request-id': id } })).headers['x-request-id']).toBe(id);
  });

  test.each(['', 'a b', 'x'.repeat(65), 'a;b', 'ä', '"', '{}'])('replaces the request id `%s`', async id => {
    const { headers } = await ask(local, '/frame/live', {
      headers: { 'x-request-id': Buffer.from(id).toString('latin1') },
    });
    expect(headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('is counted under a known route, never under a path that somebody made up', async () => {
    await ask(local, '/frame/live');
    await ask(local, '/made/up/by/somebody');
    const routes = local.observations.flatMap(seen => (seen.kind === 'request' ? [seen.route] : []));
    expect(routes).toContain('/frame/live');
    expect(routes).toContain('-');
    expect(routes.join()).not.toContain('somebody');
  });
});

describe('routes', () => {
  test.each([
    '/',
    '/frame',
    '/frame/',
    '/frame/mcp/',
    '/frame/mcp/x',
    '/FRAME/MCP',
    '/frame/lived',
    '/frame/live/',
    '/mcp',
  ])('%s is 404', async path => {
    expect(problem(await ask(local, path))).toMatchObject({ status: 404, code: 'args/no-such-route' });
  });

  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'TRACE'])('%s /frame/mcp is 405', async method => {
    const reply = await ask(local, '/frame/mcp', { method, headers: asGood });
    expect(reply.status).toBe(405);
    expect(reply.headers.allow).toBe('POST');
  });

  test.each(['/frame/live', '/frame/ready', '/frame/health', '/frame/metrics', ...DOCUMENTS])(
    'POST %s is 405',
    async path => {
      const reply = await ask(local, path, { method: 'POST' });
      expect(problem(reply)).toMatchObject({ status: 405, code: 'args/method' });
      expect(reply.headers.allow).toBe('GET, HEAD');
    },
  );

  test('live', async () => {
    expect(JSON.parse((await ask(local, '/frame/live')).body)).toEqual({ status: 'alive' });
  });

  test('metrics are for this machine only', async () => {
    expect(await ask(local, '/frame/metrics')).toMatchObject({ status: 200, body: expect.stringContaining('# HELP') });
    // What comes through the proxy comes from loopback too, but asks for the public name.
    expect(problem(await ask(remote, '/frame/metrics', at('axe.example')))).toMatchObject({ status: 403 });
  });
});

describe('OPTIONS', () => {
  test.each([
    ['/frame/mcp', 'POST'],
    ['/api/tool', 'POST'],
    ['/api/tools', 'GET, HEAD'],
  ])('%s is a method like others unless a browser asks', async (path, allow) => {
    const plain = await ask(local, path, { method: 'OPTIONS' });
    expect([plain.status, plain.headers.allow]).toEqual([405, allow]);
    for (const headers of [{ origin: 'http://localhost:6274' }, { 'access-control-request-method': 'POST' }]) {
      expect((await ask(local, path, { method: 'OPTIONS', headers })).status).toBe(204);
    }
  });
});

describe('an address with a key in it', () => {
  const key = `frame_view_${'aB3'.repeat(16)}`;

  test.each([
    ['GET', `/frame/live?x=${key}`],
    ['GET', `/frame/mcp?x=${key}`],
    ['POST', `/frame/mcp?x=${key}`],
    ['OPTIONS', `/frame/mcp?x=${key}`],
    ['GET', `/.well-known/oauth-protected-resource?x=${key}`],
    ['POST', `/token?x=${key}`],
    ['GET', `/authorize?state=${key.replaceAll('_', '%5F')}`],
    ['GET', `/made/up/${key}`],
  ])('%s %s is 400, whatever it asks for', async (method, path) => {
    const reply = await ask(local, path, { method });
    expect(problem(reply)).toMatchObject({ status: 400, code: 'access/credential-in-url' });
    expect(reply.headers).toMatchObject({ 'x-frame-release': 'r1' });
    expect(reply.body).not.toContain(key);
  });

  test('is refused in the envelope of /api', async () => {
    for (const path of ['/api/tools', '/api/tool', '/api/openapi.json', '/api/nothing']) {
      const { status, body } = await ask(local, `${path}?x=${key}`, { headers: asGood });
      expect([status, JSON.parse(body).code]).toEqual([400, 'access/credential-in-url']);
    }
  });

  test('is nothing at a Host that is not ours', async () => {
    expect((await ask(remote, `/frame/live?x=${key}`, at('evil.example'))).status).toBe(403);
  });
});

describe('host', () => {
  test.each(['axe.example', 'AXE.example', 'axe.example:443', 'bolt.example:8443'])('%s is ours', async host => {
    expect((await postAt(host)).status).toBe(200);
  });

  test.each([
    'evil.example',
    'axe.example.evil.example',
    'axe.example:80',
    'axe.example:8443',
    'bolt.example',
    'axe.example@evil.example',
    'axe.example, evil.example',
    'axe.example.',
    'localhost',
    '127.0.0.1',
    'localhost.evil.example',
    '',
  ])('`%s` is not', async host => {
    const reply = await postAt(host);
    expect([400, 403]).toContain(reply.status);
  });

  test('a wrong one is 403, on every route', async () => {
    for (const path of ['/frame/live', '/frame/ready', '/frame/mcp', '/nothing', ...DOCUMENTS]) {
      expect(problem(await ask(remote, path, at('evil.example')))).toMatchObject({
        status: 403,
        code: 'access/wrong-host',
      });
    }
  });

  test('forwarded hosts are not believed', async () => {
    const forwarded = { 'x-forwarded-host': 'axe.example', forwarded: 'host=axe.example' };
    expect((await ask(remote, '/frame/ready', at('evil.example', forwarded))).status).toBe(403);
  });

  test('health answers under the address of this machine, the rest does not', async () => {
    for (const host of [`127.0.0.1:${remote.port}`, `localhost:${remote.port}`, '[::1]:3710', 'localhost']) {
      expect((await ask(remote, '/frame/live', at(host))).status).toBe(200);
      expect((await ask(remote, '/frame/ready', at(host))).status).toBe(200);
      expect(problem(await postAt(host))).toMatchObject({ code: 'access/wrong-host' });
      expect((await ask(remote, DOCUMENTS[0] ?? '', at(host))).status).toBe(403);
    }
  });

  test('picks the customers', async () => {
    await post(remote, callTool('echo'), { host: 'bolt.example:8443' });
    expect(door.calls.at(-1)?.caller.customer.id).toBe('bolt');
  });

  test('customers that share an origin are served together, and a reload is taken up', () => {
    const [axe, bolt] = [customerNamed('axe'), customerNamed('bolt')];
    let customers = [axe];
    const sites = createSites(
      () => customers,
      () => 'https://frame.example',
    );
    expect(sites.byHost('frame.example')?.customers).toEqual([axe]);
    customers = [axe, bolt];
    expect(sites.byHost('frame.example')).toEqual({ origin: 'https://frame.example', customers: [axe, bolt] });
    customers = [];
    expect(sites.byHost('frame.example')).toBeUndefined();
    expect(sites.byHost(null)).toBeUndefined();
  });
});

describe('origin', () => {
  test('none is what programs send; ours is what our pages send', async () => {
    expect((await postAt('axe.example')).headers).not.toHaveProperty('access-control-allow-origin');
    const reply = await postAt('axe.example', { origin: 'https://axe.example' });
    expect(reply.status).toBe(200);
    expect(reply.headers).toMatchObject({
      'access-control-allow-origin': 'https://axe.example',
      'access-control-expose-headers':
        'WWW-Authenticate, Mcp-Session-Id, X-Request-Id, Retry-After, RateLimit, RateLimit-Policy',
      vary: 'Origin',
    });
  });

  test.each([
    'https://evil.example',
    'http://axe.example',
    'https://axe.example:8443',
    'null',
    '',
    'http://localhost:6274',
  ])('`%s` is 403', async origin => {
    expect(problem(await postAt('axe.example', { origin }))).toMatchObject({ code: 'access/wrong-origin' });
    expect((await ask(remote, '/frame/ready', at('axe.example', { origin }))).status).toBe(403);
  });

  test('pages of this machine may talk to a gateway of this machine', async () => {
    for (const origin of ['http://localhost:6274', 'http://127.0.0.1:6274', 'http://[::1]:6274']) {
      const { status, headers } = await post(local, LIST, { origin });
      expect([status, headers['access-control-allow-origin']]).toEqual([200, origin]);
    }
    for (const origin of [
      'http://localhost.evil.example',
      'http://localhost:6274.evil.example',
      'http://127.0.0.1evil',
    ]) {
      expect((await post(local, LIST, { origin })).status).toBe(403);
    }
  });

  test('a page can read why it may not: challenges are exposed', async () => {
    const headers = { origin: 'http://localhost:6274' };
    const reply = await ask(local, '/frame/mcp', { method: 'POST', headers });
    expect(reply.status).toBe(401);
    expect(reply.headers['access-control-allow-origin']).toBe('http://localhost:6274');
  });

  test('preflight', async () => {
    const headers = { origin: 'http://localhost:6274', 'access-control-request-method': 'POST' };
    const reply = await ask(local, '/frame/mcp', { method: 'OPTIONS', headers });
    expect(reply).toMatchObject({ status: 204, body: '' });
    expect(reply.headers['access-control-allow-methods']).toBe('POST');
    for (const name of [
      'Authorization',
      'MCP-Protocol-Version',
      'Mcp-Method',
      'Mcp-Name',
      'Mcp-Session-Id',
      'X-API-Key',
    ]) {
      expect(reply.headers['access-control-allow-headers']).toContain(name);
    }
  });
});

describe('protected resource documents', () => {
  test.each(DOCUMENTS)('%s', async path => {
    const reply = await ask(remote, path, at('axe.example', { origin: 'https://anybody.example' }));
    expect(reply.status).toBe(200);
    expect(reply.headers).toMatchObject({ 'content-type': 'application/json', 'access-control-allow-origin': '*' });
    expect(JSON.parse(reply.body)).toMatchObject({
      resource: 'https://axe.example/frame/mcp',
      bearer_methods_supported: ['header'],
    });
    const [head, options] = await Promise.all(
      ['HEAD', 'OPTIONS'].map(method => ask(remote, path, { ...at('axe.example'), method })),
    );
    expect(head).toMatchObject({ status: 200, body: '' });
    expect(options).toMatchObject({ status: 204, headers: { 'access-control-allow-origin': '*' } });
  });

  test('never repeat what the request said', async () => {
    const path = `${DOCUMENTS[0]}?x=evil.example`;
    const reply = await ask(remote, path, at('AXE.EXAMPLE:443', { 'x-forwarded-proto': 'http' }));
    expect(JSON.parse(reply.body).resource).toBe('https://axe.example/frame/mcp');
  });
});

describe('credentials', () => {
  const send = (authorization: string | undefined, path = '/frame/mcp', body = LIST) =>
    ask(local, path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
      body,
    });

  test('none: 401 with one bare challenge', async () => {
    const reply = await send(undefined);
    expect(problem(reply)).toMatchObject({ status: 401, code: 'access/token-missing' });
    expect(reply.headers['www-authenticate']).toBe(
      `Bearer resource_metadata="${local.origin}/.well-known/oauth-protected-resource/frame/mcp", scope="api://axe.example/frame/access_as_user"`,
    );
  });

  test.each([
    ['no body and no type', {}, ''],
    ['a body of another type', { 'content-type': 'text/plain' }, 'hello'],
    ['a body that is no JSON', { 'content-type': 'application/json' }, '{'],
    ['a body that is too large', { 'content-type': 'application/json' }, 'x'.repeat(2_000_000)],
  ])('none, with %s: still 401', async (_, headers, body) => {
    expect((await ask(local, '/frame/mcp', { method: 'POST', headers, body })).status).toBe(401);
  });

  test('bad: 401 that says so, and not why', async () => {
    const reply = await send('Bearer forged');
    expect(reply.status).toBe(401);
    expect(reply.headers['www-authenticate']).toMatch(
      /^Bearer resource_metadata=.*error="invalid_token", error_description="/,
    );
    expect(reply.body).not.toContain('SECRET');
  });

  test('scope too small: 403 with a challenge', async () => {
    const reply = await send('Bearer scope-missing');
    expect(problem(reply)).toMatchObject({ status: 403, code: 'access/scope-missing' });
    expect(reply.headers['www-authenticate']).toContain('error="insufficient_scope"');
  });

  test('not admitted: 403 without a challenge', async () => {
    const reply = await send('Bearer no-access-rule');
    expect(problem(reply)).toMatchObject({ status: 403, code: 'access/not-admitted' });
    expect(reply.headers).not.toHaveProperty('www-authenticate');
  });

  test('keys out of reach: 503, try again, no challenge', async () => {
    const reply = await send('Bearer keys-unreachable');
    expect(problem(reply)).toMatchObject({ status: 503, code: 'unavailable' });
    expect(reply.headers).toMatchObject({ 'retry-after': '30' });
    expect(reply.headers).not.toHaveProperty('www-authenticate');
  });

  test('in the address, or two of them: 400', async () => {
    expect(problem(await send('Bearer good', '/frame/mcp?access_token=x'))).toMatchObject({ status: 400 });
    expect(problem(await send('Bearer good, Bearer good'))).toMatchObject({ status: 400 });
    const twice = ['Host', new URL(local.url).host, 'Authorization', 'Bearer good', 'Authorization', 'Bearer good'];
    expect(problem(await ask(local, '/frame/mcp', { method: 'POST', headers: twice }))).toMatchObject({ status: 400 });
  });
});

describe('problems', () => {
  test.each(ERROR_CODES)('%s has a status', code => {
    expect(statusOf(code)).toBeGreaterThanOrEqual(400);
  });

  test('what is ours stays ours', async () => {
    const error = new FrameError('internal', 'Sorry.', { detail: 'SECRET', cause: new Error('SECRET') });
    expect(await toProblem(error, 'id').text()).not.toContain('SECRET');
  });
});
