import { createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSigningKeys, type SigningKeys } from '../../src/access/signing-keys.ts';
import {
  createKey,
  NOW,
  OTHER_TENANT,
  recordObservations,
  sampleCustomer,
  startServer,
  TENANT,
  type TestServer,
  toJwk,
} from './fixtures.ts';

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const first = createKey('first');
const second = createKey('second');
const limits = { keysMaxAgeMinutes: 60, keysStaleHours: 24, keysCooldownSeconds: 30, keysTimeoutSeconds: 5 };

const json =
  (body: unknown): Answer =>
  response =>
    void response.setHeader('content-type', 'application/json; charset=utf-8').end(JSON.stringify(body));
const serveKeys = (...keys: unknown[]) => json({ keys });

let server: TestServer;
let answer: Answer;
let requests: string[];
let clock: number;
let observations: ReturnType<typeof recordObservations>;
let keys: SigningKeys;
let tenant: ReturnType<typeof sampleCustomer>['entra'];

beforeEach(async () => {
  requests = [];
  clock = NOW;
  answer = serveKeys(toJwk(first));
  observations = recordObservations();
  server = await startServer((request, response) => {
    requests.push(request.url ?? '');
    answer(response, request);
  });
  tenant = sampleCustomer({ entra: { authority: server.origin } }).entra;
  keys = create();
});

afterEach(() => server.close());

function create(changes: Partial<typeof limits> = {}): SigningKeys {
  return createSigningKeys({
    fetch,
    now: () => clock,
    observe: observations.observe,
    limits: { ...limits, ...changes },
  });
}

const minutes = (count: number) => count * 60_000;
const hours = (count: number) => minutes(count * 60);
const thumbprint = (key: unknown) => (key instanceof Object && 'export' in key ? 'a key' : key);

describe('finding a key', () => {
  test('asks the tenant of the authority, once', async () => {
    const found = await keys.find(tenant, 'first');
    expect(found).toMatchObject({ type: 'public', asymmetricKeyType: 'rsa' });
    expect(await keys.find(tenant, 'first')).toBe(found);
    expect(keys.known(tenant, 'first')).toBe(found);
    expect(requests).toEqual([`/${TENANT}/discovery/v2.0/keys`]);
    expect(observations.of('keys-fetched')).toEqual([{ kind: 'keys-fetched', tenant: TENANT, keys: 1 }]);
  });

  test('asks once for everybody who waits', async () => {
    await Promise.all(Array.from({ length: 50 }, () => keys.find(tenant, 'first')));
    expect(requests).toHaveLength(1);
  });

  test('knows nothing before it has asked, and does not ask by itself', () => {
    expect(keys.known(tenant, 'first')).toBeUndefined();
    expect(requests).toEqual([]);
  });

  test('keeps tenants apart', async () => {
    const other = { ...tenant, tenantId: OTHER_TENANT };
    await keys.find(tenant, 'first');
    answer = serveKeys(toJwk(second));
    expect(await keys.find(other, 'first')).toBe('unknown');
    expect(thumbprint(await keys.find(other, 'second'))).toBe('a key');
    expect(await keys.find(tenant, 'second')).toBe('unknown');
  });
});

describe('age', () => {
  test('old keys serve on while new ones are fetched', async () => {
    const old = await keys.find(tenant, 'first');
    clock += minutes(60);
    expect(await keys.find(tenant, 'first')).toBe(old);
    await expect.poll(() => observations.of('keys-fetched')).toHaveLength(2);
    expect(requests).toHaveLength(2);
    expect(keys.known(tenant, 'first')).not.toBe(old);
  });

  test('a key that is no longer published goes with the refresh', async () => {
    await keys.find(tenant, 'first');
    answer = serveKeys(toJwk(second));
    clock += minutes(60);
    keys.known(tenant, 'first');
    await expect.poll(() => observations.of('keys-fetched')).toHaveLength(2);
    expect(keys.known(tenant, 'first')).toBeUndefined();
    expect(await keys.find(tenant, 'first')).toBe('unknown');
  });

  test('F7: keys beyond trust are not used, even when nothing newer can be had', async () => {
    await keys.find(tenant, 'first');
    await server.close();
    clock += hours(25) - 1;
    expect(thumbprint(await keys.find(tenant, 'first'))).toBe('a key');
    clock += minutes(1);
    expect(keys.known(tenant, 'first')).toBeUndefined();
    expect(await keys.find(tenant, 'first')).toBe('unreachable');
  });

  test('F11: a clock that was set back freezes nothing', async () => {
    clock += hours(5);
    await keys.find(tenant, 'first');
    clock -= hours(5);
    answer = serveKeys(toJwk(second));
    expect(thumbprint(await keys.find(tenant, 'second'))).toBe('a key');
  });
});

