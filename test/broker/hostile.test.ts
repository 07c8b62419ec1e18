import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Customer } from '../../src/customers/customer.ts';
import { ask, type Reply } from '../e2e/wire.ts';
import {
  agreeAndSignIn,
  answerOf,
  createBrowser,
  createProgram,
  type Page,
  type Program,
  REDIRECT,
  type TestBrowser,
} from './browser.ts';
import { type Internet, startInternet } from './internet.ts';
import { ADA, BEN, GUS, openWorld, type World } from './world.ts';

/** What strangers try, over real HTTP. Each attack is tried where it would work, and the owner's own way works after it. */
const SHARED = 'https://shared.example/client.json';
const OVER = 'This sign-in is over';
const allow = { access: 'write', answer: 'allow' };

let internet: Internet;
let world: World;
let both: readonly Customer[];
let program: Program;
let browser: TestBrowser;

beforeAll(async () => {
  const document = { client_id: SHARED, client_name: 'Shared', redirect_uris: [REDIRECT] };
  internet = await startInternet(new Map([[SHARED, document]]));
  world = await openWorld(['axe', 'bolt'], {}, internet.network);
  both = world.customers.current;
});
beforeEach(async () => {
  serveOnly('axe');
  program = await createProgram(world);
  browser = createBrowser();
});
afterAll(async () => {
  await world?.close();
  await internet?.[Symbol.asyncDispose]();
});

function serveOnly(id: string): void {
  world.customers.current = both.filter(customer => customer.id === id);
}

const sessions = async () => (await world.query('select count(*)::int from frame.oauth_sessions'))[0]?.[0];

async function codeFor(changes: Record<string, string | undefined> = {}): Promise<string> {
  const consent = await browser.open(program.url(changes));
  return answerOf(await browser.open(await agreeAndSignIn(browser, consent, ADA))).code ?? '';
}

async function redeem(code: string, changes: Record<string, string | undefined> = {}) {
  const form = {
    grant_type: 'authorization_code',
    client_id: program.id,
    code,
    redirect_uri: REDIRECT,
    code_verifier: program.verifier,
    ...changes,
  };
  const given = Object.entries(form).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
  const answer = await fetch(`${world.origin}/token`, { method: 'POST', body: new URLSearchParams(given) });
  const { error } = z.looseObject({ error: z.string().optional() }).parse(await answer.json());
  return [answer.status, error];
}

describe('a stolen code', () => {
  test('is worth nothing to another program, elsewhere, or without the verifier', async () => {
    const code = await codeFor();
    const thief = await createProgram(world, { client_name: 'Thief' });
    const otherPort = REDIRECT.replace('51234', '51235');
    const attempts: [Record<string, string | undefined>, string][] = [
      [{ client_id: thief.id }, 'invalid_grant'],
      [{ client_id: thief.id, code_verifier: thief.verifier }, 'invalid_grant'],
      [{ client_id: SHARED }, 'invalid_grant'],
      [{ code_verifier: thief.verifier }, 'invalid_grant'],
      [{ redirect_uri: otherPort }, 'invalid_grant'],
      [{ redirect_uri: undefined }, 'invalid_request'],
      [{ code_verifier: undefined }, 'invalid_request'],
      [{ code_verifier: '' }, 'invalid_request'],
      [{ code_verifier: undefined, code_challenge_method: 'plain' }, 'invalid_request'],
      [{ resource: 'https://evil.example/frame/mcp' }, 'invalid_target'],
    ];
    for (const [changes, error] of attempts) expect(await redeem(code, changes)).toEqual([400, error]);
    expect(await redeem(code)).toEqual([200, undefined]);
  });

  test('of another person cannot be slipped into a program: it has another challenge', async () => {
    const attacker = { code: await codeFor(), id: program.id };
    const victim = await createProgram(world);
    const slipped = { client_id: attacker.id, code_verifier: victim.verifier };
    expect(await redeem(attacker.code, slipped)).toEqual([400, 'invalid_grant']);
  });
});

