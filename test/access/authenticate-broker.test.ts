import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type AccessTokens, createAccessTokens } from '../../src/access/access-token.ts';
import { type Access, createAccess } from '../../src/access/authenticate.ts';
import type { Customer } from '../../src/customers/customer.ts';
import { FrameError } from '../../src/errors.ts';
import { observeNothing } from '../../src/observe.ts';
import { createKey, forge, NO_KEYS, NOW, rule, sampleClaims, sampleCustomer, TENANT } from './fixtures.ts';
import { ADA, openSignInDatabase, type SignInDatabase } from './sign-in-database.ts';

const ORIGIN = 'https://axe.example';
const TOOLS = [
  { name: 'select_rows', kind: 'read' },
  { name: 'search_audit', kind: 'read' },
  { name: 'insert_rows', kind: 'write' },
  { name: 'delete_rows', kind: 'destructive' },
] as const;
const roles = new Map([
  ['admin', new Set(['*'])],
  ['editor', new Set(['select_rows', 'insert_rows'])],
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

let database: SignInDatabase;
let accessTokens: AccessTokens;
let access: Access;
let axe: Customer;
let turnedAway: unknown[];

beforeAll(async () => {
  database = await openSignInDatabase();
  const now = () => database.clock.now;
  accessTokens = await createAccessTokens({ pools: database.pools, now, observe: observeNothing, limits });
  access = createAccess({
    fetch: () => Promise.reject(new Error('Entra is not asked')),
    now,
    observe: observeNothing,
    roles,
    tools: TOOLS,
    apiKeys: NO_KEYS,
    accessTokens,
    limits,
    async onTurnedAway(customer, person, { code }) {
      turnedAway.push([customer.id, person.username, code]);
    },
  });
});
afterAll(async () => {
  await accessTokens.close();
  await database.close();
});
beforeEach(() => {
  database.clock.now = NOW;
  turnedAway = [];
  axe = brokered('admin');
});

function brokered(role: string, changes: Partial<Customer> = {}): Customer {
  return sampleCustomer({
    signIn: 'broker',
    access: [rule(1, { kind: 'domain', domain: 'axe.example' }, role)],
    ...changes,
  });
}

function authenticate(token: string, customers: readonly Customer[] = [axe]) {
  const headers = new Headers({ authorization: `Bearer ${token}` });
  return access.authenticate(
    { headers, url: new URL(`${ORIGIN}/frame/mcp`), origin: ORIGIN, requestId: 'r-1', from: '127.0.0.1' },
    customers,
  );
}

async function refusalOf(token: string, customers?: readonly Customer[]): Promise<FrameError> {
  const thrown = await authenticate(token, customers).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof FrameError) return thrown;
  throw new Error(`expected a FrameError, got ${thrown}`);
}

describe('somebody who signed in through the gateway', () => {
  test('becomes a caller, known by the program they signed in with', async () => {
    const { accessToken } = await database.signIn();
    const { tenantId, objectId, name, username } = ADA.person;
    expect(await authenticate(accessToken)).toEqual({
      customer: axe,
      person: { tenantId, objectId, name, username },
      role: 'admin',
      tools: new Set(['*']),
      rights: new Set(),
      entities: axe.entities,
      scopes: ['frame:read', 'frame:write'],
      client: 'Claude',
      rule: 'domain as admin',
    });
  });

  test('is admitted by the group and the app role that Entra told us then', async () => {
    const { accessToken } = await database.signIn();
    const byGroup = rule(1, { kind: 'group', groupId: 'aaaaaaaa-0000-4000-8000-0000000000e1' }, 'editor');
    const byAppRole = rule(1, { kind: 'app-role', appRole: 'Frame.Admin' }, 'view');
    expect(await authenticate(accessToken, [brokered('', { access: [byGroup] })])).toMatchObject({ role: 'editor' });
    expect(await authenticate(accessToken, [brokered('', { access: [byAppRole] })])).toMatchObject({ role: 'view' });
  });

  test('is turned away at the next call when the rule is gone, or the customer', async () => {
    const { accessToken } = await database.signIn();
    await authenticate(accessToken);
    const error = await refusalOf(accessToken, [brokered('', { access: [] })]);
    expect(error).toMatchObject({ code: 'access/not-admitted' });
    expect(turnedAway).toEqual([['axe', 'ada@axe.example', 'access/not-admitted']]);
    expect(await refusalOf(accessToken, [])).toMatchObject({ code: 'access/token-invalid' });
    expect(await refusalOf(accessToken, [brokered('admin', { id: 'bolt' })])).toMatchObject({
      code: 'access/token-invalid',
      detail: 'wrong-customer',
    });
  });

  test('as a guest gets in where guests do', async () => {
    const { accessToken } = await database.signIn({ person: { ...ADA.person, isGuest: true } });
    expect(await refusalOf(accessToken)).toMatchObject({ code: 'access/not-admitted', detail: 'guest' });
    const hospitable = { ...axe, entra: { ...axe.entra, guests: true } };
    expect(await authenticate(accessToken, [hospitable])).toMatchObject({ role: 'admin' });
  });

  test('is found by the token among several customers of one origin', async () => {
    const bolt = brokered('view', { id: 'bolt', domains: ['bolt.example'] });
    const { accessToken } = await database.signIn();
    expect(await authenticate(accessToken, [bolt, axe])).toMatchObject({ customer: { id: 'axe' } });
  });
});

describe('scopes', () => {
  test.each([
    ['admin', ['select_rows', 'search_audit'], ['insert_rows', 'delete_rows']],
    ['editor', ['select_rows'], ['insert_rows']],
    ['view', ['select_rows'], []],
  ])('read only leaves %s the tools that only read', async (role, tools, withheld) => {
    const { accessToken } = await database.signIn({ scopes: ['frame:read'] });
    expect(await authenticate(accessToken, [brokered(role)])).toMatchObject({
      tools: new Set(tools),
      withheldTools: new Set(withheld),
      scopes: ['frame:read'],
    });
  });

  test('to write includes to read', async () => {
    const { accessToken } = await database.signIn({ scopes: ['frame:write'] });
    const caller = await authenticate(accessToken, [brokered('editor')]);
    expect(caller.tools).toEqual(new Set(['select_rows', 'insert_rows']));
    expect(caller.withheldTools).toBeUndefined();
  });

  test.each([[[]], [['offline_access']], [['frame:READ']]])('%j are not enough: sign in for more', async scopes => {
    const { accessToken } = await database.signIn({ scopes });
    expect(await refusalOf(accessToken)).toMatchObject({ code: 'access/scope-missing' });
  });

  test('come after the token: a bad one with a small scope is a bad one', async () => {
    const { accessToken } = await database.signIn({ scopes: [] });
    database.clock.now += 3_600_000;
    expect(await refusalOf(accessToken)).toMatchObject({ code: 'access/token-invalid', detail: 'expired' });
  });
});

describe('the customer decides whose tokens count', () => {
  test('a genuine token of its Entra tenant is bad where people sign in through the gateway', async () => {
    const key = createKey('k');
    const genuine = forge({ alg: 'RS256', typ: 'JWT', kid: 'k' }, sampleClaims({ tid: TENANT }), key.privateKey);
    expect(await refusalOf(genuine)).toMatchObject({ code: 'access/token-invalid', detail: 'wrong-issuer' });
  });

  test('a token of ours is bad for a customer that now signs in at Entra', async () => {
    const { accessToken } = await database.signIn();
    expect(await refusalOf(accessToken, [{ ...axe, signIn: 'direct' }])).toMatchObject({
      code: 'access/token-invalid',
    });
    const other = brokered('view', { id: 'bolt' });
    expect(await refusalOf(accessToken, [{ ...axe, signIn: 'direct' }, other])).toMatchObject({
      code: 'access/token-invalid',
      detail: 'wrong-customer',
    });
  });

  test.each(['refreshToken', 'accessToken'] as const)('nothing but an access token counts: %s', async kind => {
    const { [kind]: token } = await database.signIn();
    const outcome = await authenticate(token).then(
      () => 'in',
      ({ code, message }: FrameError) => [code, message],
    );
    expect(outcome).toEqual(kind === 'accessToken' ? 'in' : ['access/token-invalid', 'The access token is invalid.']);
  });
});

test('an unreachable database is 503 for good and bad tokens alike, without a challenge to sign in', async () => {
  const { accessToken } = await database.signIn();
  await database.postgres.kill();
  for (const token of [accessToken, `frame_at_${'A'.repeat(43)}`]) {
    expect(await refusalOf(token)).toMatchObject({ code: 'unavailable', retryable: true, retryAfterSeconds: 1 });
  }
  await database.postgres.start();
});
