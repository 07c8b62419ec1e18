import { createHmac, createPublicKey } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { verifyIdToken, verifyToken } from '../../src/access/entra.ts';
import { createSigningKeys, type SigningKeys } from '../../src/access/signing-keys.ts';
import { readToken } from '../../src/access/unverified-token.ts';
import { observeNothing } from '../../src/observe.ts';
import {
  API,
  API_URI,
  createKey,
  forge,
  NOW,
  OBJECT,
  OTHER_TENANT,
  sampleClaims,
  sampleCustomer,
  sampleV1Claims,
  TENANT,
  toJwk,
} from './fixtures.ts';

const key = createKey('current');
const foreign = createKey('foreign');
const header = { typ: 'JWT', alg: 'RS256', kid: 'current' };
const seconds = NOW / 1000;
const { entra } = sampleCustomer();

let keys: SigningKeys;
beforeAll(() => {
  const publish: typeof fetch = async () => Response.json({ keys: [toJwk(key)] });
  keys = createSigningKeys({
    fetch: publish,
    now: () => NOW,
    observe: observeNothing,
    limits: { keysMaxAgeMinutes: 60, keysStaleHours: 24, keysCooldownSeconds: 30, keysTimeoutSeconds: 5 },
  });
});

async function verify(token: string, tenant = entra) {
  const unverified = readToken(token);
  if ('refused' in unverified) return unverified;
  return verifyToken(unverified, tenant, { keys, nowMs: NOW, leewaySeconds: 60 });
}

const v2 = (claims: Record<string, unknown> = {}, headers: object = {}) =>
  verify(forge({ ...header, ...headers }, sampleClaims(claims), key.privateKey));
const v1 = (claims: Record<string, unknown> = {}) => verify(forge(header, sampleV1Claims(claims), key.privateKey));
const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString('base64url');

describe('a token of the tenant', () => {
  test('v2: says who somebody is', async () => {
    expect(await v2({ roles: ['Frame.Developer'], groups: ['g-1'], scp: 'other access_as_user' })).toEqual({
      tenantId: TENANT,
      objectId: OBJECT,
      name: 'Ada Example',
      username: 'ada@axe.example',
      groups: ['g-1'],
      appRoles: ['Frame.Developer'],
      scopes: ['other', 'access_as_user'],
      isGuest: false,
      expiresAt: NOW + 3_600_000,
      keyId: 'current',
      key: expect.anything(),
    });
  });

  test('v1: the same person', async () => {
    expect(await v1()).toMatchObject({ objectId: OBJECT, username: 'ada@axe.example', scopes: ['access_as_user'] });
  });

  test.each([
    ['upn', { preferred_username: undefined, upn: 'u@axe.example', unique_name: 'n@axe.example' }, 'u@axe.example'],
    ['unique_name', { preferred_username: undefined, unique_name: 'n@axe.example' }, 'n@axe.example'],
    ['nothing', { preferred_username: undefined, email: 'e@axe.example' }, ''],
  ])('is called by %s when preferred_username is missing', async (_, claims, username) => {
    expect(await v2(claims)).toMatchObject({ username });
  });

  test.each([API, API_URI])('may be meant for %s', async aud => {
    expect(await v2({ aud })).toMatchObject({ objectId: OBJECT });
  });

  test.each([
    ['a minute late', { exp: seconds - 59 }],
    ['a minute early', { nbf: seconds + 60, iat: seconds + 60 }],
    ['without nbf and iat', { nbf: undefined, iat: undefined }],
    ['without ver', { ver: undefined }],
    ['of a user, says idtyp', { idtyp: 'user' }],
    ['with an object id in upper case', { oid: OBJECT.toUpperCase() }],
  ])('%s is good', async (_, claims) => {
    expect(await v2(claims)).toMatchObject({ objectId: OBJECT });
  });

  test('without typ is good', async () => {
    expect(await v2({}, { typ: undefined })).toMatchObject({ objectId: OBJECT });
  });

  test.each([
    ['a list', { groups: ['a', 'b'] }, ['a', 'b']],
    ['none', {}, []],
    ['overage', { _claim_names: { groups: 'src1' }, _claim_sources: { src1: {} } }, 'unknown'],
    ['overage in the other form', { hasgroups: true }, 'unknown'],
    ['a list and overage', { groups: ['a'], hasgroups: true }, 'unknown'],
    ['overage of something else', { _claim_names: { roles: 'src1' } }, []],
  ])('groups: %s', async (_, claims, groups) => {
    expect(await v2(claims)).toMatchObject({ groups });
  });
});

