import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { digestOf, isSecretText, makeSecretText } from '../../src/access/secret-text.ts';
import { unavailable } from '../../src/errors.ts';
import { NOW, OTHER_TENANT, sampleCustomer } from '../access/fixtures.ts';
import {
  CONNECTIONS_OF_TWO,
  codeForm,
  type Form,
  GRANT,
  openTestBroker,
  post,
  raceFor,
  SITE,
  type TestBroker,
} from './grants-fixture.ts';

// grant_type=authorization_code. The other one is in token.test.ts.

let broker: TestBroker;

beforeAll(async () => {
  broker = await openTestBroker();
});
afterAll(() => broker.close());
beforeEach(() => {
  broker.database.clock.now = NOW;
  broker.recorded.length = 0;
  broker.touched.length = 0;
});

const token = (form: Form, headers?: Record<string, string>) => post(broker.grants.token, form, headers);
const issueCode = (changes = {}) => broker.grants.issueCode({ ...GRANT, ...changes });

/** Why the session that this token belongs to was revoked. */
async function revocationOf(text: unknown): Promise<unknown> {
  const { rows } = await broker.database.run(
    `select revoked_why from frame.oauth_sessions s
     where id = (select session_id from frame.oauth_codes where code_hash = $1::bytea
       union select session_id from frame.oauth_tokens where token_hash = $1::bytea)`,
    [digestOf(String(text))],
  );
  return rows[0]?.[0];
}

describe('a code', () => {
  test('becomes tokens, never to be stored', async () => {
    const { status, json, headers } = await token(codeForm(await issueCode()));
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
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    expect(broker.touched).toEqual(['client-1']);
  });

  test('is recorded with who, which program and what for, and no secret', async () => {
    const code = await issueCode({ scopes: ['frame:read', 'offline_access'] });
    expect(isSecretText('code', code)).toBe(true);
    const { json } = await token(codeForm(code));
    expect(json.scope).toBe('frame:read offline_access');
    expect(broker.recorded).toEqual([
      {
        at: NOW,
        requestId: 'r-1',
        customer: 'axe',
        actor: {
          tenantId: GRANT.person.tenantId,
          objectId: GRANT.person.objectId,
          name: 'Ada Axe',
          username: 'ada@axe.example',
        },
        client: 'Claude',
        tool: 'sign_in.token',
        phase: 'call',
        outcome: 'ok',
        arguments: { session: expect.any(String), client_id: 'client-1', scopes: ['frame:read', 'offline_access'] },
      },
    ]);
    expect(JSON.stringify(broker.recorded)).not.toMatch(/frame_(at|rt|ac)_/);
  });

  test('is good for a minute', async () => {
    const [early, late] = [await issueCode(), await issueCode()];
    broker.database.clock.now += 59_999;
    expect((await token(codeForm(early))).status).toBe(200);
    broker.database.clock.now += 1;
    expect((await token(codeForm(late))).json.error).toBe('invalid_grant');
  });

  test('is good once: a second time ends all that came of the first', async () => {
    const code = await issueCode();
    const { json } = await token(codeForm(code));
    const again = await token(codeForm(code));
    expect([again.status, again.json.error]).toEqual([400, 'invalid_grant']);
    expect(await revocationOf(json.access_token)).toBe('code-replayed');
    const refreshed = await token({
      grant_type: 'refresh_token',
      client_id: 'client-1',
      refresh_token: String(json.refresh_token),
    });
    expect(refreshed.json.error).toBe('invalid_grant');
    expect(broker.recorded.map(({ outcome, arguments: summary }) => [outcome, summary?.reason])).toEqual([
      ['ok', undefined],
      ['refused', 'code-replayed'],
      ['refused', 'session-over'],
    ]);
  });

  test('a second time is known for one a day later, and whoever asks, with whatever proof', async () => {
    const code = await issueCode();
    const { json } = await token(codeForm(code));
    broker.database.clock.now += 86_400_000;
    await broker.grants.sweep();
    await token(codeForm(code, { client_id: 'thief', code_verifier: 'x'.repeat(43) }));
    expect(await revocationOf(json.refresh_token)).toBe('code-replayed');
  });

  test('of a session that was revoked meanwhile gives nothing', async () => {
    const code = await issueCode();
    await broker.database.run('update frame.oauth_sessions set revoked_at = now()');
    expect((await token(codeForm(code))).json.error).toBe('invalid_grant');
  });
});

