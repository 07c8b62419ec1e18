import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Access, createAccess } from '../../src/access/authenticate.ts';
import type { Customer } from '../../src/customers/customer.ts';
import { createStandInEntra, type StandInEntra } from '../../src/demo/entra/stand-in-entra.ts';
import { FrameError } from '../../src/errors.ts';
import { AXE, axe as axeTenant, BOLT, bolt as boltTenant } from '../demo/entra/sample-tenants.ts';
import { NO_KEYS, NOW, recordObservations, rule, sampleCustomer, startServer } from './fixtures.ts';

const roles = new Map([
  ['admin', new Set(['*'])],
  ['view', new Set(['select_rows'])],
]);
const limits = {
  leewaySeconds: 60,
  rememberSeconds: 300,
  rememberTokens: 100,
  keysMaxAgeMinutes: 60,
  keysStaleHours: 24,
  keysCooldownSeconds: 30,
  keysTimeoutSeconds: 5,
};

let clock: number;
let entra: StandInEntra;
let keyFetches: number;
let observations: ReturnType<typeof recordObservations>;
let access: Access;
let axe: Customer;
let bolt: Customer;
let turnedAway: unknown[];

beforeEach(async () => {
  clock = NOW;
  entra = createStandInEntra({ tenants: [axeTenant, boltTenant], now: () => clock });
  await entra.listen('127.0.0.1', 0);
  keyFetches = 0;
  observations = recordObservations();
  access = create(async (input, init) => {
    keyFetches++;
    return fetch(input, init);
  });
  axe = sampleCustomer({
    access: [
      rule(1, { kind: 'app-role', appRole: 'Frame.Admin' }, 'admin'),
      rule(2, { kind: 'group', groupId: 'aaaaaaaa-0000-4000-8000-0000000000e1' }, 'view'),
    ],
    entra: {
      tenantId: AXE,
      authority: entra.authority,
      audience: ['api://axe.example/frame', axeTenant.api.clientId],
    },
  });
  bolt = sampleCustomer({
    id: 'bolt',
    domains: ['bolt.example'],
    access: [rule(1, { kind: 'domain', domain: 'bolt.example' }, 'view')],
    entra: { tenantId: BOLT, authority: entra.authority, audience: ['api://bolt.example/frame'] },
  });
});

afterEach(() => entra.close());

function create(fetchKeys: typeof fetch): Access {
  turnedAway = [];
  return createAccess({
    fetch: fetchKeys,
    now: () => clock,
    observe: observations.observe,
    roles,
    tools: [],
    apiKeys: NO_KEYS,
    accessTokens: {
      find() {
        throw new Error('tokens of ours do not count here');
      },
    },
    limits,
    async onTurnedAway(customer, person, { code }, requestId) {
      turnedAway.push([customer.id, person.username, code, requestId]);
    },
  });
}

function authenticate(token: string, customers: readonly Customer[] = [axe]) {
  return access.authenticate(
    {
      headers: new Headers({ authorization: `Bearer ${token}` }),
      url: new URL('https://axe.example/frame/mcp'),
      origin: 'https://axe.example',
      requestId: 'r-1',
      from: '127.0.0.1',
    },
    customers,
  );
}

async function refusalOf(attempt: Promise<unknown>): Promise<FrameError> {
  const thrown = await attempt.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof FrameError) return thrown;
  throw new Error(`expected a FrameError, got ${thrown}`);
}