describe('F8: rotation', () => {
  test('an unknown key id fetches once, and finds the new key', async () => {
    await keys.find(tenant, 'first');
    answer = serveKeys(toJwk(second), toJwk(first));
    clock += 30_000;
    expect(thumbprint(await keys.find(tenant, 'second'))).toBe('a key');
    expect(thumbprint(await keys.find(tenant, 'first'))).toBe('a key');
    expect(requests).toHaveLength(2);
  });

  test('a storm of made-up key ids is one fetch per cooldown', async () => {
    await keys.find(tenant, 'first');
    const storm = () => Promise.all(Array.from({ length: 200 }, (_, n) => keys.find(tenant, `made-up-${n}`)));
    expect(new Set(await storm())).toEqual(new Set(['unknown']));
    expect(requests).toHaveLength(1);
    clock += 30_000;
    await storm();
    await storm();
    expect(requests).toHaveLength(2);
  });

  test('the cooldown counts failures too', async () => {
    answer = response => response.writeHead(500).end();
    for (let n = 0; n < 20; n++) expect(await keys.find(tenant, `made-up-${n}`)).toBe('unreachable');
    expect(requests).toHaveLength(1);
    clock += 30_000;
    await keys.find(tenant, 'made-up');
    expect(requests).toHaveLength(2);
  });
});

const MEGABYTE = Buffer.alloc(1024 * 1024, ' ');

const FAULTS: Record<string, Answer> = {
  'status 500': response => response.writeHead(500, { 'content-type': 'application/json' }).end('{"keys":[]}'),
  'status 404': response => response.writeHead(404).end(),
  'status 204': response => response.writeHead(204).end(),
  'a redirect to good keys': (response, { url }) =>
    url === '/good'
      ? serveKeys(toJwk(first))(response, {} as IncomingMessage)
      : response.writeHead(302, { location: '/good' }).end(),
  'HTML with status 200': response =>
    response.setHeader('content-type', 'text/html').end('<h1>Welcome to the hotel</h1>'),
  'keys as text/plain': response =>
    response.setHeader('content-type', 'text/plain').end(JSON.stringify({ keys: [toJwk(first)] })),
  'no media type': response => response.end(JSON.stringify({ keys: [toJwk(first)] })),
  garbage: response => response.setHeader('content-type', 'application/json').end('}{'),
  'invalid UTF-8': response =>
    response.setHeader('content-type', 'application/json').end(Buffer.from('7b226b657973223a5bff5d7d', 'hex')),
  'an empty body': response => response.setHeader('content-type', 'application/json').end(),
  'a list without keys': json({ keys: [] }),
  'an object without a list': json({ first: toJwk(first) }),
  'a list in place of an object': json([toJwk(first)]),
  'keys that are no keys': json({ keys: [null, 1, 'x', [], {}] }),
  'a connection that breaks off': response => {
    response.setHeader('content-type', 'application/json').setHeader('content-length', 1000).write('{"keys":[');
    response.destroy();
  },
  'a connection that is reset': response => response.destroy(),
  '10 MB': response => {
    response.setHeader('content-type', 'application/json');
    for (let n = 0; n < 10; n++) response.write(MEGABYTE);
    response.end();
  },
};

describe.each(Object.entries(FAULTS))('%s', (_, fault) => {
  test('before any keys are known: unreachable', async () => {
    answer = fault;
    expect(await keys.find(tenant, 'first')).toBe('unreachable');
    expect(observations.of('keys-unreachable')).toEqual([
      { kind: 'keys-unreachable', tenant: TENANT, reason: expect.stringMatching(/\S/) },
    ]);
    expect(requests).not.toContain('/good');
  });

  test('later: the last good keys serve on, and recover', async () => {
    const good = await keys.find(tenant, 'first');
    answer = fault;
    clock += hours(2);
    expect(await keys.find(tenant, 'unknown')).toBe('unknown');
    expect(keys.known(tenant, 'first')).toBe(good);
    expect(observations.of('keys-unreachable')).toHaveLength(1);
    answer = serveKeys(toJwk(second));
    clock += 30_000;
    expect(thumbprint(await keys.find(tenant, 'second'))).toBe('a key');
  });
});

