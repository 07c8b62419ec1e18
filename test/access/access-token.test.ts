import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type AccessTokens, createAccessTokens } from '../../src/access/access-token.ts';
import { digestOf, makeSecretText } from '../../src/access/secret-text.ts';
import { revokeAccessToken } from '../../src/access/session-tokens.ts';
import { revokeSessions } from '../../src/access/sessions.ts';
import type { Pools } from '../../src/database/pools.ts';
import { NOW, OTHER_TENANT, recordObservations, sampleCustomer } from './fixtures.ts';
import { ADA, audible, openSignInDatabase, type SignInDatabase } from './sign-in-database.ts';

const MINUTE_MS = 60_000;
const axe = sampleCustomer({ signIn: 'broker' });
const site = { origin: 'https://axe.example', customers: [axe], from: '203.0.113.7' };

let database: SignInDatabase;
let observations: ReturnType<typeof recordObservations>;

beforeAll(async () => {
  database = await openSignInDatabase();
});
afterAll(() => database.close());
beforeEach(() => {
  database.clock.now = NOW;
  observations = recordObservations();
});

/** The resource server of one gateway. */
async function open(pools: Pick<Pools, 'query' | 'listen'> = database.pools, rememberTokens = 100) {
  const { clock } = database;
  const tokens = await createAccessTokens({
    pools,
    now: () => clock.now,
    observe: observations.observe,
    limits: { rememberTokens },
    guessesPerMinute: 60,
  });
  onTestFinished(() => tokens.close());
  return tokens;
}

const refusalOf = async (tokens: AccessTokens, token: string, at = site) => {
  const found = await tokens.find(token, at);
  return 'refused' in found ? found.refused : 'none';
};

/** Counts the questions to the database. */
function counting(pools: Pools) {
  const query = vi.fn(pools.query);
  return { pools: { ...pools, query }, count: () => query.mock.calls.filter(([, text]) => /select/.test(text)).length };
}

describe('a token', () => {
  test('says who somebody is, as Entra described them, and what they agreed to', async () => {
    const { accessToken } = await database.signIn();
    expect(await (await open()).find(accessToken, site)).toEqual({
      customer: axe,
      person: ADA.person,
      scopes: ['frame:read', 'frame:write'],
      clientName: 'Claude',
    });
  });

  test('keeps apart "in no group" and "in too many to name"', async () => {
    const tokens = await open();
    for (const groups of [[], 'unknown'] as const) {
      const { accessToken } = await database.signIn({ person: { ...ADA.person, groups } });
      expect(await tokens.find(accessToken, site)).toMatchObject({ person: { groups } });
    }
  });

  test('is looked up once in a second', async () => {
    const { accessToken } = await database.signIn();
    const { pools, count } = counting(database.pools);
    const tokens = await open(pools);
    for (let n = 0; n < 5; n++) await tokens.find(accessToken, site);
    expect(count()).toBe(1);
    database.clock.now += 999;
    await tokens.find(accessToken, site);
    expect(count()).toBe(1);
    database.clock.now += 1;
    await tokens.find(accessToken, site);
    expect(count()).toBe(2);
  });

  test('of a few that are remembered leaves the others to the database', async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () => database.signIn()));
    const tokens = await open(database.pools, 2);
    const found = await Promise.all(all.map(({ accessToken }) => tokens.find(accessToken, site)));
    expect(found.filter(one => 'refused' in one)).toEqual([]);
  });

  test('leaves behind when it was last used, once a minute', async () => {
    const { accessToken, id } = await database.signIn();
    const tokens = await open();
    const lastUsed = async () =>
      (
        await database.run(
          'select extract(epoch from last_used_at)::float8 * 1000 from frame.oauth_sessions where id = $1::uuid',
          [id],
        )
      ).rows[0]?.[0];
    database.clock.now += MINUTE_MS - 1;
    await tokens.find(accessToken, site);
    expect(await lastUsed()).toBe(NOW);
    database.clock.now += 1001;
    await tokens.find(accessToken, site);
    await expect.poll(lastUsed).toBe(database.clock.now);
  });
});