describe('a guest', () => {
  test.each([
    ['acct 1', { acct: 1 }],
    ['acct as text', { acct: '1' }],
    ['another identity provider', { idp: 'live.com' }],
    ['another tenant', { idp: `https://sts.windows.net/${OTHER_TENANT}/` }],
    ['another tenant, although acct says member', { acct: 0, idp: `https://sts.windows.net/${OTHER_TENANT}/` }],
    ['#EXT# in the name', { preferred_username: 'bob_other.example#EXT#@axe.example' }],
    ['#ext# in the upn only', { upn: 'bob_other.example#ext#@axe.example' }],
    ['#EXT# in unique_name only', { unique_name: 'bob_other.example#EXT#@axe.example' }],
  ])('is known by %s', async (_, claims) => {
    expect(await v2(claims)).toMatchObject({ isGuest: true });
  });

  test.each([
    ['acct 0', { acct: 0 }],
    ['the own tenant as v1 provider', { idp: `https://sts.windows.net/${TENANT}/` }],
    ['the own tenant as v2 provider', { idp: `https://login.microsoftonline.com/${TENANT}/v2.0` }],
  ])('is not made by %s', async (_, claims) => {
    expect(await v2(claims)).toMatchObject({ isGuest: false });
  });
});

describe('a signed token is refused', () => {
  test.each<[string, Record<string, unknown>, string]>([
    [
      'of another tenant',
      { iss: `https://login.microsoftonline.com/${OTHER_TENANT}/v2.0`, tid: OTHER_TENANT },
      'wrong-issuer',
    ],
    ['of the common endpoint', { iss: 'https://login.microsoftonline.com/common/v2.0' }, 'wrong-issuer'],
    ['with the template as issuer', { iss: 'https://login.microsoftonline.com/{tenantid}/v2.0' }, 'wrong-issuer'],
    ['with a slash too many', { iss: `https://login.microsoftonline.com/${TENANT}/v2.0/` }, 'wrong-issuer'],
    ['with an issuer in upper case', { iss: `https://LOGIN.microsoftonline.com/${TENANT}/v2.0` }, 'wrong-issuer'],
    [
      'with an issuer that begins alike',
      { iss: `https://login.microsoftonline.com.evil.example/${TENANT}/v2.0` },
      'wrong-issuer',
    ],
    [
      'with the authority as v1 issuer',
      { iss: `https://login.microsoftonline.com/${TENANT}/`, ver: '1.0' },
      'wrong-issuer',
    ],
    ['with an empty issuer', { iss: '' }, 'wrong-issuer'],
    ['that says v1 under the v2 issuer', { ver: '1.0' }, 'wrong-version'],
    ['that says v2 under the v1 issuer', { iss: `https://sts.windows.net/${TENANT}/` }, 'wrong-version'],
    ['of an unknown version', { ver: '3.0' }, 'wrong-version'],
    ['with the tid of another tenant', { tid: OTHER_TENANT }, 'wrong-tenant'],
    ['with the tid in upper case', { tid: 'AAAAAAAA-0000-4000-8000-000000000001' }, 'wrong-tenant'],
    ['for another API', { aud: OTHER_TENANT }, 'wrong-audience'],
    ['for Graph', { aud: '00000003-0000-0000-c000-000000000000' }, 'wrong-audience'],
    ['for our URI with a slash', { aud: `${API_URI}/` }, 'wrong-audience'],
    ['for our id in upper case', { aud: 'API://AXE.EXAMPLE/FRAME' }, 'wrong-audience'],
    ['for our id with a space', { aud: ` ${API}` }, 'wrong-audience'],
    ['for several, us among them', { aud: [API] }, 'claim-malformed'],
    ['for nobody', { aud: undefined }, 'claim-malformed'],
    ['expired', { exp: seconds - 60 }, 'expired'],
    ['expired long ago', { exp: 0 }, 'expired'],
    ['expired and without our scope', { exp: seconds - 60, scp: 'other' }, 'expired'],
    ['that begins later', { nbf: seconds + 61 }, 'not-yet-valid'],
    ['issued in the future', { iat: seconds + 61 }, 'not-yet-valid'],
    ['without exp', { exp: undefined }, 'claim-malformed'],
    ['with exp as text', { exp: String(seconds + 3600) }, 'claim-malformed'],
    ['with nbf as text', { nbf: String(seconds) }, 'claim-malformed'],
    ['with iat as null', { iat: null }, 'claim-malformed'],
    ['without tid', { tid: undefined }, 'claim-malformed'],
    ['without oid', { oid: undefined }, 'claim-malformed'],
    ['with an oid that is no GUID', { oid: '42' }, 'claim-malformed'],
    ['with an oid inside other text', { oid: `${OBJECT} or 1=1` }, 'claim-malformed'],
    ['with a list of oids', { oid: [OBJECT] }, 'claim-malformed'],
    ['with ver as a number', { ver: 2 }, 'claim-malformed'],
    ['with scp as a list', { scp: ['access_as_user'] }, 'claim-malformed'],
    ['with one group as text', { groups: 'g-1' }, 'claim-malformed'],
    ['with numbers as groups', { groups: [1] }, 'claim-malformed'],
    ['with one role as text', { roles: 'Frame.Admin' }, 'claim-malformed'],
    ['with a name that is no text', { preferred_username: { toLowerCase: 1 } }, 'claim-malformed'],
    ['app-only', { idtyp: 'app', scp: undefined, roles: ['access_as_user'] }, 'app-only'],
    ['app-only that has a scope nevertheless', { idtyp: 'app' }, 'app-only'],
    ['of a device', { idtyp: 'device' }, 'app-only'],
    ['app-only without idtyp', { scp: undefined, roles: ['access_as_user'] }, 'scope-absent'],
    ['with an empty scp', { scp: '' }, 'scope-absent'],
    ['that is an ID token', { scp: undefined, nonce: 'x' }, 'scope-absent'],
    ['with another scope', { scp: 'User.Read' }, 'scope-missing'],
    ['with a longer scope', { scp: 'access_as_user_admin' }, 'scope-missing'],
    ['with a shorter scope', { scp: 'access_as' }, 'scope-missing'],
    ['with our scope in another case', { scp: 'Access_As_User' }, 'scope-missing'],
    ['with our scope behind a tab', { scp: 'x\taccess_as_user' }, 'scope-missing'],
  ])('%s', async (_, claims, refused) => {
    expect(await v2(claims)).toMatchObject({ refused });
  });

  test('v1 with the v2 issuer of its tenant', async () => {
    expect(await v1({ iss: `https://login.microsoftonline.com/${TENANT}/v2.0` })).toMatchObject({
      refused: 'wrong-version',
    });
  });
});

