import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { unavailable } from '../../src/errors.ts';
import {
  agreeAndSignIn,
  answerOf,
  createBrowser,
  createProgram,
  type Program,
  REDIRECT,
  type TestBrowser,
} from './browser.ts';
import { ADA, EVE, GUS, openWorld, type World } from './world.ts';

let world: World;
let program: Program;
let browser: TestBrowser;

const OVER = 'This sign-in is over';
const STATE = 'the state & more';

beforeAll(async () => {
  world = await openWorld();
  program = await createProgram(world);
});
beforeEach(() => {
  browser = createBrowser();
});
afterEach(() => {
  world.clock.aheadMs = 0;
  world.upstream.fetch = globalThis.fetch;
});
afterAll(() => world?.close());

async function comeBack(person = ADA, access = 'write'): Promise<string> {
  return agreeAndSignIn(browser, await browser.open(program.url()), person, access);
}

const lastAudit = () => world.audited.at(-1);
const sessions = async () => (await world.query('select count(*)::int from frame.oauth_sessions'))[0]?.[0];

describe('who comes back', () => {
  test('gets a code for the client, with the state of the client and our name', async () => {
    const page = await browser.open(await comeBack());
    expect(page.status).toBe(303);
    expect(page.location.startsWith(`${REDIRECT}?`)).toBe(true);
    expect(answerOf(page)).toEqual({
      code: expect.stringMatching(/^frame_ac_[\w-]{43}$/),
      state: STATE,
      iss: world.origin,
    });
  });

  test('is recorded step by step, with their name as soon as it is known', async () => {
    world.audited.length = 0;
    await browser.open(await comeBack(ADA, 'read'));
    expect(world.audited.map(({ tool, outcome, actor }) => [tool, outcome, actor])).toEqual([
      ['sign_in.start', 'ok', { system: 'sign-in' }],
      ['sign_in.consent', 'ok', { system: 'sign-in' }],
      [
        'sign_in.done',
        'ok',
        { tenantId: expect.any(String), objectId: ADA, name: 'Ada Axe', username: 'ada@axe.example' },
      ],
    ]);
    expect(lastAudit()).toMatchObject({
      customer: 'axe',
      client: 'Probe <b>',
      phase: 'call',
      arguments: { client_id: program.id, redirect_host: '127.0.0.1:51234', scopes: ['frame:read'] },
    });
  });

  test('comes back once', async () => {
    const callback = await comeBack();
    const pages = await Promise.all([browser.open(callback), browser.open(callback), browser.open(callback)]);
    expect(pages.map(({ status }) => status).sort()).toEqual([303, 400, 400]);
    expect((await browser.open(callback)).text).toContain(OVER);
  });

  test('ends it for everybody when it is another browser', async () => {
    const callback = await comeBack();
    const thief = createBrowser();
    await thief.open(program.url());
    const before = await sessions();
    const page = await thief.open(callback);
    expect(page.text).toContain(OVER);
    expect(page.location).toBe('');
    expect(lastAudit()).toMatchObject({ outcome: 'refused', arguments: { reason: 'other-browser' } });
    expect((await browser.open(callback)).text).toContain(OVER);
    expect(await sessions()).toBe(before);
  });

  test('is somebody else when they have agreed to something else', async () => {
    const thief = createBrowser();
    await agreeAndSignIn(thief, await thief.open(program.url()), ADA);
    expect((await thief.open(await comeBack())).text).toContain(OVER);
  });

  test('may have another tab on the same way', async () => {
    const [first, second] = [await comeBack(), await comeBack()];
    expect(answerOf(await browser.open(second))).toHaveProperty('code');
    expect(answerOf(await browser.open(first))).toHaveProperty('code');
  });

  test('is too late after ten minutes', async () => {
    const callback = await comeBack();
    world.clock.aheadMs = 10 * 60_000 + 1000;
    expect((await browser.open(callback)).text).toContain(OVER);
    expect(lastAudit()).toMatchObject({ arguments: { reason: 'expired' } });
  });

  test('is nobody any more when the company is gone', async () => {
    const callback = await comeBack();
    const all = world.customers.current;
    world.customers.current = all.map(customer => ({ ...customer, id: 'other' }));
    expect((await browser.open(callback)).text).toContain(OVER);
    world.customers.current = all;
  });

  test.each(['', '?state=', '?code=x', `?state=${'a'.repeat(43)}&code=x`, '?state=a&state=b', '?state=%00&code=x'])(
    'needs a state that we gave: `%s`',
    async query => {
      const page = await browser.open(`${world.origin}/callback/entra${query}`);
      expect([page.status, page.location]).toEqual([400, '']);
      expect(page.text).toContain(OVER);
    },
  );
});