describe('mix-ups', () => {
  test('every answer names us, as our metadata do', async () => {
    const answer = await fetch(`${world.origin}/.well-known/oauth-authorization-server`);
    const { issuer } = z.looseObject({ issuer: z.string() }).parse(await answer.json());
    const refused = await browser.open(program.url({ response_type: 'token' }));
    const cancelled = await browser.submit(await browser.open(program.url()), { answer: 'cancel' });
    const done = await browser.open(await agreeAndSignIn(browser, await browser.open(program.url()), ADA));
    for (const page of [refused, cancelled, done]) {
      expect(new URL(page.location).searchParams.getAll('iss')).toEqual([issuer]);
      expect(new URL(page.location).searchParams.getAll('state')).toHaveLength(1);
    }
  });

  test('somebody of another company comes back with the state of this one', async () => {
    world.customers.current = both;
    const [axe, bolt] = both;
    const email = await browser.open(program.url());
    const consent = await browser.submit(email, { email: 'ada@axe.example', answer: 'email' });
    const { location } = await browser.submit(consent, allow);
    const elsewhere = location
      .replace(axe?.entra.tenantId ?? '', bolt?.entra.tenantId ?? '')
      .replace(axe?.entra.clientId ?? '', bolt?.entra.clientId ?? '');
    const back = await browser.submit(await browser.open(elsewhere), { person: BEN });
    const before = await sessions();
    expect(answerOf(await browser.open(back.location)).error).toBe('server_error');
    expect(await sessions()).toBe(before);
  });

  test('a return at another origin, where the company has moved meanwhile', async () => {
    const callback = await agreeAndSignIn(browser, await browser.open(program.url()), ADA);
    moveToHttps();
    const cookie = `__Host-frame-sign-in=${browser.cookies.get('frame-sign-in')}`;
    const reply = await askAt('axe.example', toPath(callback), { cookie });
    expect([reply.status, reply.headers.location]).toEqual([400, undefined]);
    expect(reply.body).toContain(OVER);
    expect(world.audited.at(-1)).toMatchObject({ outcome: 'refused', arguments: { reason: 'other-origin' } });
  });

  test('the state of the client is not the state of the trip', async () => {
    await browser.submit(await browser.open(program.url()), allow);
    const forged = new URLSearchParams({ state: 'the state & more', code: 'x' });
    expect((await browser.open(`${world.origin}/callback/entra?${forged}`)).text).toContain(OVER);
  });
});

describe('an authorization server in the middle, with an id that everybody may use', () => {
  test.each([{}, { prompt: 'none' }, { prompt: 'none', login_hint: 'ada@axe.example' }])(
    'agreement is never remembered: %j',
    async more => {
      await codeFor({ client_id: SHARED });
      const again = await browser.open(program.url({ client_id: SHARED, ...more }));
      expect([again.status, again.location]).toEqual([200, '']);
      expect(again.text).toContain('<b>shared.example</b>');
    },
  );

  test('what the person agreed to for one request opens nothing for another', async () => {
    const mine = await browser.open(program.url({ client_id: SHARED, state: 'mine' }));
    const theirs = await browser.open(program.url({ client_id: SHARED, state: 'theirs' }));
    const callback = await agreeAndSignIn(browser, mine, ADA);
    expect(answerOf(await browser.open(callback)).state).toBe('mine');
    expect((await browser.open(callback)).text).toContain(OVER);
    expect((await browser.submit(theirs, allow)).status).toBe(303);
  });
});

describe('consent', () => {
  test.each(['GET', 'HEAD', 'PUT'])('cannot be given by %s', async method => {
    const consent = await browser.open(program.url());
    const id = /name="sign_in" value="([\w-]+)"/.exec(consent.text)?.[1] ?? '';
    const cookie = `frame-page=${browser.cookies.get('frame-page')}`;
    const query = new URLSearchParams({ sign_in: id, ...allow });
    const answer = await fetch(`${world.origin}/consent?${query}`, { method, headers: { cookie }, redirect: 'manual' });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST']);
  });

  test('is not taken from the address of a form', async () => {
    const consent = await browser.open(program.url());
    const id = /name="sign_in" value="([\w-]+)"/.exec(consent.text)?.[1] ?? '';
    const page = await browser.submit({ ...consent, text: '', url: `${world.origin}/consent?sign_in=${id}` }, allow);
    expect([page.status, page.location]).toEqual([400, '']);
  });

  test('of a page that was loaded twice at once works in the one that came last', async () => {
    const pages = await Promise.all([browser.open(program.url()), browser.open(program.url())]);
    const kept = browser.cookies.get('frame-page') ?? '';
    const last = pages.filter(({ headers }) => headers.getSetCookie().join().includes(kept));
    expect(last).toHaveLength(1);
    for (const page of last) expect((await browser.submit(page, allow)).status).toBe(303);
  });

  test('of a page that was loaded again works in both', async () => {
    const [first, second] = [await browser.open(program.url()), await browser.open(program.url())];
    for (const page of [first, second]) expect((await browser.submit(page, allow)).status).toBe(303);
  });
});

describe('we send nobody to a stranger', () => {
  test.each([
    'https://app.example@evil.example/cb',
    'https://app.example.evil.example/cb',
    'https://evil.example/https://app.example/cb',
    'https://app.example\\@evil.example/cb',
    'https://app.example/cb/../../evil',
    'https://app.example/cb#@evil.example',
    'https://app.example/cb?next=//evil.example',
    'https://APP.example/cb',
    'https://app.example:443/cb',
    'https://app.example/cb%00',
    'http://app.example/cb',
    '//evil.example/cb',
    'javascript:alert(1)//https://app.example/cb',
    'data:text/html,x',
  ])('%s', async redirect_uri => {
    const theirs = await createProgram(world, { redirect_uris: ['https://app.example/cb'] });
    for (const changes of [{}, { response_type: 'token' }]) {
      const page = await browser.open(theirs.url({ redirect_uri, ...changes }));
      expect([page.status, page.location]).toEqual([400, '']);
      expect(page.text).not.toMatch(/(?:href|action)="(?!\/consent")/);
    }
  });

  test.each(['redirect_uri', 'url', 'next', 'return_to'])('not from the callback by %s', async name => {
    const query = new URLSearchParams({ [name]: 'https://evil.example', error: 'access_denied' });
    const page = await browser.open(`${world.origin}/callback/entra?${query}`);
    expect([page.status, page.location]).toEqual([400, '']);
  });
});