describe('50 redemptions of one code at once', () => {
  test('on two gateways: one wins, and then the others have ended what it got', async () => {
    const other = broker.openGrants();
    const code = await issueCode();
    const row = { select: 'select from frame.oauth_codes where code_hash = $1::bytea', digest: digestOf(code) };
    const replies = await raceFor(broker, row, CONNECTIONS_OF_TWO, () =>
      Promise.all(Array.from({ length: 50 }, (_, n) => post((n % 2 ? broker.grants : other).token, codeForm(code)))),
    );
    const won = replies.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    expect(replies.filter(({ status, json }) => status === 400 && json.error === 'invalid_grant')).toHaveLength(49);
    expect(await revocationOf(won[0]?.json.access_token)).toBe('code-replayed');
    const { rows } = await broker.database.run(
      'select count(*)::int4 from frame.oauth_tokens where session_id = (select session_id from frame.oauth_codes where code_hash = $1::bytea)',
      [digestOf(code)],
    );
    expect(rows).toEqual([[2]]);
  });

  test('of different codes: all win', async () => {
    const codes = await Promise.all(Array.from({ length: 50 }, () => issueCode()));
    const replies = await Promise.all(codes.map(code => token(codeForm(code))));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(replies.map(({ json }) => json.access_token)).size).toBe(50);
  });
});

describe('a code gives nothing, and is still good for its owner,', () => {
  test.each([
    ['another client', { client_id: 'client-2' }, 'invalid_grant'],
    ['the client in capitals', { client_id: 'CLIENT-1' }, 'invalid_grant'],
    ['another redirect URI', { redirect_uri: 'https://claude.ai/api/mcp/auth_callback/' }, 'invalid_grant'],
    ['the redirect URI in capitals', { redirect_uri: GRANT.redirectUri.replace('claude', 'Claude') }, 'invalid_grant'],
    ['another verifier', { code_verifier: 'x'.repeat(43) }, 'invalid_grant'],
    ['the challenge as verifier', { code_verifier: GRANT.codeChallenge }, 'invalid_grant'],
    ['a short verifier', { code_verifier: 'x'.repeat(42) }, 'invalid_grant'],
    ['a long verifier', { code_verifier: 'x'.repeat(129) }, 'invalid_grant'],
    ['a verifier that is no text', { code_verifier: '\0'.repeat(43) }, 'invalid_grant'],
    ['another resource', { resource: 'https://axe.example/frame' }, 'invalid_target'],
    ['the resource of somebody else', { resource: 'https://bolt.example/frame/mcp' }, 'invalid_target'],
    ['a resource with two slashes', { resource: 'https://axe.example/frame/mcp//' }, 'invalid_target'],
    ['a resource with another path', { resource: 'https://axe.example/FRAME/mcp' }, 'invalid_target'],
    ['a resource that is none', { resource: 'mcp' }, 'invalid_target'],
    ['a query in the resource', { resource: 'https://axe.example/frame/mcp?' }, 'invalid_target'],
    ['no verifier', { code_verifier: undefined }, 'invalid_request'],
    ['an empty verifier', { code_verifier: '' }, 'invalid_request'],
    ['no redirect URI', { redirect_uri: undefined }, 'invalid_request'],
    ['no client', { client_id: undefined }, 'invalid_request'],
    ['no grant type', { grant_type: undefined }, 'invalid_request'],
    ['another grant type', { grant_type: 'client_credentials' }, 'unsupported_grant_type'],
    ['the implicit one', { grant_type: 'password' }, 'unsupported_grant_type'],
  ])('%s', async (_, changes, error) => {
    const code = await issueCode();
    const refused = await token(codeForm(code, changes));
    expect([refused.status, refused.json.error]).toEqual([400, error]);
    expect(refused.text).not.toContain(code);
    expect((await token(codeForm(code))).status).toBe(200);
  });

  test('at another origin, or when its customer is not served any more', async () => {
    const code = await issueCode();
    const form = codeForm(code, { resource: undefined });
    const bolt = { origin: 'https://bolt.example', customers: SITE.customers };
    const moved = { ...SITE, customers: [sampleCustomer({ signIn: 'broker', entra: { tenantId: OTHER_TENANT } })] };
    for (const site of [bolt, moved, { ...SITE, customers: [] }]) {
      expect((await post(broker.grants.token, form, {}, site)).json.error).toBe('invalid_grant');
    }
    expect((await token(form)).status).toBe(200);
  });

  test('when a parameter comes twice, be it the same', async () => {
    const code = await issueCode();
    for (const name of ['code', 'client_id', 'grant_type', 'code_verifier', 'unknown']) {
      const form = new URLSearchParams(codeForm(code));
      form.append(name, form.get(name) ?? '1');
      if (name === 'unknown') form.append(name, '1');
      expect([name, (await token(form)).json.error]).toEqual([name, 'invalid_request']);
    }
    expect((await token(codeForm(code))).status).toBe(200);
  });
});

