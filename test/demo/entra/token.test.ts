import { decodeProtectedHeader } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import { createStandInEntra, type StandInEntra } from '../../../src/demo/entra/stand-in-entra.ts';
import { NOW } from '../../access/fixtures.ts';
import { AXE, AXE_API, axe, BOLT, bolt, NATIVE, RESOURCE, SCOPE, SECRET, SPA, WEB } from './sample-tenants.ts';
import { claimsOf, obtainCode, postToken, readJson } from './sign-in.ts';

const AUTHORITY = 'http://127.0.0.1:3713';
const WEB_REDIRECT = 'https://axe.example/callback/entra?kept=1';
const SPA_REDIRECT = 'http://localhost:6274/oauth/callback';
const SPA_ORIGIN = { origin: 'http://localhost:6274' };

let clock: number;
let entra: StandInEntra;
beforeEach(() => {
  clock = NOW;
  entra = createStandInEntra({ tenants: [axe, bolt], now: () => clock, authority: AUTHORITY });
});

const redeem = async (...args: Parameters<typeof postToken> extends [unknown, ...infer Rest] ? Rest : never) => {
  const response = await postToken(entra, ...args);
  return { status: response.status, headers: response.headers, body: await readJson(response) };
};
const errorOf = (number: number, error = 'invalid_grant') => ({
  error,
  error_codes: [number],
  error_description: expect.stringMatching(new RegExp(`^AADSTS${number}: `)),
  trace_id: expect.any(String),
  correlation_id: expect.any(String),
});

