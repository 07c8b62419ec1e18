import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createAccessTokens } from '../../src/access/access-token.ts';
import { digestOf, makeSecretText } from '../../src/access/secret-text.ts';
import { findToken } from '../../src/access/session-tokens.ts';
import { listSessions, revokeSessions } from '../../src/access/sessions.ts';
import { observeNothing } from '../../src/observe.ts';
import { NOW } from '../access/fixtures.ts';
import { DAY_MS } from '../access/sign-in-database.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import {
  CONNECTIONS_OF_TWO,
  codeForm,
  type Form,
  GRANT,
  openTestBroker,
  post,
  raceFor,
  refreshForm,
  SITE,
  type TestBroker,
} from './grants-fixture.ts';

// grant_type=refresh_token. The other one is in grants.test.ts.

const MINUTE_MS = 60_000;

let broker: TestBroker;

beforeAll(async () => {
  broker = await openTestBroker();
});
afterAll(() => broker.close());
beforeEach(() => {
  broker.database.clock.now = NOW;
  broker.recorded.length = 0;
});

const token = (form: Form) => post(broker.grants.token, form);
const refresh = (refreshToken: unknown, changes?: Record<string, string | undefined>) =>
  token(refreshForm(refreshToken, changes));

/** The first tokens of a new session. */
async function signIn(changes = {}) {
  const { json } = await token(codeForm(await broker.grants.issueCode({ ...GRANT, ...changes })));
  return { access: String(json.access_token), refresh: String(json.refresh_token) };
}

async function sessionOf(text: unknown) {
  const found = await findToken(broker.database.run, String(text));
  if (!found) throw new Error('no such token');
  return found.session;
}

/** What a resource server that remembers nothing says to an access token. */
async function meaningOf(accessToken: unknown): Promise<unknown> {
  const { database } = broker;
  const pools = { ...database.pools, listen: async () => async () => {} };
  const limits = { rememberTokens: 0 };
  const tokens = await createAccessTokens({ pools, now: () => database.clock.now, observe: observeNothing, limits });
  const found = await tokens.find(String(accessToken), { ...SITE, from: '127.0.0.1' });
  return 'refused' in found ? found.refused : found.scopes.join(' ');
}

describe('a refresh token', () => {
  test('is exchanged for a new pair; the access token before it lives out its minutes', async () => {
    const first = await signIn();
    broker.recorded.length = 0;
    const { status, json, headers } = await refresh(first.refresh);
    expect({ status, json }).toEqual({
      status: 200,
      json: {
        access_token: expect.stringMatching(/^frame_at_[\w-]{43}$/),
        token_type: 'Bearer',
        expires_in: 900,
        refresh_token: expect.stringMatching(/^frame_rt_[\w-]{43}$/),
        scope: 'frame:read frame:write',
      },
    });
    expect(headers.get('cache-control')).toBe('no-store');
    expect(json.refresh_token).not.toBe(first.refresh);
    expect(await meaningOf(json.access_token)).toBe('frame:read frame:write');
    expect(await meaningOf(first.access)).toBe('frame:read frame:write');
    expect(broker.recorded).toMatchObject([{ tool: 'sign_in.refresh', outcome: 'ok', actor: { name: 'Ada Axe' } }]);
  });

  test('keeps a person signed in for 90 days, when they come back within 30', async () => {
    let { refresh: current } = await signIn();
    for (const day of [29, 58, 87]) {
      broker.database.clock.now = NOW + day * DAY_MS;
      const { json } = await refresh(current);
      current = String(json.refresh_token);
    }
    broker.database.clock.now = NOW + 90 * DAY_MS - 5 * MINUTE_MS;
    const last = await refresh(current);
    expect(last.json.expires_in).toBe(300);
    broker.database.clock.now = NOW + 90 * DAY_MS;
    expect((await refresh(last.json.refresh_token)).json.error).toBe('invalid_grant');
    expect(await meaningOf(last.json.access_token)).toBe('expired');
  });

  test('is over after 30 days in which nobody came', async () => {
    const { refresh: current } = await signIn();
    broker.database.clock.now += 30 * DAY_MS;
    expect((await refresh(current)).json.error).toBe('invalid_grant');
    expect(await sessionOf(current)).toMatchObject({ isRevoked: false });
  });

  test('shows that the session is in use', async () => {
    const { refresh: current } = await signIn();
    broker.database.clock.now += 5 * MINUTE_MS;
    await refresh(current);
    expect(await sessionOf(current)).toMatchObject({ lastUsedAt: NOW + 5 * MINUTE_MS });
  });

  test.each([
    ['another client', { client_id: 'client-2' }, 'invalid_grant'],
    ['no client', { client_id: undefined }, 'invalid_request'],
    ['another resource', { resource: 'https://axe.example/' }, 'invalid_target'],
    ['no token', { refresh_token: undefined }, 'invalid_request'],
    ['an empty token', { refresh_token: '' }, 'invalid_request'],
  ])('%s: nothing, and it is as good as before', async (_, changes, error) => {
    const { refresh: current } = await signIn();
    expect((await refresh(current, changes)).json.error).toBe(error);
    expect((await refresh(current)).status).toBe(200);
  });

  test('is no other text: made up, cut short, in capitals, of another kind', async () => {
    const { access, refresh: current } = await signIn();
    const code = await broker.grants.issueCode(GRANT);
    const hostile = [
      access,
      code,
      current.slice(0, -1),
      current.toUpperCase(),
      `${current}\0`,
      `${current}=`,
      access.replace('_at_', '_rt_'),
      current.replace('_rt_', '_at_'),
      `frame_rt_${'A'.repeat(43)}`,
      `frame_rt_${'A'.repeat(16_000)}`,
      `frame_rt_${'\0'.repeat(43)}`,
    ];
    for (const text of hostile) {
      const { status, json, text: answer } = await refresh(text);
      expect([status, json.error]).toEqual([400, 'invalid_grant']);
      expect(answer).not.toContain(text);
    }
    expect((await refresh(current)).status).toBe(200);
  });

  test('ends with its session, its customer and its tenant', async () => {
    const { refresh: current } = await signIn();
    expect((await post(broker.grants.token, refreshForm(current), {}, { ...SITE, customers: [] })).json.error).toBe(
      'invalid_grant',
    );
    await revokeSessions(broker.database.run, { id: (await sessionOf(current)).id }, 'test', NOW);
    expect((await refresh(current)).json.error).toBe('invalid_grant');
  });
});

