import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answerOf, createBrowser, createProgram, type Page, type Program, type TestBrowser } from './browser.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let program: Program;
let browser: TestBrowser;

const OVER = 'This sign-in is over';
const allow = { access: 'write', answer: 'allow' };

beforeAll(async () => {
  world = await openWorld(['axe', 'bolt']);
  program = await createProgram(world);
});
beforeEach(() => {
  browser = createBrowser();
  world.clock.aheadMs = 0;
});
afterAll(() => world?.close());

/** Past the e-mail page. */
async function openConsent(changes: Record<string, string> = {}, who = browser): Promise<Page> {
  const email = await who.open(program.url(changes));
  return who.submit(email, { email: 'ada@axe.example', answer: 'email' });
}

const refusals = () => world.audited.filter(({ outcome }) => outcome === 'refused');

describe('the work e-mail', () => {
  test('picks the company by its domain, and is told to Entra', async () => {
    const consent = await browser.submit(await browser.open(program.url()), {
      email: ' Ben@BOLT.example ',
      answer: 'email',
    });
    expect(consent.text).toContain('<b>Bolt Inc</b>');
    const { location } = await browser.submit(consent, allow);
    expect(location).toContain('/bbbbbbbb-0000-4000-8000-000000000001/oauth2/v2.0/authorize?');
    expect(new URL(location).searchParams.get('login_hint')).toBe('Ben@BOLT.example');
  });

  test.each([
    'ada@nowhere.example',
    'ada@sub.axe.example',
    'ada@axe.example.evil.example',
    'axe.example',
    'ada@axe.example@evil.example',
    'ada@A\u212AE.example',
    '',
    '"><script>',
  ])('%s gets the same sentence as every other, and may try again', async email => {
    const again = await browser.submit(await browser.open(program.url()), { email, answer: 'email' });
    expect(again.status).toBe(200);
    expect(again.text).toContain('does not lead to a company here');
    expect(again.text).not.toMatch(/AXE|Bolt/);
    const consent = await browser.submit(again, { email: 'ada@axe.example', answer: 'email' });
    expect(consent.text).toContain('<b>AXE LLC</b>');
  });

  test('is asked for before anything can be allowed', async () => {
    const page = await browser.submit(await browser.open(program.url()), allow);
    expect(page.text).toContain(OVER);
  });

  test('may be changed by going back', async () => {
    const email = await browser.open(program.url());
    await browser.submit(email, { email: 'ada@axe.example', answer: 'email' });
    const consent = await browser.submit(email, { email: 'ben@bolt.example', answer: 'email' });
    expect(consent.text).toContain('<b>Bolt Inc</b>');
  });

  test('is not needed to cancel', async () => {
    const page = await browser.submit(await browser.open(program.url()), { answer: 'cancel' });
    expect(answerOf(page)).toMatchObject({ error: 'access_denied', state: 'the state & more', iss: world.origin });
  });
});

describe('to allow', () => {
  test('leads to the tenant of the company, with everything that a return needs', async () => {
    const { status, location } = await browser.submit(await openConsent(), allow);
    expect(status).toBe(303);
    const url = new URL(location);
    expect(url.href.startsWith(`${world.entra.authority}/aaaaaaaa-0000-4000-8000-000000000001/`)).toBe(true);
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: 'aaaaaaaa-0000-4000-8000-00000000000a',
      response_type: 'code',
      redirect_uri: `${world.origin}/callback/entra`,
      scope: 'openid profile',
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
      prompt: 'select_account',
      login_hint: 'ada@axe.example',
    });
  });

  test.each([
    ['frame:read frame:write offline_access', 'write', 'frame:read frame:write offline_access'],
    ['frame:read frame:write offline_access', 'read', 'frame:read offline_access'],
    ['frame:read', 'read', 'frame:read'],
  ])('of %s with the choice %s gives %s', async (scope, access, agreed) => {
    await browser.submit(await openConsent({ scope }), { access, answer: 'allow' });
    expect(world.audited.at(-1)).toMatchObject({ tool: 'sign_in.consent', arguments: { scopes: agreed.split(' ') } });
  });

  test.each([
    ['frame:read', 'write'],
    ['frame:read frame:write', 'everything'],
    ['frame:read frame:write', ''],
  ])('of %s with the choice `%s` is refused', async (scope, access) => {
    const page = await browser.submit(await openConsent({ scope }), { access, answer: 'allow' });
    expect([page.status, page.location]).toEqual([400, '']);
  });

  test('a second time is fine: the browser follows the last answer', async () => {
    const consent = await openConsent();
    const states = await Promise.all([browser.submit(consent, allow), browser.submit(consent, allow)]);
    expect(states.map(({ status }) => status)).toEqual([303, 303]);
    const later = await browser.submit(consent, { access: 'read', answer: 'allow' });
    expect(later.status).toBe(303);
    const [row] = await world.query('select count(*)::int from frame.oauth_sign_ins where upstream is not null');
    expect(row?.[0]).toBeGreaterThan(0);
  });

  test('in two tabs at once', async () => {
    const [first, second] = [await openConsent(), await openConsent()];
    expect((await browser.submit(first, allow)).status).toBe(303);
    expect((await browser.submit(second, allow)).status).toBe(303);
  });

  test('leaves only digests and sealed blobs behind', async () => {
    const consent = await openConsent();
    const { location } = await browser.submit(consent, allow);
    const upstream = new URL(location).searchParams;
    const rows = JSON.stringify(await world.query('select row_to_json(s)::text from frame.oauth_sign_ins s'));
    const id = /name="sign_in" value="([\w-]+)"/.exec(consent.text)?.[1] ?? '';
    for (const secret of [id, upstream.get('state'), upstream.get('nonce'), ...browser.cookies.values()]) {
      expect(secret).toMatch(/^[\w-]{22,}$/);
      expect(rows).not.toContain(secret);
    }
  });
});

