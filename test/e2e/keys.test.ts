import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { createCompanies, customersYaml, PEOPLE } from './companies.ts';
import { ask, change, objectOf, type Row, rpc, selectAll } from './wire.ts';

/** Keys as an operator makes them and as scripts and agents use them, at a real gateway. */
const entra = createCompanies();
let home: FrameHome;
let gateway: Serving;
let vic: string;
let dev: string;

beforeAll(async () => {
  home = await makeFrameHome(customersYaml(await entra.listen('127.0.0.1', 0)));
  gateway = await home.serve();
  [vic, dev] = (await Promise.all([PEOPLE.viewer, PEOPLE.dev].map(({ username }) => entra.mint(username)))) as [
    string,
    string,
  ];
  const seat = { port: gateway.port, host: PEOPLE.dev.host, token: dev };
  const columns = [{ name: 'title', type: 'text' }];
  await change(seat, [{ create_table: { name: 'notes', columns } }], { environment: 'dev' });
});

afterAll(async () => {
  await home?.remove();
  await entra.close();
});

const frame = (...args: string[]) => home.run(['keys', ...args]);

async function create(role: string, place = 'axe:dev', ...more: string[]): Promise<{ id: string; key: string }> {
  const { exit, out, err } = await frame(
    'create',
    place,
    '--customer',
    'axe',
    '--role',
    role,
    '--name',
    'a script',
    '--json',
    ...more,
  );
  expect([exit, err]).toEqual([0, '']);
  return JSON.parse(out);
}

type Headers = Record<string, string>;

async function mcp(headers: Headers, tool: string, args: Row = {}, host: string = PEOPLE.dev.host) {
  return await ask(gateway.port, '/frame/mcp', {
    method: 'POST',
    host,
    headers: { 'content-type': 'application/json', ...headers },
    body: rpc('tools/call', { name: tool, arguments: args }),
  });
}

async function tools(headers: Headers): Promise<string[]> {
  const reply = await ask(gateway.port, '/api/tools', { method: 'GET', host: PEOPLE.dev.host, headers });
  return (objectOf(reply).tools as { name: string }[]).map(({ name }) => name);
}

async function api(headers: Headers, tool: string, params: Row = {}) {
  const reply = await ask(gateway.port, '/api/tool', {
    method: 'POST',
    host: PEOPLE.dev.host,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ tool, params }),
  });
  return { status: reply.status, value: objectOf(reply) };
}

/** At the latest when a memory of one second ends: access/api-keys.test.ts measures it by a clock of its own. */
const untilRefused = (key: string) =>
  expect.poll(async () => (await api({ 'x-api-key': key }, 'get_context')).status).toBe(401);

