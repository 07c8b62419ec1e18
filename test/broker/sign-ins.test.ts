import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSignIns, type SignInRequest, type SignIns } from '../../src/broker/sign-ins.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let signIns: SignIns;
let nowMs = Date.now();

const here = { proofHash: `\\x${'aa'.repeat(32)}`, origin: 'https://axe.example' };
const agreement = { scopes: ['frame:read'], upstreamState: 'the state', upstream: 'sealed' };
const request: SignInRequest = {
  customer: 'axe',
  clientId: 'c',
  clientName: `Robert'); drop table "x"; --`,
  clientHost: undefined,
  redirectUri: 'https://app.example/cb',
  state: ' a\n{"state"}, \\ and 한국어 ',
  codeChallenge: 'challenge',
  resource: 'https://axe.example/frame/mcp',
  scopes: ['frame:read', 'frame:write', 'a,"b"'],
};

beforeAll(async () => {
  world = await openWorld();
  signIns = createSignIns({ pools: world.pools, now: () => nowMs, transactionMinutes: 10 });
});
afterAll(() => world?.close());

const count = async () => (await world.query('select count(*)::int from frame.oauth_sign_ins'))[0]?.[0];

test('what was begun is found as it was', async () => {
  const id = await signIns.begin(request, here);
  expect(await signIns.find(id, here)).toEqual({ ...request, loginHint: undefined });
  expect(await signIns.choose(id, here, 'bolt', 'ben@bolt.example')).toEqual({
    ...request,
    customer: 'bolt',
    loginHint: 'ben@bolt.example',
  });
});

test('in other hands, at another origin or too late it is not there', async () => {
  const id = await signIns.begin(request, here);
  const others = { ...here, proofHash: `\\x${'bb'.repeat(32)}` };
  const elsewhere = { ...here, origin: 'https://bolt.example' };
  for (const at of [others, elsewhere]) {
    expect(await signIns.find(id, at)).toBeUndefined();
    expect(await signIns.choose(id, at, 'axe', '')).toBeUndefined();
    expect(await signIns.agree(id, at, agreement)).toBeUndefined();
    expect(await signIns.drop(id, at)).toBeUndefined();
  }
  nowMs += 10 * 60_000;
  expect(await signIns.find(id, here)).toBeUndefined();
  expect(await signIns.agree(id, here, agreement)).toBeUndefined();
});

test('nothing comes back before the person agreed, and then once', async () => {
  const id = await signIns.begin(request, here);
  expect(await signIns.take('the state')).toBeUndefined();
  await signIns.agree(id, here, agreement);
  const taken = await Promise.all(Array.from({ length: 10 }, () => signIns.take('the state')));
  expect(taken.filter(Boolean)).toEqual([
    {
      ...request,
      ...here,
      loginHint: undefined,
      agreedScopes: ['frame:read'],
      upstream: 'sealed',
      expiresAt: nowMs + 10 * 60_000,
    },
  ]);
  expect(await signIns.find(id, here)).toBeUndefined();
});

test('agreeing again closes the way back that was open before', async () => {
  const id = await signIns.begin(request, here);
  await signIns.agree(id, here, agreement);
  await signIns.agree(id, here, { ...agreement, upstreamState: 'another', scopes: ['frame:write'] });
  expect(await signIns.take('the state')).toBeUndefined();
  expect(await signIns.take('another')).toMatchObject({ agreedScopes: ['frame:write'], scopes: request.scopes });
});

test('nobody agrees before it is known which company', async () => {
  const id = await signIns.begin({ ...request, customer: undefined }, here);
  expect(await signIns.agree(id, here, agreement)).toBeUndefined();
});

test('what nobody came back for is swept away', async () => {
  await signIns.begin(request, here);
  nowMs += 10 * 60_000 + 1;
  const id = await signIns.begin(request, here);
  await signIns.sweep();
  expect(await count()).toBe(1);
  expect(await signIns.find(id, here)).toBeDefined();
});