describe('F7: an Entra that does not answer', () => {
  test.each<[string, Answer]>([
    ['at all', () => {}],
    ['to the end', response => void response.setHeader('content-type', 'application/json').write('{"keys":[')],
  ])('%s is given up', async (_, fault) => {
    keys = create({ keysTimeoutSeconds: 0.05 });
    answer = fault;
    expect(await keys.find(tenant, 'first')).toBe('unreachable');
  });

  test('is unreachable when it is down', async () => {
    await server.close();
    expect(await keys.find(tenant, 'first')).toBe('unreachable');
    expect(observations.of('keys-unreachable')[0]?.reason).toContain('ECONNREFUSED');
  });

  test('never makes those wait whose key is known and not twice its age', async () => {
    const good = await keys.find(tenant, 'first');
    answer = () => {};
    clock += hours(2);
    expect(await keys.find(tenant, 'first')).toBe(good);
    expect(await keys.find(tenant, 'first')).toBe(good);
  });

  test('F8: costs at most 64 KB, however much it sends', async () => {
    const sent = new Promise<boolean>(resolve => {
      answer = response => {
        response.on('close', () => resolve(response.writableFinished));
        response.setHeader('content-type', 'application/json');
        const more = () => void response.write(MEGABYTE);
        response.on('drain', more);
        more();
      };
    });
    expect(await keys.find(tenant, 'first')).toBe('unreachable');
    expect(await sent).toBe(false);
    expect(observations.of('keys-unreachable')[0]?.reason).toContain('larger than');
  });
});

describe('F8: keys that are not taken', () => {
  const jwk = toJwk(first);
  const weak = toJwk(createKey('bad', 1024));
  const secret = createHmac('sha256', 'x').digest('base64url');
  test.each<[string, Record<string, unknown>]>([
    ['a symmetric one', { kty: 'oct', kid: 'bad', k: secret, use: 'sig', alg: 'HS256' }],
    ['a symmetric one that says RSA', { kty: 'RSA', kid: 'bad', k: secret, use: 'sig' }],
    ['one of 1024 bits', weak],
    ['one for encryption', { ...jwk, kid: 'bad', use: 'enc' }],
    ['one for another algorithm', { ...jwk, kid: 'bad', alg: 'RS512' }],
    ['an elliptic curve', { kty: 'EC', kid: 'bad', crv: 'P-256', x: jwk.n, y: jwk.n }],
    ['one with exponent 3', { ...jwk, kid: 'bad', e: 'Aw' }],
    ['one with exponent 1', { ...jwk, kid: 'bad', e: 'AQ' }],
    ['one with an empty modulus', { ...jwk, kid: 'bad', n: '' }],
    ['one whose modulus is no base64url', { ...jwk, kid: 'bad', n: '***' }],
    ['one without a modulus', { kty: 'RSA', kid: 'bad', e: 'AQAB' }],
    ['one with a numeric id', { ...jwk, kid: 7 }],
    [
      'one of the consumer tenant',
      { ...jwk, kid: 'bad', issuer: 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0' },
    ],
    ['one of another tenant', { ...jwk, kid: 'bad', issuer: `https://login.microsoftonline.com/${OTHER_TENANT}/v2.0` }],
    ['one of another authority', { ...jwk, kid: 'bad', issuer: 'https://login.example/{tenantid}/v2.0' }],
  ])('%s', async (_, bad) => {
    answer = serveKeys(toJwk(second), bad);
    expect(await keys.find(tenant, String(bad.kid))).toBe('unknown');
    expect(thumbprint(await keys.find(tenant, 'second'))).toBe('a key');
  });

  test('one without an id', async () => {
    answer = serveKeys({ ...jwk, kid: undefined }, { ...jwk, kid: '' });
    expect(await keys.find(tenant, '')).toBe('unreachable');
  });

  test('two with one id: nobody could say which is meant', async () => {
    answer = serveKeys(jwk, { ...toJwk(second), kid: 'first' }, toJwk(second));
    expect(await keys.find(tenant, 'first')).toBe('unknown');
    expect(thumbprint(await keys.find(tenant, 'second'))).toBe('a key');
  });
});

describe('keys that are taken', () => {
  test.each<[string, () => Record<string, unknown>]>([
    ['without an issuer of their own', () => ({})],
    ['for any tenant of the authority', () => ({ issuer: `${server.origin}/{tenantid}/v2.0` })],
    ['for exactly this tenant', () => ({ issuer: `${server.origin}/${TENANT}/v2.0` })],
    ['for its v1 tokens', () => ({ issuer: `https://sts.windows.net/${TENANT}/` })],
    ['with a certificate and an algorithm', () => ({ alg: 'RS256', x5t: 'x', x5c: ['x'], cloud_instance_name: 'x' })],
    ['by mistake with their private half', () => first.privateKey.export({ format: 'jwk' })],
  ])('%s', async (_, changes) => {
    answer = serveKeys({ ...toJwk(first), ...changes() });
    expect(await keys.find(tenant, 'first')).toMatchObject({ type: 'public' });
  });
});