describe('when Entra says no', () => {
  test.each([
    ['access_denied', 'access_denied', 'cancelled'],
    ['server_error', 'server_error', 'upstream-failed'],
    ['<script>', 'server_error', 'upstream-failed'],
    ['', 'server_error', 'upstream-failed'],
  ])('`%s` becomes %s', async (error, told, reason) => {
    const state = new URL(await comeBack()).searchParams.get('state') ?? '';
    const query = new URLSearchParams({ state, error, error_description: 'AADSTS0: SECRET' });
    const page = await browser.open(`${world.origin}/callback/entra?${query}`);
    expect(answerOf(page)).toMatchObject({ error: told, state: STATE, iss: world.origin });
    expect(page.location).not.toContain('SECRET');
    expect(lastAudit()).toMatchObject({ outcome: 'refused', arguments: { reason } });
  });

  test('the button Cancel on its page', async () => {
    const consent = await browser.open(program.url());
    const agreed = await browser.submit(consent, { access: 'write', answer: 'allow' });
    const login = await browser.open(agreed.location);
    const back = await browser.submit(login, { answer: 'cancel' });
    expect(answerOf(await browser.open(back.location)).error).toBe('access_denied');
  });
});

describe('the code of Entra', () => {
  test('is redeemed with our secret, server to server, without anything of the client', async () => {
    const callback = await comeBack();
    const requests: { url: string; form: URLSearchParams; init: RequestInit | undefined }[] = [];
    world.upstream.fetch = (input, init) => {
      requests.push({ url: String(input), form: new URLSearchParams(String(init?.body ?? '')), init });
      return fetch(input, init);
    };
    await browser.open(callback);
    const [redemption] = requests;
    expect(redemption?.init).toMatchObject({ method: 'POST', redirect: 'error', signal: expect.any(AbortSignal) });
    expect(Object.fromEntries(redemption?.form ?? [])).toEqual({
      grant_type: 'authorization_code',
      client_id: 'aaaaaaaa-0000-4000-8000-00000000000a',
      client_secret: expect.stringContaining('the secret of Frame'),
      redirect_uri: `${world.origin}/callback/entra`,
      code: new URL(callback).searchParams.get('code'),
      code_verifier: expect.stringMatching(/^[\w-]{43}$/),
      scope: 'openid profile',
    });
  });

  const answers: [string, () => Promise<Response>][] = [
    ['an error', async () => Response.json({ error: 'invalid_grant', error_codes: [54005] }, { status: 400 })],
    ['an error of no form', async () => new Response('<html>', { status: 502 })],
    ['no token', async () => Response.json({ access_token: 'x' })],
    ['no JSON', async () => new Response('id_token')],
    ['too much', async () => Response.json({ id_token: 'a'.repeat(70_000) })],
    ['no end', async () => endless()],
    ['no form of a token', async () => Response.json({ id_token: 'a.b' })],
    ['an unreachable Entra', () => Promise.reject(new TypeError('fetch failed'))],
    ['silence', () => Promise.reject(new DOMException('The operation timed out.', 'TimeoutError'))],
  ];
  test.each(answers)('%s: the client learns that it failed, and no more', async (_, answer) => {
    const callback = await comeBack();
    const before = await sessions();
    world.upstream.fetch = answer;
    const page = await browser.open(callback);
    expect(answerOf(page)).toEqual({
      error: 'server_error',
      error_description: 'The sign-in at Microsoft Entra failed.',
      state: STATE,
      iss: world.origin,
    });
    expect(lastAudit()).toMatchObject({ tool: 'sign_in.refused', outcome: 'refused' });
    expect(await sessions()).toBe(before);
  });
});