describe('a code', () => {
  test('becomes tokens of the API that was asked for', async () => {
    const { form } = await obtainCode(entra, { nonce: 'n-1', scope: `${SCOPE} openid profile email offline_access` });
    const { status, headers, body } = await redeem(form);
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toMatchObject({ token_type: 'Bearer', scope: SCOPE, expires_in: 3600 });
    expect(claimsOf(body.access_token)).toMatchObject({
      aud: AXE_API,
      iss: `${AUTHORITY}/${AXE}/v2.0`,
      exp: NOW / 1000 + 3600,
      azp: NATIVE,
      name: 'Ada Axe',
      oid: axe.people[0]?.objectId,
      preferred_username: 'ada@axe.example',
      roles: ['Frame.Admin'],
      scp: 'access_as_user',
      tid: AXE,
      ver: '2.0',
      acct: 0,
    });
    expect(claimsOf(body.id_token)).toMatchObject({ aud: NATIVE, nonce: 'n-1', email: 'ada@axe.example', tid: AXE });
    expect(claimsOf(body.id_token)).not.toHaveProperty('scp');
    expect(claimsOf(body.id_token).sub).not.toBe(claimsOf(body.access_token).sub);
  });

  test('becomes v1 tokens where the API wants them', async () => {
    const redirect_uri = 'http://localhost:7777';
    const scope = 'api://bolt.example/frame/access_as_user';
    const { form } = await obtainCode(entra, { redirect_uri, scope }, 'ben@bolt.example', BOLT);
    const { body } = await redeem(form, {}, BOLT);
    expect(claimsOf(body.access_token)).toMatchObject({
      aud: 'api://bolt.example/frame',
      iss: `${AUTHORITY}/${BOLT}/`,
      appid: NATIVE,
      unique_name: 'ben@bolt.example',
      ver: '1.0',
    });
    expect(body).not.toHaveProperty('id_token');
    expect(body).not.toHaveProperty('refresh_token');
  });

  test('of .default is for every scope, in the words it was asked', async () => {
    const { form } = await obtainCode(entra, { scope: `${RESOURCE}/.default`, resource: RESOURCE });
    const { body } = await redeem({ ...form, resource: RESOURCE });
    expect(body.scope).toBe(`${RESOURCE}/access_as_user ${RESOURCE}/more`);
    expect(claimsOf(body.access_token)).toMatchObject({ aud: AXE_API, scp: 'access_as_user more' });
  });

  test('without a scope of the API is for Graph, and marked so', async () => {
    const { form } = await obtainCode(entra, { scope: 'openid' });
    const { body } = await redeem(form);
    expect(claimsOf(body.access_token)).toMatchObject({ aud: '00000003-0000-0000-c000-000000000000' });
    expect(decodeProtectedHeader(String(body.access_token))).toHaveProperty('nonce');
  });

  test('tells guests and too many groups as Entra does', async () => {
    const claimsFor = async (person: string) => {
      const { form } = await obtainCode(entra, {}, person);
      return claimsOf((await redeem(form)).body.access_token);
    };
    expect(await claimsFor('gus@elsewhere.example')).toMatchObject({ acct: 1, idp: expect.any(String) });
    expect(await claimsFor('bob@axe.example')).toMatchObject({ groups: axe.people[1]?.groups });
    const many = await claimsFor('max@axe.example');
    expect(many).not.toHaveProperty('groups');
    expect(many).toMatchObject({ _claim_names: { groups: 'src1' } });
  });

  test('is good once', async () => {
    const { form } = await obtainCode(entra);
    const both = await Promise.all([redeem(form), redeem(form)]);
    expect(both.map(({ status }) => status).sort()).toEqual([200, 400]);
    expect((await redeem(form)).body).toMatchObject(errorOf(54005));
  });

  test('is good for a minute', async () => {
    const { form } = await obtainCode(entra);
    clock += 60_000;
    expect((await redeem(form)).body).toMatchObject(errorOf(70008));
    clock += 3_600_000;
    await obtainCode(entra);
    expect((await redeem(form)).body).toMatchObject(errorOf(70000));
  });

  test('survives a client that got it wrong', async () => {
    const { form } = await obtainCode(entra);
    await redeem({ ...form, client_secret: 'x' });
    expect((await redeem(form)).status).toBe(200);
  });

  test.each<[string, Record<string, string | undefined>, number, string?]>([
    ['another verifier', { code_verifier: 'x'.repeat(43) }, 501481],
    ['no verifier', { code_verifier: undefined }, 501481],
    ['another redirect URI', { redirect_uri: 'http://localhost:51235/callback' }, 500112],
    ['no redirect URI', { redirect_uri: undefined }, 900144, 'invalid_request'],
    ['another code', { code: '1.made-up' }, 70000],
    ['no code', { code: undefined }, 900144, 'invalid_request'],
    ['another client', { client_id: SPA }, 70000],
    ['an unknown client', { client_id: '99999999-0000-4000-8000-000000000000' }, 700016, 'unauthorized_client'],
    ['no client', { client_id: undefined }, 900144, 'invalid_request'],
    ['a secret of a public client', { client_secret: 'x' }, 700025, 'invalid_client'],
    ['another grant type', { grant_type: 'password' }, 70003, 'unsupported_grant_type'],
    ['no grant type', { grant_type: undefined }, 900144, 'invalid_request'],
    ['a resource', { resource: 'https://axe.example/frame/mcp' }, 9010010, 'invalid_target'],
    ['scopes nobody agreed to', { scope: `${SCOPE} api://axe.example/frame/more` }, 65001],
    ['an unknown scope', { scope: 'Mail.Read' }, 65005, 'invalid_resource'],
  ])('with %s is refused', async (_, changes, number, error) => {
    const { form } = await obtainCode(entra);
    const { status, body } = await redeem({ ...form, ...changes });
    expect(status).toBe(error === 'invalid_client' ? 401 : 400);
    expect(body).toMatchObject(errorOf(number, error));
    expect(body).not.toHaveProperty('access_token');
  });

  test('is refused in another tenant', async () => {
    const { form } = await obtainCode(entra);
    expect((await redeem(form, {}, BOLT)).body).toMatchObject(errorOf(70000));
  });

  test('is refused when a parameter stands there twice', async () => {
    const { form } = await obtainCode(entra);
    const body = new URLSearchParams(Object.entries(form).map(([name, value]) => [name, value ?? '']));
    body.append('code', 'other');
    const response = await entra.app.request(`/${AXE}/oauth2/v2.0/token`, { method: 'POST', body });
    expect(await response.json()).toMatchObject({ error_codes: [9000411] });
  });

  test('of 64 KB and more is not even read', async () => {
    const response = await postToken(entra, { code: 'x'.repeat(70_000) });
    expect(response.status).toBe(413);
  });
});

describe('a client with a secret', () => {
  const ask = { client_id: WEB, redirect_uri: WEB_REDIRECT };
  const basic = (id: string, secret: string) => ({
    authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
  });

  test('may send it in the form or in the header', async () => {
    const inForm = await obtainCode(entra, ask);
    expect((await redeem({ ...inForm.form, client_secret: SECRET })).status).toBe(200);
    const inHeader = await obtainCode(entra, ask);
    expect((await redeem({ ...inHeader.form, client_id: undefined }, basic(WEB, SECRET))).status).toBe(200);
  });

  test('may do without PKCE, but not pretend it did', async () => {
    const { form } = await obtainCode(entra, { ...ask, code_challenge: undefined, code_challenge_method: undefined });
    expect((await redeem({ ...form, client_secret: SECRET })).body).toMatchObject(errorOf(501481));
    expect((await redeem({ ...form, client_secret: SECRET, code_verifier: undefined })).status).toBe(200);
  });

  test.each<[string, Record<string, string | undefined>, Record<string, string>, number]>([
    ['no secret', {}, {}, 7000218],
    ['another secret', { client_secret: `${SECRET}x` }, {}, 7000215],
    ['a secret of another length', { client_secret: 'x' }, {}, 7000215],
    ['another secret in the header', {}, basic(WEB, 'x'), 7000215],
    ['a header without a secret', {}, basic(WEB, ''), 7000218],
  ])('is refused with %s', async (_, changes, headers, number) => {
    const { form } = await obtainCode(entra, ask);
    const { status, body } = await redeem({ ...form, ...changes }, headers);
    expect(status).toBe(401);
    expect(body).toMatchObject(errorOf(number, 'invalid_client'));
  });
});