describe('no code', () => {
  test.each([
    ['made up', `frame_ac_${'A'.repeat(43)}`],
    ['too long', `frame_ac_${'A'.repeat(16_000)}`],
    ['with NUL', `frame_ac_${'\0'.repeat(43)}`],
    ['with a quote', `frame_ac_${"'".repeat(43)}`],
    ['not ours', 'x'],
  ])('%s', async (_, code) => {
    const { status, json } = await token(codeForm(code));
    expect([status, json.error]).toEqual([400, 'invalid_grant']);
  });

  test('cut short, in capitals, or a token in its place', async () => {
    const code = await issueCode();
    const { json } = await token(codeForm(await issueCode()));
    const texts = [
      code.slice(0, -1),
      code.toUpperCase(),
      `${code} `,
      json.access_token,
      json.refresh_token,
      digestOf(code),
    ];
    for (const text of texts) expect((await token(codeForm(String(text)))).json.error).toBe('invalid_grant');
    expect((await token(codeForm(code))).status).toBe(200);
  });

  test('that nobody knows has no place in any audit, only in our log', async () => {
    await token(codeForm('x'));
    expect(broker.recorded).toEqual([]);
    expect(broker.observations.of('sign-in').at(-1)).toMatchObject({ outcome: 'refused', reason: 'code-unknown' });
  });
});

describe('the habits of clients', () => {
  const basic = (id: string, secret = '') => ({
    authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
  });
  const ADDRESS = 'https://chatgpt.com/oauth/codex/client.json';

  test.each([
    ['a secret in the form', 'client-1', { client_secret: 'anything' }, {}],
    ['an empty secret', 'client-1', { client_secret: '' }, {}],
    ['HTTP Basic beside client_id', 'client-1', {}, basic('client-1', 'anything')],
    ['HTTP Basic with an undefined secret', 'client-1', {}, basic('client-1', 'undefined')],
    ['HTTP Basic alone', 'client-1', { client_id: undefined }, basic('client-1')],
    ['HTTP Basic with an address as it stands', ADDRESS, { client_id: undefined }, basic(ADDRESS, 'x')],
    ['HTTP Basic with an encoded address', ADDRESS, { client_id: ADDRESS }, basic(encodeURIComponent(ADDRESS), 'x')],
    ['a Bearer header that means nothing here', 'client-1', {}, { authorization: 'Bearer x' }],
    ['an empty scope', 'client-1', { scope: '' }, {}],
    ['a resource with a slash at the end', 'client-1', { resource: 'https://axe.example/frame/mcp/' }, {}],
    ['a resource in capitals', 'client-1', { resource: 'HTTPS://AXE.EXAMPLE/frame/mcp' }, {}],
    ['no resource', 'client-1', { resource: undefined }, {}],
    ['parameters that nobody knows', 'client-1', { audience: 'x', nonsense: '1' }, {}],
  ])('are let pass: %s', async (_, id, changes, headers) => {
    const code = await issueCode({ client: { ...GRANT.client, id } });
    const { status } = await token(codeForm(code, { client_id: id, ...changes }), headers);
    expect(status).toBe(200);
  });

  test.each([
    ['two names', basic('client-2')],
    ['half a pair', { authorization: `Basic ${Buffer.from('client-1').toString('base64')}` }],
    ['no base64', { authorization: 'Basic %%%' }],
    ['nothing', { authorization: 'Basic' }],
    ['two headers', { authorization: 'Basic YTpi, Basic YTpi' }],
  ])('are not: HTTP Basic with %s', async (_, headers) => {
    const code = await issueCode();
    expect((await token(codeForm(code), headers)).json.error).toBe('invalid_request');
    expect((await token(codeForm(code))).status).toBe(200);
  });
});

describe('what must not get lost', () => {
  test('a code whose tokens could not be recorded is as good as before', async () => {
    const deaf = broker.openGrants({ audit: { append: () => Promise.reject(unavailable('The audit is full.')) } });
    const code = await issueCode();
    const { status, json, headers } = await post(deaf.token, codeForm(code));
    expect([status, json.error, headers.get('retry-after')]).toEqual([503, 'temporarily_unavailable', '1']);
    expect((await token(codeForm(code))).status).toBe(200);
  });

  test('a replay ends the session although it cannot be recorded', async () => {
    const deaf = broker.openGrants({ audit: { append: () => Promise.reject(unavailable('The audit is full.')) } });
    const code = await issueCode();
    await token(codeForm(code));
    expect((await post(deaf.token, codeForm(code))).status).toBe(503);
    expect(await revocationOf(code)).toBe('code-replayed');
  });

  test('while the database is down nobody is told that a code is bad', async () => {
    const code = await issueCode();
    await broker.database.postgres.kill();
    for (const form of [codeForm(code), codeForm(makeSecretText('code'))]) {
      const { status, json, headers } = await token(form);
      expect([status, json.error, headers.get('retry-after')]).toEqual([503, 'temporarily_unavailable', '1']);
    }
    await expect(issueCode()).rejects.toMatchObject({ code: 'unavailable' });
    await broker.database.postgres.start();
    await vi.waitFor(async () => expect((await token(codeForm(code))).status).toBe(200), { timeout: 10_000 });
  });
});
