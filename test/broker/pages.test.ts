import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { consentPage } from '../../src/broker/consent-page.ts';
import { emailPage } from '../../src/broker/email-page.ts';
import { errorPage, type Trouble } from '../../src/broker/error-page.ts';
import { readerOf } from '../../src/broker/page.ts';
import { languageOf, WORDS } from '../../src/broker/page-words.ts';
import type { SignIn } from '../../src/broker/sign-ins.ts';

const HOSTILE = `<img src=x onerror=alert(1)>"'&{company}`;

const signIn: SignIn = {
  customer: 'axe',
  clientId: 'c',
  clientName: 'Claude',
  clientHost: undefined,
  redirectUri: 'https://app.example:8443/cb?x=1',
  state: 'the state',
  codeChallenge: 'the challenge',
  resource: 'https://axe.example/frame/mcp',
  scopes: ['frame:read', 'frame:write'],
  loginHint: undefined,
};

const readerIn = (language: string) => readerOf(new Headers({ 'accept-language': language }));
const consentIn = (language: string, changes: Partial<SignIn> = {}, company = 'AXE LLC') =>
  consentPage(readerIn(language), { id: 'the-id', signIn: { ...signIn, ...changes }, company, cookie: 'a=b' });
const textOf = async (page: Promise<Response>) => (await page).text();
const placeholdersOf = (sentence: string) => [...sentence.matchAll(/\{\w+\}/g)].map(String).sort();

describe('the words', () => {
  test('are the same in every language', () => {
    expect(Object.keys(WORDS.ko)).toEqual(Object.keys(WORDS.en));
  });

  test.each(Object.keys(WORDS.en) as (keyof typeof WORDS.en)[])('%s says as much in Korean', word => {
    expect(WORDS.ko[word]).not.toBe('');
    expect(placeholdersOf(WORDS.ko[word])).toEqual(placeholdersOf(WORDS.en[word]));
  });

  test.each([
    [null, 'en'],
    ['', 'en'],
    ['de', 'en'],
    ['ko', 'ko'],
    ['KO-kr', 'ko'],
    ['ko-KR,ko;q=0.9,en;q=0.8', 'ko'],
    ['en-US,en;q=0.9,ko;q=0.8', 'en'],
    ['de, ko;q=0.5', 'ko'],
    ['en;q=0.2, ko;q=0.7', 'ko'],
    ['ko;q=0, de', 'en'],
    ['kok', 'en'],
    ['*', 'en'],
    ['ko;q=x', 'en'],
  ])('for `%s` they are in %s', (header, language) => {
    expect(languageOf(new Headers(header === null ? {} : { 'accept-language': header }))).toBe(language);
  });
});

describe.each(['en', 'ko'])('the pages in %s', language => {
  const pages: [string, () => Promise<Response>][] = [
    ['consent', () => consentIn(language, { clientName: HOSTILE, clientHost: HOSTILE }, HOSTILE)],
    [
      'e-mail',
      () =>
        emailPage(readerIn(language), {
          id: 'the-id',
          signIn: { clientName: HOSTILE },
          unknown: HOSTILE,
          cookie: 'a=b',
        }),
    ],
    [
      'trouble',
      () =>
        errorPage(readerIn(language), 'not-admitted', {
          requestId: HOSTILE,
          values: { username: HOSTILE, company: HOSTILE },
          back: { client: HOSTILE, sealed: HOSTILE },
        }),
    ],
  ];

  test.each(pages)('%s: everything is escaped', async (_, open) => {
    const text = await textOf(open());
    expect(text).not.toContain('<img');
    expect(text).not.toContain(`"'&{`);
    expect(text).toContain('&lt;img src=x onerror=alert(1)&gt;');
  });

  test.each(pages)('%s: says its language, runs nothing and loads nothing', async (_, open) => {
    const response = await open();
    const text = await response.text();
    expect(response.headers.get('content-language')).toBe(language);
    expect(text).toContain(`<html lang="${language}">`);
    expect(text).not.toMatch(/<script|<link|<iframe|<img| src=[^x]|style="|url\(|@import|http-equiv/);
  });

  test.each(pages)('%s: nobody may frame, keep or follow it', async (_, open) => {
    const { headers } = await open();
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/]+='; base-uri 'none'; frame-ancestors 'none'$/,
    );
  });

  test.each(pages)('%s: the policy names the style that stands there', async (_, open) => {
    const response = await open();
    const style = /<style>([\s\S]*?)<\/style>/.exec(await response.text())?.[1] ?? '';
    const digest = createHash('sha256').update(style).digest('base64');
    expect(response.headers.get('content-security-policy')).toContain(`'sha256-${digest}'`);
  });

  const troubles: Trouble[] = [
    'client-unknown',
    'client-unreachable',
    'redirect-wrong',
    'request-broken',
    'form-foreign',
    'sign-in-over',
    'not-admitted',
    'busy',
    'failed',
  ];
  test.each(troubles)('the trouble %s leaves no placeholder open', async trouble => {
    const values = { username: 'ada@axe.example', company: 'AXE LLC' };
    const response = await errorPage(readerIn(language), trouble, { requestId: 'r1', values });
    expect(response.status).toBeGreaterThanOrEqual(400);
    const main = /<main>([\s\S]*)<\/main>/.exec(await response.text())?.[1] ?? '';
    expect(main).not.toMatch(/[{}]|undefined/);
    expect(main).toContain('r1');
  });
});

describe('the consent page', () => {
  test('names client, company and the whole host of the address', async () => {
    const text = await textOf(consentIn('en'));
    expect(text).toContain('<b>Claude</b>');
    expect(text).toContain('<b>AXE LLC</b>');
    expect(text).toContain('<strong>app.example:8443</strong>');
  });

  test('says that nobody vouches for a client that registered', async () => {
    const text = await textOf(consentIn('en'));
    expect(text).toContain(WORDS.en.clientUnverified);
    expect(text).not.toContain(WORDS.en.loopbackWarning);
  });

  test('names the host whose document describes the client', async () => {
    const text = await textOf(consentIn('en', { clientHost: 'claude.ai' }));
    expect(text).toContain('<b>claude.ai</b>');
    expect(text).not.toContain(WORDS.en.clientUnverified);
  });

  test.each(['http://127.0.0.1:51234/callback', 'http://localhost/callback', 'http://[::1]:9/'])(
    'warns of %s, which any program on the computer may use',
    async redirectUri => {
      expect(await textOf(consentIn('en', { redirectUri }))).toContain(WORDS.en.loopbackWarning);
    },
  );

  test('shows the beginning of an address that has a scheme of its own', async () => {
    const redirectUri = 'cursor://anysphere.cursor-mcp/oauth/callback';
    expect(await textOf(consentIn('en', { redirectUri }))).toContain('<strong>cursor://anysphere.cursor-mcp</strong>');
  });

  test('offers what was asked for, and less, and chooses nothing beforehand', async () => {
    const text = await textOf(consentIn('en'));
    expect(text).toMatch(/value="read"\s+required/);
    expect(text).toMatch(/value="write"\s+required/);
    expect(text).not.toMatch(/<input[^>]*checked/);
  });

  test('offers no more than was asked for', async () => {
    const text = await textOf(consentIn('en', { scopes: ['frame:read'] }));
    expect(text).toMatch(/value="read"\s+checked/);
    expect(text).not.toContain('value="write"');
  });

  test('carries nothing that a thief could use', async () => {
    const text = await textOf(consentIn('en'));
    for (const secret of ['the state', 'the challenge', 'x=1']) expect(text).not.toContain(secret);
  });
});