describe('a member', () => {
  test('becomes a caller', async () => {
    expect(await authenticate(await entra.mint('ada@axe.example'))).toEqual({
      customer: axe,
      person: {
        tenantId: AXE,
        objectId: 'aaaaaaaa-0000-4000-8000-0000000000d1',
        name: 'Ada Axe',
        username: 'ada@axe.example',
      },
      role: 'admin',
      tools: new Set(['*']),
      rights: new Set(),
      entities: axe.entities,
      scopes: ['access_as_user', 'more'],
      rule: 'app-role as admin',
    });
    expect(observations.of('access-refused')).toEqual([]);
  });

  test('may come with a v1 token', async () => {
    expect(await authenticate(await entra.mint('ben@bolt.example'), [bolt])).toMatchObject({
      customer: { id: 'bolt' },
      person: { username: 'ben@bolt.example', tenantId: BOLT },
    });
  });

  test('is admitted by a group, in whatever case the name is written', async () => {
    expect(await authenticate(await entra.mint('bob@axe.example'))).toMatchObject({ role: 'view' });
  });

  test('is found by the token among several customers of one host', async () => {
    const both = [axe, bolt];
    expect(await authenticate(await entra.mint('ben@bolt.example'), both)).toMatchObject({ customer: { id: 'bolt' } });
    expect(await authenticate(await entra.mint('ada@axe.example'), both)).toMatchObject({ customer: { id: 'axe' } });
  });
});

describe('nobody gets in', () => {
  test('without a credential', async () => {
    const url = new URL('https://axe.example/frame/mcp');
    const request = { headers: new Headers(), url, origin: 'https://axe.example', requestId: 'r-1', from: '127.0.0.1' };
    const error = await refusalOf(access.authenticate(request, [axe]));
    expect(error.code).toBe('access/token-missing');
    expect(observations.of('access-refused')).toEqual([
      { kind: 'access-refused', requestId: 'r-1', reason: 'credential-missing' },
    ]);
  });

  test('with a token of another customer, served or not: the answers are alike', async () => {
    const foreign = await entra.mint('ben@bolt.example');
    const unknown = await entra.mint('ada@axe.example', {
      claims: { iss: 'https://login.microsoftonline.com/99999999-0000-4000-8000-000000000000/v2.0' },
    });
    await authenticate(foreign, [axe, bolt]);
    const answers = [await refusalOf(authenticate(foreign)), await refusalOf(authenticate(unknown))];
    expect(answers.map(answer => answer.toPublic())).toEqual([
      {
        code: 'access/token-invalid',
        message: 'The access token is invalid.',
        hint: 'Sign in again.',
        retryable: false,
      },
      {
        code: 'access/token-invalid',
        message: 'The access token is invalid.',
        hint: 'Sign in again.',
        retryable: false,
      },
    ]);
  });

  test('with a token that names one tenant and is signed by another', async () => {
    const claims = { iss: `${entra.authority}/${AXE}/v2.0`, ver: '2.0', tid: AXE, aud: axeTenant.api.clientId };
    const error = await refusalOf(authenticate(await entra.mint('ben@bolt.example', { claims }), [axe, bolt]));
    expect(error).toMatchObject({ code: 'access/token-invalid', detail: 'key-unknown' });
  });

  test('with a token of ours, where people sign in at Entra', async () => {
    expect(await refusalOf(authenticate(`frame_at_${'A'.repeat(43)}`))).toMatchObject({
      code: 'access/token-invalid',
      detail: 'token-malformed',
    });
    expect(keyFetches).toBe(0);
  });

  test('where nobody is served', async () => {
    const error = await refusalOf(authenticate(await entra.mint('ada@axe.example'), []));
    expect(error.code).toBe('access/token-invalid');
    expect(keyFetches).toBe(0);
  });

  test.each([
    ['expired', { exp: NOW / 1000 - 3600 }, 'The access token is expired.'],
    ['wrong-audience', { aud: 'api://other' }, 'The access token is not meant for this resource.'],
    ['scope-absent', { scp: undefined }, 'The access token is invalid.'],
    ['claim-malformed: oid', { oid: 7 }, 'The access token is invalid.'],
    ['not-yet-valid', { nbf: NOW / 1000 + 3600 }, 'The access token is invalid.'],
  ])('%s: outside little, inside the reason', async (reason, claims, message) => {
    const error = await refusalOf(authenticate(await entra.mint('ada@axe.example', { claims })));
    expect(error.toPublic()).toEqual({
      code: 'access/token-invalid',
      message,
      hint: 'Sign in again.',
      retryable: false,
    });
    expect(observations.of('access-refused')).toMatchObject([{ reason }]);
  });

  test('with too small a scope', async () => {
    const token = await entra.mint('ada@axe.example', { claims: { scp: 'more' } });
    expect(await refusalOf(authenticate(token))).toMatchObject({ code: 'access/scope-missing' });
  });

  test('without an access rule', async () => {
    axe = { ...axe, access: [rule(1, { kind: 'person', username: 'someone@axe.example' }, 'admin')] };
    const error = await refusalOf(authenticate(await entra.mint('ada@axe.example')));
    expect(error).toMatchObject({ code: 'access/not-admitted', detail: expect.stringContaining('no-access-rule') });
    expect(error.message).not.toContain('axe');
    expect(turnedAway).toEqual([['axe', 'ada@axe.example', 'access/not-admitted', 'r-1']]);
  });

  test('as often as they like, but only the first sixty times in a minute leave a record', async () => {
    axe = { ...axe, access: [] };
    const [ada, bob] = [await entra.mint('ada@axe.example'), await entra.mint('bob@axe.example')];
    for (let i = 0; i < 70; i += 1) {
      expect(await refusalOf(authenticate(ada))).toMatchObject({ code: 'access/not-admitted' });
    }
    expect(turnedAway).toHaveLength(60);
    expect(observations.of('access-refused')).toHaveLength(70);
    await refusalOf(authenticate(bob));
    expect(turnedAway.at(-1)).toContain('Bob@axe.example');
    clock += 60_000;
    await refusalOf(authenticate(ada));
    expect(turnedAway).toHaveLength(62);
  });

  test('from a domain that is not the customer’s', async () => {
    const claims = { preferred_username: 'ada@evil.example' };
    expect(await refusalOf(authenticate(await entra.mint('ada@axe.example', { claims })))).toMatchObject({
      code: 'access/not-admitted',
    });
  });

  test('when groups alone would admit, and there are too many to be listed', async () => {
    expect(await refusalOf(authenticate(await entra.mint('max@axe.example')))).toMatchObject({
      code: 'access/not-admitted',
    });
  });

  test('with a role that no longer exists', async () => {
    axe = { ...axe, access: [rule(1, { kind: 'domain', domain: 'axe.example' }, 'gone')] };
    expect(await refusalOf(authenticate(await entra.mint('ada@axe.example')))).toMatchObject({
      code: 'access/not-admitted',
      detail: 'role-unknown: gone',
    });
  });
});