describe('another authority', () => {
  const own = { ...entra, authority: 'http://127.0.0.1:9000' };
  const at = (claims: Record<string, unknown>) => verify(forge(header, claims, key.privateKey), own);

  test.each([`http://127.0.0.1:9000/${TENANT}/`, `https://sts.windows.net/${TENANT}/`])('signs v1 as %s', async iss => {
    expect(await at(sampleV1Claims({ iss }))).toMatchObject({ objectId: OBJECT });
  });

  test('signs v2 as itself and never as the public cloud', async () => {
    expect(await at(sampleClaims({ iss: `http://127.0.0.1:9000/${TENANT}/v2.0` }))).toMatchObject({ objectId: OBJECT });
    expect(await at(sampleClaims())).toMatchObject({ refused: 'wrong-issuer' });
  });
});

describe('a forged token is refused', () => {
  const claims = sampleClaims();
  const good = forge(header, claims, key.privateKey);
  const [h = '', p = '', s = ''] = good.split('.');
  const publicPem = key.publicKey.export({ type: 'spki', format: 'pem' });
  const hmac = (headers: object, secret: string | Buffer) => {
    const input = `${encode(headers)}.${p}`;
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
  };
  const signed = (headers: object) => forge(headers, claims, key.privateKey);
  const byForeigner = (headers: object) => forge(headers, claims, foreign.privateKey);

  test.each<[string, string, string]>([
    ['alg none without a signature', `${encode({ ...header, alg: 'none' })}.${p}.`, 'token-malformed'],
    ['alg none with a signature', `${encode({ ...header, alg: 'none' })}.${p}.${s}`, 'wrong-algorithm'],
    ['alg NONE', `${encode({ ...header, alg: 'NONE' })}.${p}.${s}`, 'wrong-algorithm'],
    ['no alg', `${encode({ ...header, alg: undefined })}.${p}.${s}`, 'wrong-algorithm'],
    ['alg as a list', signed({ ...header, alg: ['RS256'] }), 'wrong-algorithm'],
    ['rs256 in lower case', signed({ ...header, alg: 'rs256' }), 'wrong-algorithm'],
    ['HS256 with our public key as the secret', hmac({ ...header, alg: 'HS256' }, publicPem), 'wrong-algorithm'],
    ['HS256 that calls itself RS256', hmac(header, publicPem), 'signature-wrong'],
    ['PS256', signed({ ...header, alg: 'PS256' }), 'wrong-algorithm'],
    ['another key under our key id', byForeigner(header), 'signature-wrong'],
    ['a key nobody published', byForeigner({ ...header, kid: 'foreign' }), 'key-unknown'],
    ['a path as key id', byForeigner({ ...header, kid: '../../../../dev/null' }), 'key-unknown'],
    ['SQL as key id', byForeigner({ ...header, kid: "' or 1=1 --" }), 'key-unknown'],
    ['__proto__ as key id', byForeigner({ ...header, kid: '__proto__' }), 'key-unknown'],
    ['an address as key id', byForeigner({ ...header, kid: 'https://evil.example/key' }), 'key-unknown'],
    ['a number as key id', signed({ ...header, kid: 7 }), 'key-id-missing'],
    ['an empty key id', signed({ ...header, kid: '' }), 'key-id-missing'],
    ['no key id', signed({ ...header, kid: undefined }), 'key-id-missing'],
    ['a key of its own', byForeigner({ ...header, jwk: toJwk(foreign) }), 'header-forbidden'],
    ['the address of a key set', byForeigner({ ...header, jku: 'https://evil.example/keys' }), 'header-forbidden'],
    ['the address of a certificate', byForeigner({ ...header, x5u: 'https://evil.example/x' }), 'header-forbidden'],
    ['a certificate of its own', byForeigner({ ...header, x5c: ['MIIB'] }), 'header-forbidden'],
    ['an unencoded payload', signed({ ...header, b64: false, crit: ['b64'] }), 'header-forbidden'],
    ['b64 without crit', signed({ ...header, b64: false }), 'header-forbidden'],
    ['an unknown critical header', signed({ ...header, crit: ['exp'] }), 'header-forbidden'],
    ['an empty crit', signed({ ...header, crit: [] }), 'header-forbidden'],
    ['compression', signed({ ...header, zip: 'DEF' }), 'header-forbidden'],
    ['the nonce of a Graph token', signed({ ...header, nonce: 'x' }), 'header-forbidden'],
    ['typ at+jwt', signed({ ...header, typ: 'at+jwt' }), 'wrong-type'],
    ['typ logout+jwt', signed({ ...header, typ: 'logout+jwt' }), 'wrong-type'],
    ['typ dpop+jwt', signed({ ...header, typ: 'dpop+jwt' }), 'wrong-type'],
    ['typ as null', signed({ ...header, typ: null }), 'wrong-type'],
    ['no signature', `${h}.${p}.`, 'token-malformed'],
    ['two parts', `${h}.${p}`, 'token-malformed'],
    ['four parts', `${good}.${s}`, 'token-malformed'],
    ['three dots', '...', 'token-malformed'],
    ['an encrypted token', `${h}.${p}.${s}.${s}.${s}`, 'token-malformed'],
    ['an empty header', `.${p}.${s}`, 'token-malformed'],
    ['an empty payload', `${h}..${s}`, 'token-malformed'],
    ['a header that is no JSON', forge('{', claims, key.privateKey), 'token-malformed'],
    ['a header that is a list', forge([], claims, key.privateKey), 'token-malformed'],
    ['a header that is null', forge('null', claims, key.privateKey), 'token-malformed'],
    ['a payload that is no JSON', forge(header, '{', key.privateKey), 'token-malformed'],
    ['a payload that is a list', forge(header, [], key.privateKey), 'token-malformed'],
    ['a payload that is text', forge(header, '"x"', key.privateKey), 'token-malformed'],
    ['padding', `${h}=.${p}.${s}`, 'token-malformed'],
    ['the other base64 alphabet', `${h}.${p}.${s.slice(0, -1)}+`, 'token-malformed'],
    ['a space inside', `${h}.${p} .${s}`, 'token-malformed'],
    ['a line break at the end', `${good}\n`, 'token-malformed'],
    ['a letter that is not ASCII', `${h}.${p}ä.${s}`, 'token-malformed'],
    ['a letter that looks like ASCII', `${h}.${p}.${s.slice(0, -1)}\u0430`, 'token-malformed'],
    ['16 KB and more', `${h}.${'A'.repeat(16 * 1024)}.${s}`, 'token-too-large'],
    ['another payload', `${h}.${encode(sampleClaims({ oid: OTHER_TENANT }))}.${s}`, 'signature-wrong'],
    ['another header', `${encode({ ...header, x: 1 })}.${p}.${s}`, 'signature-wrong'],
    ['half a signature', `${h}.${p}.${s.slice(0, 100)}`, 'signature-wrong'],
    ['a signature of zeros', `${h}.${p}.${Buffer.alloc(256).toString('base64url')}`, 'signature-wrong'],
    ['a signature longer than the key', `${h}.${p}.${Buffer.alloc(1024, 1).toString('base64url')}`, 'signature-wrong'],
  ])('%s', async (_, token, refused) => {
    expect(await verify(token)).toMatchObject({ refused });
  });

  test('a million dots cost nothing', async () => {
    expect(await verify('.'.repeat(1_000_000))).toEqual({ refused: 'token-too-large' });
  });

  test('of two claims with one name the last one counts, everywhere', async () => {
    const twice = (tids: string) =>
      forge(header, JSON.stringify(claims).replace(/"tid":"[^"]+"/, tids), key.privateKey);
    expect(await verify(twice(`"tid":"${TENANT}","tid":"${OTHER_TENANT}"`))).toMatchObject({ refused: 'wrong-tenant' });
    expect(await verify(twice(`"tid":"${OTHER_TENANT}","tid":"${TENANT}"`))).toMatchObject({ tenantId: TENANT });
  });

  test('of two algorithms with one name the last one counts, and the signature decides', async () => {
    const none = '{"alg":"RS256","alg":"none","kid":"current"}';
    const rs256 = '{"alg":"none","alg":"RS256","kid":"current"}';
    expect(await verify(forge(none, claims, key.privateKey))).toMatchObject({ refused: 'wrong-algorithm' });
    expect(await verify(forge(rs256, claims, foreign.privateKey))).toMatchObject({ refused: 'signature-wrong' });
  });

  test('claims named like members of every object', async () => {
    const token = forge(
      header,
      JSON.stringify(claims).replace('{', '{"__proto__":{"acct":1},"constructor":1,'),
      key.privateKey,
    );
    expect(await verify(token)).toMatchObject({ objectId: OBJECT, isGuest: false });
    expect(createPublicKey(key.privateKey).type).toBe('public');
  });

  test('the good one, for comparison', async () => {
    expect(await verify(good)).toMatchObject({ objectId: OBJECT });
  });
});

describe('an ID token', () => {
  const CLIENT = '55555555-0000-4000-8000-000000000005';
  const tenant = sampleCustomer({ entra: { clientId: CLIENT } }).entra;

  async function verifyId(claims: Record<string, unknown> = {}, theirs = tenant) {
    const ours = { aud: CLIENT, nonce: 'ours', scp: undefined };
    const unverified = readToken(forge(header, sampleClaims({ ...ours, ...claims }), key.privateKey));
    if ('refused' in unverified) return unverified;
    return verifyIdToken(unverified, theirs, 'ours', { keys, nowMs: NOW, leewaySeconds: 60 });
  }

  test('says who signed in', async () => {
    expect(await verifyId({ idp: 'https://sts.windows.net/elsewhere/' })).toMatchObject({
      objectId: OBJECT,
      username: 'ada@axe.example',
      scopes: [],
      isGuest: true,
    });
  });

  test.each([
    ['of another sign-in', { nonce: 'theirs' }, 'wrong-nonce'],
    ['of no sign-in', { nonce: undefined }, 'wrong-nonce'],
    ['of an empty one', { nonce: '' }, 'wrong-nonce'],
    ['for the API', { aud: API }, 'wrong-audience'],
    ['for nobody', { aud: undefined }, 'claim-malformed'],
    ['for several', { aud: [CLIENT, API] }, 'claim-malformed'],
    ['of another tenant', { tid: OTHER_TENANT }, 'wrong-tenant'],
    ['of another issuer', { iss: `https://login.microsoftonline.com/${OTHER_TENANT}/v2.0` }, 'wrong-issuer'],
    ['that is over', { exp: seconds - 61 }, 'expired'],
    ['from the future', { iat: seconds + 61 }, 'not-yet-valid'],
  ])('%s is refused', async (_, claims, refused) => {
    expect(await verifyId(claims)).toMatchObject({ refused });
  });

  test('is good for nobody where Frame has no client id', async () => {
    expect(await verifyId({}, entra)).toMatchObject({ refused: 'wrong-audience' });
  });

  test('is no access token, and the other way round', async () => {
    expect(await v2({ nonce: 'ours', scp: undefined })).toMatchObject({ refused: 'scope-absent' });
    expect(await verifyId({ aud: API, scp: 'access_as_user' })).toMatchObject({ refused: 'wrong-audience' });
  });
});
