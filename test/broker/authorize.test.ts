import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerOf, createBrowser, createProgram, type Program, REDIRECT } from './browser.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let program: Program;
const browser = createBrowser();

beforeAll(async () => {
  world = await openWorld();
  program = await createProgram(world);
});
afterAll(() => world?.close());

const askedScopes = async () => {
  const [row] = await world.query(
    "select array_to_string(scopes, ' ') from frame.oauth_sign_ins order by created_at desc limit 1",
  );
  return row?.[0];
};

describe('until client and address belong together, nobody is sent anywhere', () => {
  test.each<[string, Record<string, string | undefined>, string]>([
    ['no client', { client_id: undefined }, 'asked in a way'],
    ['an empty client', { client_id: '' }, 'asked in a way'],
    ['an unknown client', { client_id: 'nobody' }, 'does not know the program'],
    ['a client with a NUL', { client_id: 'a\0b' }, 'asked in a way'],
    ['no address', { redirect_uri: undefined }, 'asked in a way'],
    ['an address of others', { redirect_uri: 'https://evil.example/callback' }, 'not registered'],
    ['another path', { redirect_uri: `${REDIRECT}/more` }, 'not registered'],
    ['another host', { redirect_uri: 'http://localhost:51234/callback' }, 'not registered'],
    ['a script', { redirect_uri: 'javascript:alert(1)' }, 'not registered'],
  ])('%s', async (_, changes, words) => {
    const page = await browser.open(program.url(changes));
    expect(page.status).toBe(400);
    expect(page.location).toBe('');
    expect(page.text).toContain(words);
  });

  test.each(['client_id', 'redirect_uri'])('%s twice', async name => {
    const page = await browser.open(`${program.url()}&${name}=https://evil.example`);
    expect([page.status, page.location]).toEqual([400, '']);
  });

  test('our own address, which a client may not have', async () => {
    const registered = createProgram(world, { redirect_uris: [`${world.origin}/callback/entra`] });
    await expect(registered).rejects.toMatchObject({ code: 'invalid_redirect_uri' });
  });
});