describe('a guest', () => {
  beforeEach(() => {
    axe = {
      ...axe,
      domains: ['axe.example', 'elsewhere.example'],
      access: [rule(1, { kind: 'domain', domain: 'elsewhere.example' }, 'admin')],
    };
  });

  test('is not admitted, whatever the rules say', async () => {
    expect(await refusalOf(authenticate(await entra.mint('gus@elsewhere.example')))).toMatchObject({
      code: 'access/not-admitted',
      detail: 'guest',
    });
  });

  test('is, where the customer wants guests and a rule admits', async () => {
    axe = { ...axe, entra: { ...axe.entra, guests: true } };
    expect(await authenticate(await entra.mint('gus@elsewhere.example'))).toMatchObject({ role: 'admin' });
  });
});

describe('a remembered token', () => {
  test('costs one look at the keys', async () => {
    const token = await entra.mint('ada@axe.example');
    for (let n = 0; n < 5; n++) await authenticate(token);
    expect(keyFetches).toBe(1);
  });

  test('ends when it expires', async () => {
    const token = await entra.mint('ada@axe.example', { claims: { exp: NOW / 1000 + 10 } });
    await authenticate(token);
    clock += 71_000;
    expect(await refusalOf(authenticate(token))).toMatchObject({ detail: 'expired' });
  });

  test('ends when its key is gone', async () => {
    const token = await entra.mint('ada@axe.example');
    await authenticate(token);
    await entra.rotateKeys(AXE);
    await entra.rotateKeys(AXE);
    clock += 30_000;
    await refusalOf(authenticate(await entra.mint('ada@axe.example', { header: { kid: 'made-up' } })));
    expect(await refusalOf(authenticate(token))).toMatchObject({ detail: 'key-unknown' });
  });

  test('is admitted by the rules of now', async () => {
    const token = await entra.mint('ada@axe.example');
    expect(await authenticate(token)).toMatchObject({ role: 'admin' });
    axe = { ...axe, access: [rule(1, { kind: 'domain', domain: 'axe.example' }, 'view')] };
    expect(await authenticate(token)).toMatchObject({ role: 'view' });
    axe = { ...axe, access: [] };
    expect(await refusalOf(authenticate(token))).toMatchObject({ code: 'access/not-admitted' });
  });

  test('is checked against the audience and scope of now', async () => {
    const token = await entra.mint('ada@axe.example');
    await authenticate(token);
    axe = { ...axe, entra: { ...axe.entra, audience: ['api://new'] } };
    expect(await refusalOf(authenticate(token))).toMatchObject({ detail: 'wrong-audience' });
    axe = { ...axe, entra: { ...axe.entra, audience: [axeTenant.api.clientId], scope: 'new' } };
    expect(await refusalOf(authenticate(token))).toMatchObject({ code: 'access/scope-missing' });
  });

  test('opens no other host', async () => {
    const token = await entra.mint('ben@bolt.example');
    await authenticate(token, [bolt]);
    expect(await refusalOf(authenticate(token, [axe]))).toMatchObject({ code: 'access/token-invalid' });
    expect(await authenticate(token, [bolt])).toMatchObject({ customer: { id: 'bolt' } });
  });
});