describe('no token', () => {
  test('after its time, remembered or not', async () => {
    const { accessToken } = await database.signIn();
    const tokens = await open();
    database.clock.now += 15 * MINUTE_MS - 1;
    expect(await refusalOf(tokens, accessToken)).toBe('none');
    database.clock.now += 1;
    expect(await refusalOf(tokens, accessToken)).toBe('expired');
    expect(await refusalOf(await open(), accessToken)).toBe('expired');
  });

  test('after the time of its session', async () => {
    const { accessToken, id } = await database.signIn();
    const params = [id, NOW + 1000];
    await database.run(
      'update frame.oauth_sessions set expires_at = to_timestamp($2::float8 / 1000) where id = $1::uuid',
      params,
    );
    database.clock.now += 1000;
    expect(await refusalOf(await open(), accessToken)).toBe('expired');
  });

  test('of another kind, in another case, cut short, or made up', async () => {
    const { accessToken, refreshToken } = await database.signIn();
    const tokens = await open();
    const hostile = {
      [refreshToken]: 'token-malformed',
      [accessToken.toUpperCase()]: 'token-malformed',
      [accessToken.replace(/.$/, letter => (letter === 'A' ? 'B' : 'A'))]: 'token-unknown',
      [accessToken.replace(/(?<=^frame_at_.*)[a-z]/, letter => letter.toUpperCase())]: 'token-unknown',
      [accessToken.slice(0, -1)]: 'token-malformed',
      [`${accessToken}A`]: 'token-malformed',
      [`${accessToken}\n`]: 'token-malformed',
      [` ${accessToken}`]: 'token-malformed',
      [accessToken.replace('frame_at_', 'frame_rt_')]: 'token-malformed',
      [`frame_at_${'\0'.repeat(43)}`]: 'token-malformed',
      [`frame_at_${"'; drop table x; --".padEnd(43)}`]: 'token-malformed',
      [`frame_at_${'A'.repeat(1_000_000)}`]: 'token-malformed',
      [`frame_at_${'A'.repeat(43)}`]: 'token-unknown',
      [`frame_at_${refreshToken.slice('frame_rt_'.length)}`]: 'token-unknown',
      frame_at_: 'token-malformed',
      '': 'token-malformed',
    };
    for (const [text, reason] of Object.entries(hostile))
      expect([text, await refusalOf(tokens, text)]).toEqual([text, reason]);
    expect(await refusalOf(tokens, accessToken)).toBe('none');
  });

  test('of a refresh token that somebody named like an access token', async () => {
    const { accessToken } = await database.signIn();
    const params = [digestOf(accessToken)];
    await database.run("update frame.oauth_tokens set kind = 'refresh' where token_hash = $1::bytea", params);
    expect(await refusalOf(await open(), accessToken)).toBe('wrong-type');
  });

  test('of a customer that is not served here, or moved to another tenant', async () => {
    const { accessToken } = await database.signIn();
    const tokens = await open();
    const other = sampleCustomer({ id: 'bolt', signIn: 'broker' });
    const moved = sampleCustomer({ signIn: 'broker', entra: { tenantId: OTHER_TENANT } });
    expect(await refusalOf(tokens, accessToken, { ...site, customers: [other] })).toBe('wrong-customer');
    expect(await refusalOf(tokens, accessToken, { ...site, customers: [moved] })).toBe('wrong-customer');
    expect(await refusalOf(tokens, accessToken, { ...site, customers: [] })).toBe('wrong-customer');
    expect(await refusalOf(tokens, accessToken, { ...site, customers: [other, axe] })).toBe('none');
  });

  test('that was given for another address', async () => {
    const { accessToken } = await database.signIn();
    expect(await refusalOf(await open(), accessToken, { ...site, origin: 'https://bolt.example' })).toBe(
      'wrong-audience',
    );
  });
});

describe('who makes tokens up', () => {
  const madeUp = () => makeSecretText('access');

  async function flood(tokens: AccessTokens, from: (n: number) => string) {
    for (let n = 0; n < 60; n += 1)
      expect(await refusalOf(tokens, madeUp(), { ...site, from: from(n) })).toBe('token-unknown');
  }

  test('hears the same as ever, but the database hears no more of it, for a minute', async () => {
    const { pools, count } = counting(database.pools);
    const tokens = await open(pools);
    await flood(tokens, () => '2001:db8::1');
    expect(count()).toBe(60);
    for (const from of ['2001:db8::1', '2001:db8::2', '2001:DB8:0:0:ffff::1'])
      expect(await refusalOf(tokens, madeUp(), { ...site, from })).toBe('token-unknown');
    expect(count()).toBe(60);
    database.clock.now += MINUTE_MS;
    await refusalOf(tokens, madeUp(), { ...site, from: '2001:db8::1' });
    expect(count()).toBe(61);
  });

  test('costs nobody elsewhere anything, nor those beside them who are known', async () => {
    const [known, elsewhere] = [await database.signIn(), await database.signIn()];
    const tokens = await open();
    expect(await refusalOf(tokens, known.accessToken)).toBe('none');
    await flood(tokens, () => site.from);
    database.clock.now += 5000;
    expect(await refusalOf(tokens, known.accessToken)).toBe('none');
    expect(await refusalOf(tokens, elsewhere.accessToken, { ...site, from: '203.0.113.8' })).toBe('none');
    await revokeSessions(database.run, { id: known.id }, 'test', NOW);
    database.clock.now += 1000;
    expect(await refusalOf(tokens, known.accessToken)).toBe('revoked');
  });

  test('is not who sends one dead token again and again', async () => {
    const { accessToken } = await database.signIn();
    const { pools, count } = counting(database.pools);
    const tokens = await open(pools);
    const dead = madeUp();
    for (let n = 0; n < 100; n += 1) expect(await refusalOf(tokens, dead)).toBe('token-unknown');
    expect(count()).toBe(1);
    expect(await refusalOf(tokens, accessToken)).toBe('none');
  });

  test('is not who comes with expired ones', async () => {
    const { accessToken } = await database.signIn();
    const tokens = await open();
    database.clock.now += 15 * MINUTE_MS;
    for (let n = 0; n < 100; n += 1) {
      database.clock.now += 100;
      expect(await refusalOf(tokens, accessToken)).toBe('expired');
    }
    const fresh = await database.signIn();
    expect(await refusalOf(tokens, fresh.accessToken)).toBe('none');
  });
});