describe('frame keys create', () => {
  test('prints the key alone on standard output, once', async () => {
    const { exit, out, err } = await frame('create', 'studio', '--customer', 'axe', '--role', 'view', '--name', 'once');
    expect([exit, out]).toEqual([0, expect.stringMatching(/^frame_view_[0-9A-Za-z]{48}\n$/)]);
    expect(err).toMatch(/^Key \w{10}: view on axe\/studio:staging, until \d{4}-\d\d-\d\d\.\nThis is the only time/);
    const list = await frame('list', '--customer', 'axe');
    expect(list.out).toContain(' once');
    expect(list.out + home.printed().replace(out, '')).not.toContain(out.trim());
  });

  test.each([
    [['create', 'axe:dev', '--customer', 'axe', '--role', 'view'], /--name/],
    [['create', 'axe:dev', '--customer', 'axe', '--name', 'x'], /--role is one of admin, dev, editor, view/],
    [['create', 'axe:dev', '--customer', 'axe', '--role', 'veiw', '--name', 'x'], /did you mean/i],
    [['create', 'axe:staging', '--customer', 'axe', '--role', 'view', '--name', 'x'], /axe:prod, axe:dev/],
    [['create', 'axi', '--role', 'view', '--name', 'x'], /did you mean/i],
    [['create', 'studio', '--role', 'view', '--name', 'x'], /--customer/],
    [['create', 'axe', '--customer', 'nordwind', '--role', 'view', '--name', 'x'], /no entity `axe`/],
    [['create', 'axe:dev', '--role', 'view', '--name', 'x', '--days', '0'], /1 to 365/],
    [['create', 'axe:dev', '--role', 'view', '--name', 'x', '--days', '1e2'], /1 to 365/],
    [['create', 'axe:dev', '--role', 'view', '--name', 'x', '--from', '203.0.113.0/33'], /no network/],
    [['create', 'axe:dev', '--role', 'view', '--name', 'x', '--from', 'office'], /no network/],
    [['create'], /for which entity, such as axe or axe:dev/],
    [['revoke'], /the id of the key, as `frame keys list` shows it/],
    [['burn', 'x'], /no `keys burn`/],
    [['lists'], /did you mean `list`/i],
    [['rotate', 'abcdefghij', '--role', 'admin'], /takes no --role: the new key is like the old one/],
    [['revoke', 'abcdefghij', '--overlap', '3'], /`keys revoke` takes no --overlap\./],
    [['create', 'axe:dev', '--role', 'view', '--name', 'x', '--overlap', '3'], /takes no --overlap\./],
    [['revoke', `frame_view_${'aB3'.repeat(16)}`], /not its id.*name it `aB3aB3aB3a`, and revoke or rotate it/],
    [['list', 'a:b:c'], /no <entity>/],
  ])('%j is wrong usage', async (args, sentence) => {
    const { exit, out, err } = await frame(...args);
    expect([exit, out]).toEqual([2, '']);
    expect(err).toMatch(sentence);
  });

  test.each([
    [['list', 'nobody'], 0, /no keys for nobody/],
    [['list', 'axe:staging'], 0, /no keys for axe:staging/],
    [['revoke', 'abcdefghij'], 1, /no key `abcdefghij` that could still be used/],
    [['rotate', 'abcdefghij'], 1, /no key `abcdefghij` that could be rotated/],
  ])('%j ends with %i and says why there is nothing', async (args, code, sentence) => {
    const { exit, out, err } = await frame(...args);
    expect([exit, out]).toEqual([code, '']);
    expect(err).toMatch(sentence);
  });

  test('binds to a network', async () => {
    const [here, there] = [
      await create('view', 'axe:dev', '--from', '127.0.0.1'),
      await create('view', 'axe:dev', '--from', '10.0.0.0/8'),
    ];
    expect((await api({ 'x-api-key': here.key }, 'get_context')).status).toBe(200);
    expect((await api({ 'x-api-key': there.key }, 'get_context')).status).toBe(401);
    // The proxy says who is asking; a client cannot, for it is not the proxy that speaks last.
    expect((await api({ 'x-api-key': there.key, 'x-forwarded-for': '10.1.2.3' }, 'get_context')).status).toBe(200);
    expect((await api({ 'x-api-key': there.key, 'x-forwarded-for': '10.1.2.3, 9.9.9.9' }, 'get_context')).status).toBe(
      401,
    );
  });
});

describe('a key', () => {
  test.each<[string, (key: string) => Headers]>([
    ['X-API-Key', key => ({ 'x-api-key': key })],
    ['Authorization', key => ({ authorization: `Bearer ${key}` })],
  ])('in %s works over MCP and over /api, on its place and with its role only', async (_, headersFor) => {
    const headers = headersFor((await create('editor')).key);
    const inserted = await api(headers, 'insert_rows', { table: 'notes', rows: [{ title: 'by a script' }] });
    expect(inserted).toMatchObject({ status: 200, value: { success: true, tool: 'insert_rows' } });
    const read = objectOf(await mcp(headers, 'select_rows', { table: 'notes' })) as {
      result: { structuredContent: Row };
    };
    expect(JSON.stringify(read.result.structuredContent)).toContain('key:a script');
    expect(await tools(headers)).not.toContain('plan_change');
    expect((await api(headers, 'plan_change', { changes: [] })).status).toBe(404);
    // It has no choice of places, so the argument does not exist.
    expect((await api(headers, 'select_rows', { table: 'notes', environment: 'prod' })).value).toMatchObject({
      success: false,
    });
  });

  test('is a bad credential at another company', async () => {
    const { key } = await create('view');
    const reply = await mcp({ 'x-api-key': key }, 'get_context', {}, PEOPLE.northAdmin.host);
    expect(reply.status).toBe(401);
  });

  test('is said to be wrong in one way only', async () => {
    const { key, id } = await create('view');
    const another = key.endsWith('x') ? 'y' : 'x';
    const bad = ['nonsense', `${key.slice(0, -1)}${another}`, key.replace('_view_', '_admin_')];
    const replies = await Promise.all(bad.map(one => api({ 'x-api-key': one }, 'get_context')));
    expect(new Set(replies.map(({ status, value }) => JSON.stringify([status, value]))).size).toBe(1);
    expect(replies[0]).toMatchObject({ status: 401, value: { code: 'access/token-invalid' } });
    expect(JSON.stringify(replies)).not.toContain(id);
  });

  test('ends when it is revoked', async () => {
    const { key, id } = await create('view');
    expect((await api({ 'x-api-key': key }, 'get_context')).status).toBe(200);
    expect(await frame('revoke', id)).toMatchObject({ exit: 0, out: `revoked ${id}  a script\n` });
    await untilRefused(key);
    expect(await frame('revoke', id)).toMatchObject({ exit: 1 });
  });

  test('that is rotated works beside the new one', async () => {
    const { key, id } = await create('view');
    const rotated = await frame('rotate', id, '--json');
    const next = JSON.parse(rotated.out);
    expect(next).toMatchObject({ role: 'view', entity: 'axe', environment: 'dev', name: 'a script' });
    for (const each of [key, next.key]) expect((await api({ 'x-api-key': each }, 'get_context')).status).toBe(200);
    expect(await frame('rotate', id)).toMatchObject({ exit: 1, err: expect.stringContaining('could be rotated') });
    const listed = JSON.parse((await frame('list', 'axe', '--json')).out);
    expect(listed.find((one: Row) => one.id === id)).toMatchObject({ replaced_by: next.id });
  });

  test('that is rotated without an overlap ends at once', async () => {
    const { key, id } = await create('view');
    const { out, err } = await frame('rotate', id, '--overlap', '0');
    expect(err).toContain(`The old key, ${id}, has ended.`);
    await untilRefused(key);
    expect((await api({ 'x-api-key': out.trim() }, 'get_context')).status).toBe(200);
  });

  test('in an address is refused, and lost for good', async () => {
    const { key, id } = await create('view');
    const path = `/frame/mcp?q=${key}`;
    const reply = await ask(gateway.port, path, {
      method: 'POST',
      host: PEOPLE.dev.host,
      headers: { 'x-api-key': key },
    });
    expect([reply.status, objectOf(reply).code]).toEqual([400, 'access/credential-in-url']);
    await untilRefused(key);
    const listed = JSON.parse((await frame('list', '--json')).out);
    expect(listed.find((one: Row) => one.id === id)).toMatchObject({ revoked_why: 'seen-in-address' });
    expect(gateway.output()).not.toContain(key);
  });

  test.each(['/frame/live', '/api/openapi.json', '/nowhere', '/token'])('%s is no place for it either', async path => {
    const { key } = await create('view');
    const reply = await ask(gateway.port, `${path}?q=${key}`, { method: 'GET', host: PEOPLE.dev.host });
    expect([reply.status, objectOf(reply).code]).toEqual([400, 'access/credential-in-url']);
    await untilRefused(key);
  });

  test('is told what it is for, and who can give another', async () => {
    const { key, id } = await create('view');
    expect(await api({ 'x-api-key': key }, 'get_context')).toMatchObject({
      value: {
        result: {
          key: { id, name: 'a script', role: 'view' },
          role: 'view',
          entities: [{ id: 'axe', environments: ['dev'] }],
          who_can_change: expect.stringContaining('frame keys create'),
        },
      },
    });
  });
});

