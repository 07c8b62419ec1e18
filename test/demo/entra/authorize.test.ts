import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { createStandInEntra, type StandInEntra } from '../../../src/demo/entra/stand-in-entra.ts';
import { NOW } from '../../access/fixtures.ts';
import { AXE, AXE_API, axe, bolt, NATIVE, RESOURCE, SCOPE, WEB } from './sample-tenants.ts';
import { answerLogin, authorizePath, REDIRECT } from './sign-in.ts';

let entra: StandInEntra;
beforeEach(() => {
  entra = createStandInEntra({ tenants: [axe, bolt], now: () => NOW, authority: 'http://127.0.0.1:3713' });
});

const open = (changes: Record<string, string | undefined> = {}, tenantId?: string) =>
  entra.app.request(authorizePath(changes, tenantId));

describe('the login page', () => {
  test('lists the people of the tenant, every text escaped', async () => {
    const response = await open();
    const page = await response.text();
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=UTF-8');
    expect(page).toContain('Sign in to AXE LLC');
    expect(page).toContain('<strong>Claude Code</strong> asks who you are');
    for (const { objectId } of axe.people) expect(page).toContain(`value="${objectId}"`);
    expect(page).toContain('&lt;b&gt;Bob&lt;/b&gt; &quot;B&quot; O&#39;Neil &amp; Sons');
    expect(page).toContain('reads &lt;everything&gt;');
    expect(page).not.toContain('<b>Bob');
    expect(page).not.toContain('Ben Bolt');
  });

  test('escapes the name of the application', async () => {
    const page = await (await open({ client_id: WEB, redirect_uri: axe.clients[1]?.redirects[0]?.uri })).text();
    expect(page).toContain('Frame &lt;gateway&gt;');
  });

  test('has no script and allows none, nor frames, nor caching', async () => {
    const response = await open();
    expect(response.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; frame-ancestors 'none'$/,
    );
    expect(response.headers.get('cache-control')).toBe('no-store');
    const page = await response.text();
    expect(page).not.toMatch(/<script|\son\w+=|style="/i);
    const [, style = ''] = /<style>([\s\S]*)<\/style>/.exec(page) ?? [];
    expect(response.headers.get('content-security-policy')).toContain(
      `'sha256-${createHash('sha256').update(style).digest('base64')}'`,
    );
  });

  test('puts whom the client expects first', async () => {
    const names = async (login_hint?: string) =>
      [...(await (await open({ login_hint })).text()).matchAll(/<small>([^<]+@[^<]+)<\/small>/g)].map(
        ([, name]) => name,
      );
    expect((await names())[0]).toBe('ada@axe.example');
    expect((await names('MAX@axe.example'))[0]).toBe('max@axe.example');
    expect((await names('nobody@axe.example'))[0]).toBe('ada@axe.example');
    expect(await names('max@axe.example')).toHaveLength(axe.people.length);
  });

  test.each(['login', 'consent', 'select_account'])('is shown for prompt=%s', async prompt => {
    expect((await open({ prompt })).status).toBe(200);
  });

  test('answers the client with a code and its state', async () => {
    const answer = await answerLogin(entra, authorizePath(), { person: 'ada@axe.example' });
    expect(`${answer.origin}${answer.pathname}`).toBe(REDIRECT);
    expect(Object.fromEntries(answer.searchParams)).toEqual({
      code: expect.stringMatching(/^1\.[\w-]{64}$/),
      session_state: expect.any(String),
      state: 'st&te',
    });
  });

  test('keeps the query of the redirect URI, and knows the person by object id', async () => {
    const redirect_uri = axe.clients[1]?.redirects[0]?.uri;
    const path = authorizePath({ client_id: WEB, redirect_uri, code_challenge: undefined });
    const answer = await answerLogin(entra, path, { person: axe.people[0]?.objectId ?? '' });
    expect(answer.searchParams.get('kept')).toBe('1');
    expect(answer.searchParams.has('code')).toBe(true);
  });

  test('may be cancelled', async () => {
    const answer = await answerLogin(entra, authorizePath(), { answer: 'cancel' });
    expect(answer.searchParams.get('error')).toBe('access_denied');
    expect(answer.searchParams.get('error_description')).toMatch(/^AADSTS65004: /);
    expect(answer.searchParams.get('state')).toBe('st&te');
  });

  test.each([{}, { person: '' }, { person: 'ben@bolt.example' }, { person: '__proto__' }])(
    'signs nobody in for %j',
    async form => {
      const answer = await answerLogin(entra, authorizePath(), form as Record<string, string>);
      expect(answer.searchParams.get('error_description')).toMatch(/^AADSTS50034: /);
    },
  );
});

describe('redirect URIs', () => {
  test.each([
    'http://localhost/callback',
    'http://localhost:1/callback',
    'http://127.0.0.1:65535/callback',
    'cursor://anysphere.cursor-mcp/oauth/callback',
  ])('%s is one of the client', async redirect_uri => {
    expect((await open({ redirect_uri })).status).toBe(200);
  });

  test.each([
    'http://localhost:51234/callback/',
    'http://localhost:51234/Callback',
    'http://localhost:51234/callback?x=1',
    'http://localhost:51234/callback#x',
    'http://localhost:51234/',
    'http://localhost:51234@evil.example/callback',
    'http://localhost.evil.example/callback',
    'http://LOCALHOST:51234/callback',
    'https://localhost:51234/callback',
    'http://[::1]:51234/callback',
    'http://localhost:123456/callback',
    'https://evil.example/callback',
    'javascript:alert(1)',
    'cursor://anysphere.cursor-mcp/oauth/callback2',
    'not a url',
  ])('%s is not, and nothing is sent there', async redirect_uri => {
    const response = await open({ redirect_uri });
    expect(response.status).toBe(400);
    expect(response.headers.get('location')).toBeNull();
    expect(await response.text()).toContain('AADSTS50011');
  });

  test('a port counts where it is registered and no loopback', async () => {
    const response = await open({ client_id: WEB, redirect_uri: 'https://axe.example:444/callback/entra?kept=1' });
    expect(response.status).toBe(400);
  });
});

describe('refused on a page of its own', () => {
  test.each<[string, Record<string, string | undefined>, string]>([
    ['an unknown client', { client_id: '99999999-0000-4000-8000-000000000000' }, 'AADSTS700016'],
    ['no client', { client_id: undefined }, 'AADSTS900144'],
    ['no redirect URI', { redirect_uri: undefined }, 'AADSTS900144'],
    ['a client of markup', { client_id: '<script>alert(1)</script>' }, '&lt;script&gt;'],
  ])('%s', async (_, changes, text) => {
    const response = await open(changes);
    expect(response.status).toBe(400);
    const page = await response.text();
    expect(page).toContain(text);
    expect(page).not.toContain('<script>');
  });

  test('an unknown tenant', async () => {
    for (const tenant of [
      '99999999-0000-4000-8000-000000000000',
      'common',
      'organizations',
      '__proto__',
      AXE.toUpperCase(),
    ]) {
      const response = await open({}, tenant);
      expect(response.status).toBe(400);
      expect(await response.text()).toContain('AADSTS90002');
    }
  });

  test('a parameter twice', async () => {
    const response = await entra.app.request(`${authorizePath()}&redirect_uri=https%3A%2F%2Fevil.example`);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('AADSTS9000411');
  });
});

describe('sent back to the client', () => {
  test.each<[string, Record<string, string | undefined>, string, string]>([
    ['another response type', { response_type: 'token' }, 'unsupported_response_type', 'AADSTS700054'],
    ['no response type', { response_type: undefined }, 'invalid_request', 'AADSTS900144'],
    ['another response mode', { response_mode: 'fragment' }, 'invalid_request', 'AADSTS70007'],
    ['prompt=none', { prompt: 'none' }, 'login_required', 'AADSTS50058'],
    ['another prompt', { prompt: 'dance' }, 'invalid_request', 'AADSTS90023'],
    ['no challenge', { code_challenge: undefined }, 'invalid_request', 'AADSTS9002325'],
    ['a plain challenge', { code_challenge_method: 'plain' }, 'invalid_request', 'AADSTS50147'],
    [
      'a challenge without a method, which means plain',
      { code_challenge_method: undefined },
      'invalid_request',
      'AADSTS50147',
    ],
    ['a short challenge', { code_challenge: 'abc' }, 'invalid_request', 'AADSTS50147'],
    ['no scope', { scope: undefined }, 'invalid_request', 'AADSTS900144'],
    ['a blank scope', { scope: '  ' }, 'invalid_request', 'AADSTS900144'],
    ['a bare scope', { scope: 'access_as_user' }, 'invalid_resource', 'AADSTS65005'],
    ['an unknown scope', { scope: `${SCOPE}x` }, 'invalid_scope', 'AADSTS70011'],
    ['an unknown resource', { scope: 'api://other/access_as_user' }, 'invalid_scope', 'AADSTS70011'],
    ['two resources', { scope: `${SCOPE} ${AXE_API}/more` }, 'invalid_scope', 'AADSTS70011'],
    [
      'a resource that is not of the scope',
      { resource: 'https://axe.example/frame/mcp' },
      'invalid_target',
      'AADSTS9010010',
    ],
    ['a resource with a bare scope', { resource: RESOURCE, scope: 'openid' }, 'invalid_target', 'AADSTS9010010'],
    ['a resource with a slash more', { resource: `${RESOURCE}/` }, 'invalid_target', 'AADSTS9010010'],
  ])('%s', async (_, changes, error, number) => {
    const response = await open(changes);
    expect(response.status).toBe(302);
    const { searchParams } = new URL(response.headers.get('location') ?? '');
    expect(searchParams.get('error')).toBe(error);
    expect(searchParams.get('error_description')).toMatch(
      new RegExp(`^${number}: .+Trace ID: .+Timestamp: 2026-11-20 12:00:00Z$`),
    );
    expect(searchParams.get('state')).toBe('st&te');
    expect(searchParams.has('code')).toBe(false);
  });

  test('the same on the way back from the page', async () => {
    const path = authorizePath({ resource: 'https://axe.example/frame/mcp' });
    const answer = await answerLogin(entra, path, { person: 'ada@axe.example' });
    expect(answer.searchParams.get('error')).toBe('invalid_target');
  });

  test('a resource that is a name of the API is no error', async () => {
    expect((await open({ resource: RESOURCE, scope: `${RESOURCE}/access_as_user` })).status).toBe(200);
  });
});

describe('what a tenant publishes', () => {
  test('version 2', async () => {
    const response = await entra.app.request(`/${AXE}/v2.0/.well-known/openid-configuration`);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const document = await response.json();
    expect(document).toMatchObject({
      issuer: `http://127.0.0.1:3713/${AXE}/v2.0`,
      jwks_uri: `http://127.0.0.1:3713/${AXE}/discovery/v2.0/keys`,
      authorization_endpoint: `http://127.0.0.1:3713/${AXE}/oauth2/v2.0/authorize`,
    });
    for (const missing of [
      'code_challenge_methods_supported',
      'registration_endpoint',
      'authorization_response_iss_parameter_supported',
    ]) {
      expect(document).not.toHaveProperty(missing);
    }
  });

  test('version 1', async () => {
    const document = await (await entra.app.request(`/${AXE}/.well-known/openid-configuration`)).json();
    expect(document).toMatchObject({ issuer: `http://127.0.0.1:3713/${AXE}/` });
  });

  test.each(['v2.0/.well-known/openid-configuration', '.well-known/openid-configuration', 'discovery/v2.0/keys'])(
    'nothing at %s for an unknown tenant',
    async path => {
      const response = await entra.app.request(`/common/${path}`);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({
        error_codes: [90002],
        error_description: expect.stringMatching(/^AADSTS90002: /),
      });
    },
  );

  test('keys that say whose they are, public halves only', async () => {
    for (const path of ['discovery/v2.0/keys', 'discovery/keys']) {
      const text = expect.any(String);
      expect(await (await entra.app.request(`/${AXE}/${path}`)).json()).toEqual({
        keys: [
          {
            kty: 'RSA',
            use: 'sig',
            kid: text,
            x5t: text,
            n: text,
            e: 'AQAB',
            issuer: `http://127.0.0.1:3713/${AXE}/v2.0`,
          },
        ],
      });
    }
  });

  test('a browser may read it with headers of its own', async () => {
    const response = await entra.app.request(`/${AXE}/v2.0/.well-known/openid-configuration`, {
      method: 'OPTIONS',
      headers: {
        origin: 'http://localhost:6274',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'mcp-protocol-version',
      },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-headers')).toContain('mcp-protocol-version');
  });

  test('nothing elsewhere, and no page for a client of another tenant', async () => {
    expect((await entra.app.request('/')).status).toBe(404);
    expect((await entra.app.request(`/${AXE}/.well-known/oauth-authorization-server`)).status).toBe(404);
    expect((await open({ client_id: NATIVE, redirect_uri: 'http://localhost:1' })).status).toBe(400);
  });
});
