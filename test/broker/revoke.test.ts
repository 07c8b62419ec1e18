import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createAccessTokens } from '../../src/access/access-token.ts';
import { findToken } from '../../src/access/session-tokens.ts';
import { observeNothing } from '../../src/observe.ts';
import { NOW } from '../access/fixtures.ts';
import { audible } from '../access/sign-in-database.ts';
import {
  codeForm,
  type Form,
  GRANT,
  openTestBroker,
  post,
  refreshForm,
  SITE,
  type TestBroker,
} from './grants-fixture.ts';

let broker: TestBroker;

beforeAll(async () => {
  broker = await openTestBroker();
});
afterAll(() => broker.close());
beforeEach(() => {
  broker.database.clock.now = NOW;
  broker.recorded.length = 0;
});

const revoke = (form: Form, headers?: Record<string, string>) => post(broker.grants.revoke, form, headers);

async function signIn() {
  const code = await broker.grants.issueCode(GRANT);
  const { json } = await post(broker.grants.token, codeForm(code));
  broker.recorded.length = 0;
  return { access: String(json.access_token), refresh: String(json.refresh_token), code };
}

/** The resource server of another gateway, whose clock stands still: what it remembers only ends by the news. */
async function openOther() {
  const heard = audible(broker.database.openPools());
  const parts = { pools: heard.pools, now: () => NOW, observe: observeNothing, limits: { rememberTokens: 10 } };
  const tokens = await createAccessTokens(parts);
  onTestFinished(() => tokens.close());
  return {
    ...heard,
    async meaningOf(token: string) {
      const found = await tokens.find(token, { ...SITE, from: '127.0.0.1' });
      return 'refused' in found ? found.refused : 'good';
    },
  };
}

const isSessionOver = async (token: string) => (await findToken(broker.database.run, token))?.session.isRevoked;

describe('a client', () => {
  test('signs out with its refresh token: all ends, on every gateway', async () => {
    const { access, refresh } = await signIn();
    const other = await openOther();
    expect(await other.meaningOf(access)).toBe('good');
    const heard = other.nextNotification();
    const { status, text, headers } = await revoke({
      token: refresh,
      token_type_hint: 'refresh_token',
      client_id: 'client-1',
    });
    expect([status, text, headers.get('cache-control')]).toEqual([200, '', 'no-store']);
    await heard;
    expect(await other.meaningOf(access)).toBe('revoked');
    expect((await post(broker.grants.token, refreshForm(refresh))).json.error).toBe('invalid_grant');
    expect(broker.recorded[0]).toMatchObject({ tool: 'sign_in.revoke', outcome: 'ok', customer: 'axe' });
  });

  test('ends one access token, and goes on with its refresh token', async () => {
    const { access, refresh } = await signIn();
    const other = await openOther();
    expect(await other.meaningOf(access)).toBe('good');
    const heard = other.nextNotification();
    await revoke({ token: access, client_id: 'client-1' });
    await heard;
    expect(await other.meaningOf(access)).toBe('token-unknown');
    const { status, json } = await post(broker.grants.token, refreshForm(refresh));
    expect(status).toBe(200);
    expect(await other.meaningOf(String(json.access_token))).toBe('good');
  });

  test('may be wrong about the kind, use HTTP Basic, or say nothing about itself', async () => {
    const basic = { authorization: `Basic ${Buffer.from('client-1:').toString('base64')}` };
    for (const [changes, headers] of [
      [{ client_id: 'client-1', token_type_hint: 'access_token' }, {}],
      [{ client_id: 'client-1', token_type_hint: 'nonsense' }, {}],
      [{}, basic],
      [{}, {}],
    ] as const) {
      const { refresh } = await signIn();
      expect((await revoke({ token: refresh, ...changes }, headers)).status).toBe(200);
      expect(await isSessionOver(refresh)).toBe(true);
    }
  });

  test('ends the session also with a refresh token that was exchanged', async () => {
    const { refresh } = await signIn();
    await post(broker.grants.token, refreshForm(refresh));
    await revoke({ token: refresh, client_id: 'client-1' });
    expect(await isSessionOver(refresh)).toBe(true);
  });

  test('may say it twice; it is recorded once', async () => {
    const { refresh } = await signIn();
    for (let n = 0; n < 2; n++) expect((await revoke({ token: refresh })).status).toBe(200);
    expect(broker.recorded).toHaveLength(1);
  });
});

describe('nothing ends, and nobody learns why', () => {
  test('by a token that is none, or is another client’s', async () => {
    const { access, refresh, code } = await signIn();
    const answers = [];
    for (const form of [
      { token: refresh, client_id: 'client-2' },
      { token: access, client_id: 'client-2' },
      { token: code, client_id: 'client-1' },
      { token: refresh.slice(0, -1), client_id: 'client-1' },
      { token: refresh.toUpperCase(), client_id: 'client-1' },
      { token: `${refresh}\0`, client_id: 'client-1' },
      { token: `frame_rt_${'A'.repeat(43)}` },
      { token: "'; delete from frame.oauth_sessions; --" },
      { token: 'x'.repeat(16_000) },
    ]) {
      const { status, text } = await revoke(form);
      answers.push([status, text]);
    }
    expect(new Set(answers.map(answer => JSON.stringify(answer)))).toEqual(new Set(['[200,""]']));
    expect(await isSessionOver(refresh)).toBe(false);
    expect(await (await openOther()).meaningOf(access)).toBe('good');
    expect(broker.recorded).toEqual([]);
  });

  test.each([
    ['no token', {}],
    ['an empty one', { token: '' }],
    ['two', new URLSearchParams('token=a&token=a')],
  ])('by %s', async (_, form) => {
    const { status, json } = await revoke(form);
    expect([status, json.error]).toEqual([400, 'invalid_request']);
  });

  test('while the database is down: 503, ask again', async () => {
    const { refresh } = await signIn();
    await broker.database.postgres.kill();
    const { status, json, headers } = await revoke({ token: refresh });
    expect([status, json.error, headers.get('retry-after')]).toEqual([503, 'temporarily_unavailable', '1']);
    await broker.database.postgres.start();
  });
});