describe('scope', () => {
  test.each([
    ['', 'frame:read frame:write offline_access'],
    ['frame:read', 'frame:read offline_access'],
    ['frame:write', 'frame:write offline_access'],
    ['  frame:read   frame:read ', 'frame:read offline_access'],
    [' offline_access', 'frame:read frame:write offline_access'],
    ['openid email', 'frame:read frame:write offline_access'],
    ['frame:read frame:admin', 'frame:read offline_access'],
    ['FRAME:READ', 'frame:read frame:write offline_access'],
  ])('%j of all gives %j, for this access token only', async (scope, granted) => {
    const { refresh: current } = await signIn({ scopes: ['frame:read', 'frame:write', 'offline_access'] });
    const { json } = await refresh(current, { scope });
    expect(json.scope).toBe(granted);
    expect(await meaningOf(json.access_token)).toBe(granted);
    expect((await refresh(json.refresh_token)).json.scope).toBe('frame:read frame:write offline_access');
  });

  test.each([
    ['frame:read frame:write', 'frame:read'],
    ['frame:write frame:admin', undefined],
    ['frame:write', undefined],
  ])('is never widened: %j of frame:read', async (scope, granted) => {
    const { refresh: current } = await signIn({ scopes: ['frame:read'] });
    const { json } = await refresh(current, { scope });
    expect([json.scope, json.error]).toEqual([granted, granted ? undefined : 'invalid_scope']);
    const again = granted ? json.refresh_token : current;
    expect((await refresh(again)).json.scope).toBe('frame:read');
  });
});

describe('the same refresh token again', () => {
  test('within two minutes gets the same answer, but for the seconds that are left', async () => {
    const first = await signIn();
    const original = await refresh(first.refresh);
    broker.recorded.length = 0;
    expect((await refresh(first.refresh)).text).toBe(original.text);
    broker.database.clock.now += 120_000;
    const repeated = await refresh(first.refresh);
    expect(repeated.text).toBe(original.text.replace('"expires_in":900', '"expires_in":780'));
    expect(broker.recorded).toEqual([]);
  });

  test('gets that one also when its successor was exchanged already, and in other words', async () => {
    const first = await signIn();
    const original = await refresh(first.refresh);
    await refresh(original.json.refresh_token);
    const repeated = await refresh(first.refresh, { scope: 'frame:read', resource: 'https://axe.example/frame/mcp' });
    expect(repeated.text).toBe(original.text);
  });

  test('from another client gets nothing', async () => {
    const first = await signIn();
    await refresh(first.refresh);
    expect((await refresh(first.refresh, { client_id: 'client-2' })).json.error).toBe('invalid_grant');
    expect(await sessionOf(first.refresh)).toMatchObject({ isRevoked: false });
  });

  test('after two minutes can only be a copy: everything ends', async () => {
    const first = await signIn();
    const { json } = await refresh(first.refresh);
    broker.database.clock.now += 120_001;
    broker.recorded.length = 0;
    expect((await refresh(first.refresh)).json.error).toBe('invalid_grant');
    expect(await sessionOf(first.refresh)).toMatchObject({ isRevoked: true });
    expect(await meaningOf(json.access_token)).toBe('revoked');
    expect(await meaningOf(first.access)).toBe('revoked');
    expect((await refresh(json.refresh_token)).json.error).toBe('invalid_grant');
    expect(broker.recorded.map(({ outcome, arguments: summary }) => [outcome, summary?.reason])).toEqual([
      ['refused', 'token-replayed'],
      ['refused', 'session-over'],
    ]);
  });

  test('ends nobody else', async () => {
    const [mine, yours] = [await signIn(), await signIn()];
    await refresh(mine.refresh);
    broker.database.clock.now += 120_001;
    await refresh(mine.refresh);
    expect((await refresh(yours.refresh)).status).toBe(200);
  });

  test('long after, when the answer is swept away, still ends everything', async () => {
    const first = await signIn();
    const { json } = await refresh(first.refresh);
    broker.database.clock.now += DAY_MS;
    await broker.grants.sweep();
    expect((await refresh(first.refresh)).json.error).toBe('invalid_grant');
    expect(await sessionOf(json.refresh_token)).toMatchObject({ isRevoked: true });
  });
});