describe('what goes back to the client', () => {
  test.each<[string, Record<string, string | undefined>, string]>([
    ['no response_type', { response_type: undefined }, 'invalid_request'],
    ['a token at once', { response_type: 'token' }, 'unsupported_response_type'],
    ['a code and a token', { response_type: 'code id_token' }, 'unsupported_response_type'],
    ['an answer by form', { response_mode: 'form_post' }, 'invalid_request'],
    ['no challenge', { code_challenge: undefined }, 'invalid_request'],
    ['a plain challenge', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['a challenge of no method', { code_challenge_method: undefined }, 'invalid_request'],
    ['a short challenge', { code_challenge: 'abc' }, 'invalid_request'],
    ['a challenge with padding', { code_challenge: `${'a'.repeat(43)}=` }, 'invalid_request'],
    ['another resource', { resource: 'https://evil.example/frame/mcp' }, 'invalid_target'],
    ['no path', { resource: 'http://127.0.0.1' }, 'invalid_target'],
    ['an empty resource', { resource: '' }, 'invalid_target'],
    ['unknown scopes', { scope: 'admin claudeai' }, 'invalid_scope'],
  ])('%s', async (_, changes, error) => {
    const page = await browser.open(program.url(changes));
    expect(page.status).toBe(303);
    expect(page.location.startsWith(`${REDIRECT}?`)).toBe(true);
    const { error_description, ...answer } = answerOf(page);
    expect(answer).toEqual({ error, state: 'the state & more', iss: world.origin });
    expect(error_description).toMatch(/^[ -~]+\.$/);
    expect(page.headers.getSetCookie()).toEqual([]);
  });

  test.each(['scope', 'code_challenge', 'state', 'whatever'])('%s twice', async name => {
    const page = await browser.open(`${program.url()}&${name}=a&${name}=b`);
    expect(answerOf(page).error).toBe('invalid_request');
  });

  test('a state with a NUL, which is not sent back', async () => {
    const answer = answerOf(await browser.open(program.url({ state: 'a\0b' })));
    expect(answer).toMatchObject({ error: 'invalid_request' });
    expect(answer).not.toHaveProperty('state');
  });

  test('no state where none was sent, and the query of the address is kept', async () => {
    const theirs = await createProgram(world, { redirect_uris: ['https://app.example/cb?tenant=a%20b'] });
    const redirect_uri = 'https://app.example/cb?tenant=a%20b';
    const page = await browser.open(theirs.url({ redirect_uri, state: undefined, response_type: 'token' }));
    expect(page.location).toMatch(/^https:\/\/app\.example\/cb\?tenant=a(%20|\+)b&error=unsupported_response_type&/);
    expect(answerOf(page)).not.toHaveProperty('state');
  });
});

test('a look at the headers begins nothing', async () => {
  const count = () => world.query('select count(*)::int from frame.oauth_sign_ins');
  const { url } = await createProgram(world);
  const before = await count();
  const response = await fetch(url(), { method: 'HEAD' });
  expect([response.status, response.headers.getSetCookie()]).toEqual([200, []]);
  expect(await count()).toEqual(before);
});

describe('what is let pass', () => {
  test.each<[string, Record<string, string | undefined>]>([
    ['prompt=consent', { prompt: 'consent' }],
    ['a prompt that nobody knows', { prompt: 'whatever' }],
    ['parameters that nobody knows', { claims: '{}', ui_locales: 'ko' }],
    ['another port of the same loopback address', { redirect_uri: 'http://127.0.0.1:9/callback' }],
    ['no resource', { resource: undefined }],
    ['no state', { state: undefined }],
  ])('%s', async (_, changes) => {
    expect((await browser.open(program.url(changes))).status).toBe(200);
  });

  test('a slash after the resource, and capitals in scheme and host', async () => {
    const resource = `${world.resource.replace('http', 'HTTP')}/`;
    expect((await browser.open(program.url({ resource }))).status).toBe(200);
  });

  test('a form instead of a query', async () => {
    const url = new URL(program.url());
    const response = await fetch(`${world.origin}/authorize`, { method: 'POST', body: url.searchParams });
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('name="sign_in"');
  });

  test.each([
    [undefined, 'frame:read frame:write'],
    ['', 'frame:read frame:write'],
    ['frame:read', 'frame:read'],
    ['frame:write', 'frame:read frame:write'],
    ['frame:write frame:read', 'frame:read frame:write'],
    [' offline_access  frame:read', 'frame:read offline_access'],
    ['openid email profile', 'frame:read frame:write'],
    ['offline_access', 'frame:read frame:write offline_access'],
    ['frame:read frame:read openid admin', 'frame:read'],
  ])('the scope %j means %s', async (scope, meant) => {
    await browser.open(program.url({ scope }));
    expect(await askedScopes()).toBe(meant);
  });
});

test('a client whose document cannot be read is worth another try, not a new registration', async () => {
  const page = await browser.open(program.url({ client_id: 'https://127.0.0.1/client.json' }));
  expect([400, 503]).toContain(page.status);
  expect(page.location).toBe('');
});

test('too many sign-ins from one address are told to wait', async () => {
  const busy = await openWorld(['axe'], { startsPerMinute: 2 });
  const theirs = await createProgram(busy);
  for (const status of [200, 200]) expect((await browser.open(theirs.url())).status).toBe(status);
  expect(answerOf(await browser.open(theirs.url())).error).toBe('temporarily_unavailable');
  const fromElsewhere = (addresses: string) => browser.open(theirs.url(), { 'x-forwarded-for': addresses });
  expect((await fromElsewhere('made up, 192.0.2.7')).status).toBe(200);
  expect((await fromElsewhere('192.0.2.8, made up')).status).toBe(303);
  await busy.close();
});