describe('F7, F8: Entra', () => {
  test('rotates its keys: tokens old and new are good', async () => {
    const old = await entra.mint('ada@axe.example');
    await authenticate(old);
    await entra.rotateKeys(AXE);
    clock += 30_000;
    expect(await authenticate(await entra.mint('ada@axe.example'))).toMatchObject({ role: 'admin' });
    expect(await authenticate(old)).toMatchObject({ role: 'admin' });
    expect(keyFetches).toBe(2);
  });

  test('is down from the start: try again later, without a challenge to sign in', async () => {
    const token = await entra.mint('ada@axe.example');
    await entra.close();
    expect(await refusalOf(authenticate(token))).toMatchObject({
      code: 'unavailable',
      retryable: true,
      retryAfterSeconds: 30,
      detail: 'keys-unreachable',
    });
  });

  test('goes down: everybody whose key is known works on', async () => {
    await authenticate(await entra.mint('ada@axe.example'));
    await entra.close();
    clock += 3 * 3_600_000;
    expect(await authenticate(await entra.mint('bob@axe.example'))).toMatchObject({ role: 'view' });
    const stranger = await entra.mint('ada@axe.example', { header: { kid: 'unknown' } });
    expect(await refusalOf(authenticate(stranger))).toMatchObject({
      code: 'access/token-invalid',
      detail: 'key-unknown',
    });
    await expect.poll(() => observations.of('keys-unreachable')).toHaveLength(1);
  });

  test('is down for one customer and up for another', async () => {
    const dead = await startServer(() => {});
    await dead.close();
    const lost = { ...bolt, entra: { ...bolt.entra, authority: dead.origin } };
    const token = await entra.mint('ben@bolt.example', { claims: { iss: `${dead.origin}/${BOLT}/` } });
    expect(await refusalOf(authenticate(token, [axe, lost]))).toMatchObject({ code: 'unavailable' });
    expect(await authenticate(await entra.mint('ada@axe.example'), [axe, lost])).toMatchObject({ role: 'admin' });
  });

  test('is asked once by a storm of forged tokens', async () => {
    const forged = await Promise.all(
      Array.from({ length: 50 }, (_, n) => entra.mint('ada@axe.example', { header: { kid: `made-up-${n}` } })),
    );
    await Promise.all(forged.map(token => refusalOf(authenticate(token))));
    expect(keyFetches).toBe(1);
  });
});