describe('nobody puts our pages into theirs', () => {
  const pages: [string, () => Promise<Page>][] = [
    ['the work e-mail', openEmail],
    [
      'an unknown work e-mail',
      async () => browser.submit(await openEmail(), { email: 'x@y.example', answer: 'email' }),
    ],
    ['consent', () => browser.open(program.url())],
    ['an unknown program', () => browser.open(program.url({ client_id: 'nobody' }))],
    [
      'a foreign form',
      async () => browser.submit(await browser.open(program.url()), allow, { origin: 'https://e.example' }),
    ],
    ['a sign-in that is over', () => browser.open(`${world.origin}/callback/entra?state=x`)],
    [
      'somebody who is not let in',
      async () => browser.open(await agreeAndSignIn(browser, await browser.open(program.url()), GUS)),
    ],
  ];
  test.each(pages)('%s', async (_, open) => {
    const { headers } = await open();
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });

  test('no way on carries a referrer or is kept', async () => {
    const agreed = await browser.submit(await browser.open(program.url()), allow);
    const done = await browser.open(await agreeAndSignIn(browser, await browser.open(program.url()), ADA));
    for (const { headers } of [agreed, done]) {
      expect([headers.get('referrer-policy'), headers.get('cache-control')]).toEqual(['no-referrer', 'no-store']);
    }
  });
});

describe('cookies', () => {
  const SHAPE = /^frame-(page|sign-in)=[\w-]{22,43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax$/;

  test('on this machine are plain, for us alone and for ten minutes', async () => {
    const consent = await browser.open(program.url());
    const agreed = await browser.submit(consent, allow);
    for (const { headers } of [consent, agreed]) {
      expect(headers.getSetCookie()).toEqual([expect.stringMatching(SHAPE)]);
    }
  });

  test('over https are __Host- and Secure, and the plain ones count for nothing', async () => {
    moveToHttps();
    const consent = await askAt('axe.example', toPath(program.url({ resource: undefined })));
    const [pageCookie = ''] = consent.headers['set-cookie'] ?? [];
    expect(pageCookie).toMatch(
      /^__Host-frame-page=[\w-]{22,43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
    );

    const [pair = ''] = pageCookie.split(';');
    const body = new URLSearchParams({
      sign_in: /name="sign_in" value="([\w-]+)"/.exec(consent.body)?.[1] ?? '',
      ...allow,
    });
    const agree = (cookie: string) => askAt('axe.example', '/consent', { cookie, origin: 'https://axe.example' }, body);
    expect((await agree(pair.replace('__Host-', ''))).body).toContain(OVER);
    const agreed = await agree(pair);
    expect(agreed.status).toBe(303);
    expect(agreed.headers['set-cookie']).toEqual([
      expect.stringMatching(
        /^__Host-frame-sign-in=[\w-]{22,43}; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
      ),
    ]);
  });
});

describe('the e-mail page tells a stranger nothing', () => {
  const answerTo = async (email: string) => {
    const { status, text } = await browser.submit(await openEmail(), { email, answer: 'email' });
    const page = text.replace(/name="sign_in" value="[\w-]+"/, '').replaceAll(email, 'E');
    return { status, page };
  };

  test('about people: whoever they say they are at a company, it leads on', async () => {
    expect(await answerTo('nobody@axe.example')).toEqual(await answerTo('ada@axe.example'));
  });

  test('about companies of other gateways, or none', async () => {
    expect(await answerTo('ada@nowhere.example')).toEqual(await answerTo('somebody@microsoft.com'));
  });
});

function openEmail(): Promise<Page> {
  world.customers.current = both;
  return browser.open(program.url());
}

function moveToHttps(): void {
  world.customers.current = world.customers.current.map(customer => ({
    ...customer,
    origin: 'https://axe.example',
    host: 'axe.example',
  }));
}

const toPath = (url: string) => url.slice(world.origin.length);

/** Under a public name, as the proxy in front of us would. */
function askAt(
  host: string,
  path: string,
  headers: Record<string, string> = {},
  body?: URLSearchParams,
): Promise<Reply> {
  const port = Number(new URL(world.origin).port);
  if (!body) return ask(port, path, { host, headers });
  const type = { 'content-type': 'application/x-www-form-urlencoded' };
  return ask(port, path, { host, method: 'POST', headers: { ...headers, ...type }, body: body.toString() });
}