describe('a person and an agent together', () => {
  test('may do what both may, where both may', async () => {
    const { key } = await create('dev');
    const headers = { authorization: `Bearer ${vic}`, 'x-api-key': key };
    const both = await tools(headers);
    expect(both).toContain('select_rows');
    expect(both).not.toContain('insert_rows');
    const context = await api(headers, 'get_context');
    expect(context.value).toMatchObject({
      result: {
        person: { username: PEOPLE.viewer.username },
        key: { name: 'a script', role: 'dev' },
        entities: [{ id: 'axe', environments: ['dev'] }],
        who_can_change: expect.stringContaining('what both may'),
      },
    });
  });

  test('are refused where the person has no business', async () => {
    const { key } = await create('view', 'studio');
    // The developer is admitted to axe only.
    expect((await api({ authorization: `Bearer ${dev}`, 'x-api-key': key }, 'get_context')).status).toBe(403);
  });

  test('are both named in the audit', async () => {
    const { key, id } = await create('editor');
    const headers = { authorization: `Bearer ${dev}`, 'x-api-key': key };
    await api(headers, 'insert_rows', { table: 'notes', rows: [{ title: 'together' }] });
    const admin = { port: gateway.port, host: PEOPLE.admin.host, token: await entra.mint(PEOPLE.admin.username) };
    const reply = await ask(gateway.port, '/api/tool', {
      method: 'POST',
      host: admin.host,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${admin.token}` },
      body: JSON.stringify({ tool: 'search_audit', params: { actor: id, tool: 'insert_rows' } }),
    });
    const { entries } = objectOf(reply).result as { entries: Row[] };
    expect(entries).toHaveLength(2);
    expect(entries[0]).toMatchObject({
      actor: { username: PEOPLE.dev.username },
      agent: { key: id, name: 'a script' },
    });
    expect(JSON.stringify(entries)).not.toContain(key);
    expect((await selectAll({ ...admin, token: dev }, { table: 'notes', environment: 'dev' })).length).toBeGreaterThan(
      0,
    );
  });

  test.each([
    ['a bad key beside a good token', { 'x-api-key': 'nonsense' }, 401],
    ['two keys', { 'x-api-key': 'a,b' }, 400],
  ])('%s is not waved through', async (_, headers, status) => {
    expect((await api({ authorization: `Bearer ${vic}`, ...headers }, 'get_context')).status).toBe(status);
  });
});