describe('at once', () => {
  test('20 refreshes of one token on eight gateways: all the same successor', async () => {
    // In one gateway equal ones are one (same-refresh.test.ts): these meet in the database.
    const gateways = Array.from({ length: CONNECTIONS_OF_TWO }, () => broker.openGrants());
    const { refresh: current } = await signIn();
    const select = `select from frame.oauth_sessions
      where id = (select session_id from frame.oauth_tokens where token_hash = $1::bytea)`;
    const replies = await raceFor(broker, { select, digest: digestOf(current) }, CONNECTIONS_OF_TWO, () =>
      Promise.all(
        Array.from({ length: 20 }, (_, n) => {
          const { token } = gateways[n % gateways.length] ?? broker.grants;
          return post(token, refreshForm(current));
        }),
      ),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
    const { rows } = await broker.database.run(
      'select kind, count(*)::int4 from frame.oauth_tokens where session_id = $1::uuid group by kind order by kind',
      [(await sessionOf(current)).id],
    );
    expect(rows).toEqual([
      ['access', 2],
      ['refresh', 2],
    ]);
  });

  test('a storm of five windows over 30 seconds, each with whatever token it had last: nobody is signed out', async () => {
    const { refresh: first } = await signIn();
    const windows = Array.from({ length: 5 }, () => first);
    for (let second = 0; second < 30; second++) {
      broker.database.clock.now += 1000;
      const turn = windows.map((current, n) => ((second + n) % 3 === 0 ? refresh(current) : undefined));
      for (const [n, reply] of (await Promise.all(turn)).entries()) {
        if (!reply) continue;
        expect(reply.status).toBe(200);
        windows[n] = String(reply.json.refresh_token);
      }
    }
    expect(await sessionOf(first)).toMatchObject({ isRevoked: false });
    for (const current of windows) expect((await refresh(current)).status).toBe(200);
  });

  test('a refresh and a revocation: whoever is first, nothing is left', async () => {
    for (let round = 0; round < 5; round++) {
      const { refresh: current } = await signIn();
      const [reply] = await Promise.all([
        refresh(current),
        post(broker.grants.revoke, { token: current, client_id: 'client-1' }),
      ]);
      expect([200, 400]).toContain(reply.status);
      expect(await sessionOf(current)).toMatchObject({ isRevoked: true });
      if (reply.status === 200) expect(await meaningOf(reply.json.access_token)).toBe('revoked');
    }
  });

  test('30 sessions refresh side by side', async () => {
    const all = await Promise.all(Array.from({ length: 30 }, () => signIn()));
    const replies = await Promise.all(all.map(one => refresh(one.refresh)));
    expect(replies.map(({ status }) => status)).toEqual(Array(30).fill(200));
    const live = await listSessions(broker.database.run, { clientId: 'client-1' }, NOW);
    expect(live.length).toBeGreaterThanOrEqual(30);
  });
});

describe('a database', () => {
  test('that does not tell whether it committed: the client asks again and gets the answer it missed', async () => {
    const { refresh: current } = await signIn();
    const { address } = broker.database.postgres.server;
    const proxy = await startTcpProxy(address.port);
    const cut = broker.openGrants({}, { ...address, port: proxy.port });
    proxy.cutAfterAnswerTo('commit');
    const lost = await post(cut.token, refreshForm(current));
    expect([lost.status, lost.json.error, lost.headers.get('retry-after')]).toEqual([
      503,
      'temporarily_unavailable',
      '1',
    ]);
    expect(await findToken(broker.database.run, current)).toMatchObject({ usedAt: NOW });
    expect((await refresh(current)).status).toBe(200);
    expect(await sessionOf(current)).toMatchObject({ isRevoked: false });
    await proxy.close();
  });

  test('that is down costs nobody their token', async () => {
    const { refresh: current } = await signIn();
    await broker.database.postgres.kill();
    for (const text of [current, makeSecretText('refresh')]) {
      const { status, json } = await refresh(text);
      expect([status, json.error]).toEqual([503, 'temporarily_unavailable']);
    }
    await broker.database.postgres.start();
    await vi.waitFor(async () => expect((await refresh(current)).status).toBe(200), { timeout: 10_000 });
  });
});