describe('an application in a browser', () => {
  const ask = { client_id: SPA, redirect_uri: SPA_REDIRECT };

  test('redeems from its origin, and may read the answer', async () => {
    const { form } = await obtainCode(entra, ask);
    const { status, headers } = await redeem(form, SPA_ORIGIN);
    expect(status).toBe(200);
    expect(headers.get('access-control-allow-origin')).toBe('*');
  });

  test('redeems from nowhere else', async () => {
    const { form } = await obtainCode(entra, ask);
    expect((await redeem(form)).body).toMatchObject(errorOf(9002327, 'invalid_request'));
  });

  test('is the only kind that may', async () => {
    const { form } = await obtainCode(entra);
    expect((await redeem(form, SPA_ORIGIN)).body).toMatchObject(errorOf(9002326, 'invalid_request'));
  });
});

describe('a refresh token', () => {
  const refresh = (refresh_token: unknown, changes: Record<string, string | undefined> = {}) =>
    redeem({ grant_type: 'refresh_token', client_id: NATIVE, refresh_token: String(refresh_token), ...changes });
  const obtain = async (person?: string) => {
    const { form } = await obtainCode(entra, {}, person);
    return String((await redeem(form)).body.refresh_token);
  };

  test('is replaced on every use; as at Entra the old one stays good', async () => {
    const first = await obtain();
    clock += 3_600_000;
    const { status, body } = await refresh(first);
    expect(status).toBe(200);
    expect(body.refresh_token).not.toBe(first);
    expect(claimsOf(body.access_token)).toMatchObject({ iat: clock / 1000, scp: 'access_as_user' });
    expect((await refresh(body.refresh_token, { scope: SCOPE })).status).toBe(200);
    expect((await refresh(first)).status).toBe(200);
  });

  test('says nothing to whoever holds it', async () => {
    const token = await obtain();
    expect(token.split('.')).toHaveLength(5);
    expect(Buffer.from(token.split('.')[3] ?? '', 'base64url').toString()).not.toContain('aaaaaaaa');
  });

  test('is not given unless offline_access was asked for', async () => {
    const { form } = await obtainCode(entra, { scope: SCOPE });
    expect((await redeem(form)).body).not.toHaveProperty('refresh_token');
  });

  test('ends after 90 days, in a browser after one', async () => {
    const native = await obtain();
    const { form } = await obtainCode(entra, { client_id: SPA, redirect_uri: SPA_REDIRECT });
    const spa = String((await redeem(form, SPA_ORIGIN)).body.refresh_token);
    clock += 86_400_000;
    const grant = { grant_type: 'refresh_token', client_id: SPA, refresh_token: spa };
    expect((await redeem(grant, SPA_ORIGIN)).body).toMatchObject(errorOf(700082));
    expect((await refresh(native)).status).toBe(200);
    clock += 89 * 86_400_000;
    expect((await refresh(native)).body).toMatchObject(errorOf(700082));
  });

  test.each<[string, (token: string) => Record<string, string | undefined>, number, string?]>([
    ['altered', token => ({ refresh_token: `${token.slice(0, -2)}AA` }), 9002313],
    ['made up', () => ({ refresh_token: 'abc' }), 9002313],
    ['missing', () => ({ refresh_token: undefined }), 900144, 'invalid_request'],
    ['of another client', () => ({ client_id: SPA }), 70000],
    ['sent with a secret', () => ({ client_secret: 'x' }), 700025, 'invalid_client'],
    ['asked for more', () => ({ scope: 'api://axe.example/frame/more' }), 65001],
    ['sent with a resource', () => ({ resource: 'https://axe.example/frame/mcp' }), 9010010, 'invalid_target'],
  ])('%s is refused', async (_, changes, number, error) => {
    const token = await obtain();
    expect((await refresh(token, changes(token))).body).toMatchObject(errorOf(number, error));
  });

  test('is refused in another tenant', async () => {
    const token = await obtain();
    const grant = { grant_type: 'refresh_token', client_id: NATIVE, refresh_token: token };
    expect((await redeem(grant, {}, BOLT)).body).toMatchObject(errorOf(9002313));
  });
});