describe('the ID token', () => {
  const CLIENT = 'aaaaaaaa-0000-4000-8000-00000000000a';

  type Claims = Record<string, unknown>;
  const nowSeconds = () => Math.floor(Date.now() / 1000);

  /** Comes back while Entra's answer holds a token with these claims. */
  async function comeBackWith(claims: Claims, header: Record<string, unknown> = {}) {
    const agreed = await browser.submit(await browser.open(program.url()), { access: 'write', answer: 'allow' });
    const nonce = new URL(agreed.location).searchParams.get('nonce');
    const login = await browser.open(agreed.location);
    const { location } = await browser.submit(login, { person: ADA });
    const id_token = await world.entra.mint(ADA, { claims: { aud: CLIENT, nonce, scp: undefined, ...claims }, header });
    world.upstream.fetch = (input, init) =>
      init?.method === 'POST' ? Promise.resolve(Response.json({ id_token })) : fetch(input, init);
    return browser.open(location);
  }

  test('is good as it is', async () => {
    expect(answerOf(await comeBackWith({}))).toHaveProperty('code');
  });

  test.each<[string, Claims | (() => Claims), string]>([
    ['for another sign-in', { nonce: 'a'.repeat(43) }, 'wrong-nonce'],
    ['for no sign-in', { nonce: undefined }, 'wrong-nonce'],
    ['for another application', { aud: '00000003-0000-0000-c000-000000000000' }, 'wrong-audience'],
    ['for the API', { aud: 'api://axe' }, 'wrong-audience'],
    ['of another tenant', { tid: 'bbbbbbbb-0000-4000-8000-000000000001' }, 'wrong-tenant'],
    ['of another issuer', { iss: 'https://login.microsoftonline.com/common/v2.0' }, 'wrong-issuer'],
    ['that is old', () => ({ exp: nowSeconds() - 120 }), 'expired'],
    ['that is not yet good', () => ({ nbf: nowSeconds() + 120 }), 'not-yet-valid'],
    ['without a person', { oid: undefined }, 'claim-malformed'],
  ])('%s is refused', async (_, claims, reason) => {
    // Times count from now, not from when this file was read.
    const said = typeof claims === 'function' ? claims() : claims;
    expect(answerOf(await comeBackWith(said)).error).toBe('server_error');
    expect(lastAudit()).toMatchObject({ outcome: 'refused', arguments: { reason } });
  });

  test('that somebody else signed is refused', async () => {
    expect(answerOf(await comeBackWith({}, { kid: 'unknown' })).error).toBe('server_error');
    expect(lastAudit()).toMatchObject({ arguments: { reason: 'key-unknown' } });
  });
});

describe('who is not let in', () => {
  test.each([
    ['a guest', GUS, 'gus@axe.example'],
    ['somebody of another domain', EVE, 'eve@elsewhere.example'],
  ])('%s reads whom to ask, and takes the answer to the client', async (_, person, username) => {
    const before = await sessions();
    const page = await browser.open(await comeBack(person));
    expect([page.status, page.location]).toEqual([403, '']);
    expect(page.text).toContain(`<b>${username}</b>`);
    expect(page.text).toContain('Ask whoever looks after Frame at <b>AXE LLC</b>');
    expect(page.text).not.toContain('the state');
    expect(lastAudit()).toMatchObject({
      outcome: 'refused',
      code: 'access/not-admitted',
      actor: { objectId: person },
    });
    expect(await sessions()).toBe(before);

    const back = await browser.submit(page, {});
    expect(answerOf(back)).toMatchObject({ error: 'access_denied', state: STATE, iss: world.origin });
  });

  test('nobody else makes us send people anywhere', async () => {
    const page = await browser.open(await comeBack(GUS));
    const forged = await browser.submit(page, { back: 'aHR0cHM6Ly9ldmlsLmV4YW1wbGU' });
    expect([forged.status, forged.location]).toEqual([400, '']);
    const foreign = await browser.submit(page, {}, { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' });
    expect([foreign.status, foreign.location]).toEqual([403, '']);
    world.clock.aheadMs = 11 * 60_000;
    expect((await browser.submit(page, {})).location).toBe('');
  });
});

test('while the audit cannot be written, nobody gets a code', async () => {
  const callback = await comeBack();
  const { append } = world.auditing;
  world.auditing.append = () => Promise.reject(unavailable('The call cannot be recorded now.'));
  const page = await browser.open(callback);
  world.auditing.append = append;
  expect([page.status, page.location]).toEqual([503, '']);
  expect(page.text).toContain('Wait a minute');
});

test('no log line and no record holds a secret', async () => {
  const callback = await comeBack();
  const page = await browser.open(callback);
  const { code, state: upstreamState } = Object.fromEntries(new URL(callback).searchParams);
  const reported = JSON.stringify([world.observations, world.audited]);
  for (const secret of [
    answerOf(page).code,
    STATE,
    code,
    upstreamState,
    program.verifier,
    ...browser.cookies.values(),
  ]) {
    expect(secret).toMatch(/.{10}/);
    expect(reported).not.toContain(secret);
  }
});

function endless(): Response {
  const chunk = new Uint8Array(16_384);
  return new Response(new ReadableStream({ pull: controller => controller.enqueue(chunk) }));
}