describe('revoked', () => {
  /** On a gateway of its own, and the clock stands still: what it remembers only ends by the news. */
  async function openOther() {
    const other = audible(database.openPools());
    return { ...other, tokens: await open(other.pools) };
  }

  test('a session ends on every gateway at once', async () => {
    const { accessToken, id } = await database.signIn();
    const other = await openOther();
    expect(await refusalOf(other.tokens, accessToken)).toBe('none');
    const heard = other.nextNotification();
    expect(await revokeSessions(database.run, { id }, 'test', NOW)).toMatchObject([{ id, isRevoked: true }]);
    expect(await heard).toBe(id);
    expect(await refusalOf(other.tokens, accessToken)).toBe('revoked');
  });

  test('one access token ends alone', async () => {
    const { accessToken } = await database.signIn();
    const bystander = await database.signIn();
    const other = await openOther();
    expect(await refusalOf(other.tokens, accessToken)).toBe('none');
    const heard = other.nextNotification();
    await revokeAccessToken(database.run, accessToken);
    await heard;
    expect(await refusalOf(other.tokens, accessToken)).toBe('token-unknown');
    expect(await refusalOf(other.tokens, bystander.accessToken)).toBe('none');
  });

  test('while the listener is gone: counts when it is back', async () => {
    const { accessToken, id } = await database.signIn();
    const other = await openOther();
    expect(await refusalOf(other.tokens, accessToken)).toBe('none');
    const gap = other.nextGap();
    const root = await database.connectAsRoot();
    await root.query("select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen %'");
    await revokeSessions(database.run, { id }, 'test', NOW);
    await gap;
    expect(await refusalOf(other.tokens, accessToken)).toBe('revoked');
  });

  test('while nobody hears anything: counts within a second', async () => {
    const { accessToken, id } = await database.signIn();
    const tokens = await open({ ...database.pools, listen: async () => async () => {} });
    expect(await refusalOf(tokens, accessToken)).toBe('none');
    await revokeSessions(database.run, { id }, 'test', NOW);
    database.clock.now += 1000;
    expect(await refusalOf(tokens, accessToken)).toBe('revoked');
  });

  test('between the question to the database and its answer: is not remembered as good', async () => {
    const { accessToken, id } = await database.signIn();
    const other = audible(database.openPools());
    const answered = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const tokens = await open({
      ...other.pools,
      async query(...question) {
        const answer = await other.pools.query(...question);
        answered.resolve();
        await goOn.promise;
        return answer;
      },
    });
    const early = refusalOf(tokens, accessToken);
    await answered.promise;
    const heard = other.nextNotification();
    await revokeSessions(database.run, { id }, 'test', NOW);
    await heard;
    goOn.resolve();
    expect(await early).toBe('none');
    expect(await refusalOf(tokens, accessToken)).toBe('revoked');
  });
});

describe('a database', () => {
  test('that is down makes no token bad, and when it is back they are as good as before', async () => {
    const { accessToken } = await database.signIn();
    const tokens = await open();
    await database.postgres.kill();
    expect(await refusalOf(tokens, accessToken)).toBe('tokens-unreachable');
    expect(await refusalOf(tokens, `frame_at_${'A'.repeat(43)}`)).toBe('tokens-unreachable');
    await database.postgres.start();
    await vi.waitFor(async () => expect(await refusalOf(tokens, accessToken)).toBe('none'), { timeout: 10_000 });
  });

  test('that is down from the start stops the gateway from starting', async () => {
    const pools = database.openPools({ ...database.postgres.server.address, port: 1 });
    await expect(open(pools)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