describe('nobody else answers for the person', () => {
  test.each<[string, Record<string, string>]>([
    ['another site', { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['another site that hides', { origin: 'null', 'sec-fetch-site': 'cross-site' }],
    ['another port of this host', { origin: 'null', 'sec-fetch-site': 'same-site' }],
    ['another site that claims to be ours', { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' }],
    ['no browser of today', { origin: 'null', 'sec-fetch-site': '' }],
    ['a bookmark', { origin: 'null', 'sec-fetch-site': 'none' }],
  ])('%s', async (_, headers) => {
    const consent = await openConsent();
    const page = await browser.submit(consent, allow, headers);
    expect([page.status, page.location]).toEqual([403, '']);
    expect(page.text).toContain('did not come from a page of Frame');
    expect((await browser.submit(consent, allow)).status).toBe(303);
  });

  test('our own origin is enough', async () => {
    const headers = { origin: world.origin, 'sec-fetch-site': '' };
    expect((await browser.submit(await openConsent(), allow, headers)).status).toBe(303);
  });

  test('another browser, whatever it has seen itself', async () => {
    const consent = await openConsent();
    const other = createBrowser();
    expect((await other.submit(consent, allow)).text).toContain(OVER);
    await openConsent({}, other);
    expect((await other.submit(consent, allow)).text).toContain(OVER);
    expect((await other.submit(consent, { answer: 'cancel' })).text).toContain(OVER);
    expect((await browser.submit(consent, allow)).status).toBe(303);
  });

  test.each(['', 'x', 'a'.repeat(43)])('a sign-in called `%s`', async sign_in => {
    const page = await browser.submit(await openConsent(), { ...allow, sign_in });
    expect(page.text).toContain(OVER);
  });

  test('a cookie that somebody set beside ours', async () => {
    const consent = await openConsent();
    const theirs = createBrowser();
    const cookie = `frame-page=${'a'.repeat(43)}; frame-page=${browser.cookies.get('frame-page')}`;
    expect((await theirs.submit(consent, allow, { cookie })).text).toContain(OVER);
  });

  test('a button that is not on the page', async () => {
    const page = await browser.submit(await openConsent(), { answer: 'whatever' });
    expect(page.status).toBe(400);
  });
});

describe('when it is over', () => {
  test('after ten minutes', async () => {
    const consent = await openConsent();
    world.clock.aheadMs = 10 * 60_000 + 1000;
    expect((await browser.submit(consent, allow)).text).toContain(OVER);
    expect((await browser.submit(consent, { answer: 'cancel' })).text).toContain(OVER);
  });

  test('after it was cancelled', async () => {
    const consent = await openConsent();
    const page = await browser.submit(consent, { answer: 'cancel' });
    expect(answerOf(page)).toEqual({
      error: 'access_denied',
      error_description: 'The person cancelled.',
      state: 'the state & more',
      iss: world.origin,
    });
    expect(refusals().at(-1)).toMatchObject({ customer: 'axe', arguments: { reason: 'cancelled' } });
    expect((await browser.submit(consent, allow)).text).toContain(OVER);
  });

  test('when the company is gone', async () => {
    const consent = await openConsent();
    const all = world.customers.current;
    world.customers.current = all.filter(({ id }) => id !== 'axe');
    expect((await browser.submit(consent, allow)).text).toContain(OVER);
    world.customers.current = all;
  });

  test('in the language of the browser', async () => {
    const korean = createBrowser('ko-KR');
    const consent = await openConsent({}, korean);
    expect(consent.text).toContain('읽기 전용');
    await korean.submit(consent, { answer: 'cancel' });
    expect((await korean.submit(consent, allow)).text).toContain('이 로그인은 끝났습니다');
  });
});

test('what cannot be recorded does not happen', async () => {
  const consent = await openConsent();
  const { append } = world.auditing;
  world.auditing.append = () => Promise.reject(new Error('the disk is full'));
  const page = await browser.submit(consent, allow);
  expect([page.status, page.location]).toEqual([500, '']);
  expect(page.text).not.toContain('disk');
  world.auditing.append = append;
});
