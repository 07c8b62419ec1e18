import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { digestOf, isSecretText, makeSecretText, type SecretKind } from '../../src/access/secret-text.ts';
import { addCode, takeCode } from '../../src/access/session-codes.ts';
import { findToken, markExchanged, openAnswer } from '../../src/access/session-tokens.ts';
import { listSessions, openSession, revokeSessions } from '../../src/access/sessions.ts';
import { sweepSessions } from '../../src/access/sweep-sessions.ts';
import { NOW } from './fixtures.ts';
import { ADA, DAY_MS, openSignInDatabase, type SignInDatabase } from './sign-in-database.ts';

const HOUR_MS = 3_600_000;
const CODE = { clientId: 'client-1', redirectUri: 'https://claude.ai/cb', codeChallenge: 'c'.repeat(43) };

let database: SignInDatabase;

beforeAll(async () => {
  database = await openSignInDatabase();
});
afterAll(() => database.close());
beforeEach(async () => {
  database.clock.now = NOW;
  await database.run('delete from frame.oauth_sessions');
});

const idsOf = (sessions: readonly { id: string }[]) => sessions.map(({ id }) => id);
const countOf = async (table: string) => (await database.run(`select count(*)::int4 from frame.${table}`)).rows[0]?.[0];

describe('what we give out', () => {
  test.each(['access', 'refresh', 'code'] as const)(
    '%s: 256 random bits behind its name, and of no other kind',
    kind => {
      const made = Array.from({ length: 100 }, () => makeSecretText(kind));
      expect(new Set(made).size).toBe(100);
      for (const text of made) {
        expect(text).toMatch(/^frame_(at|rt|ac)_[\w-]{43}$/);
        const kinds: SecretKind[] = ['access', 'refresh', 'code'];
        expect(kinds.filter(other => isSecretText(other, text))).toEqual([kind]);
      }
    },
  );
});

describe('a session', () => {
  test('comes back as it was opened', async () => {
    const { id } = await database.signIn();
    const person = {
      ...ADA.person,
      name: '김 "O\'Brien" \\ {a,b} NULL',
      groups: 'unknown',
      appRoles: ['a,b', '', 'NULL'],
    } as const;
    const client = { id: 'https://x.example/c?a=1', name: 'Näme {}', host: undefined };
    const odd = await database.signIn({ person, client });
    database.clock.now += 1;
    const sessions = await listSessions(database.run, {}, database.clock.now);
    expect(sessions).toHaveLength(2);
    const times = { createdAt: NOW, lastUsedAt: NOW, expiresAt: NOW + 90 * DAY_MS, idleUntil: NOW + 30 * DAY_MS };
    expect(sessions).toContainEqual({ ...ADA, ...times, id, isRevoked: false });
    expect(sessions).toContainEqual({ ...ADA, ...times, person, client, id: odd.id, isRevoked: false });
  });

  test('is listed once it has tokens, and as long as one of them can be used', async () => {
    await openSession(database.run, ADA, NOW, NOW + 90 * DAY_MS);
    const { id, session, ...tokens } = await database.signIn();
    expect(idsOf(await listSessions(database.run, {}, NOW + 30 * DAY_MS - 1))).toEqual([id]);
    expect(await listSessions(database.run, {}, NOW + 30 * DAY_MS)).toEqual([]);
    await markExchanged(database.run, tokens.refreshToken, session, tokens, NOW);
    expect(await listSessions(database.run, {}, NOW + HOUR_MS)).toEqual([]);
  });

  test('is found by person in any case, by client, by customer, and by all of them together', async () => {
    const ada = await database.signIn();
    const cursor = await database.signIn({ client: { id: 'client-2', name: 'Cursor', host: undefined } });
    const bolt = await database.signIn({ customer: 'bolt' });
    const find = async (filter: object) => idsOf(await listSessions(database.run, filter, NOW)).sort();
    expect(await find({ username: 'ADA@axe.example' })).toEqual([ada.id, cursor.id, bolt.id].sort());
    expect(await find({ clientId: 'client-2' })).toEqual([cursor.id]);
    expect(await find({ customer: 'bolt' })).toEqual([bolt.id]);
    expect(await find({ customer: 'axe', clientId: 'client-1', username: 'ada@axe.example' })).toEqual([ada.id]);
    expect(await find({ username: "' or true --" })).toEqual([]);
    expect(await find({ username: '%' })).toEqual([]);
  });

  test('is revoked once, and only what is named', async () => {
    const mine = await database.signIn();
    const yours = await database.signIn({ customer: 'bolt' });
    expect(idsOf(await revokeSessions(database.run, { customer: 'axe' }, 'test', NOW))).toEqual([mine.id]);
    expect(await revokeSessions(database.run, { customer: 'axe' }, 'again', NOW + 1)).toEqual([]);
    expect(idsOf(await listSessions(database.run, {}, NOW))).toEqual([yours.id]);
    const { rows } = await database.run('select revoked_why from frame.oauth_sessions where id = $1::uuid', [mine.id]);
    expect(rows).toEqual([['test']]);
  });
});

describe('the answer to a refresh token', () => {
  test('opens with that token only', async () => {
    const { session, refreshToken, ...rest } = await database.signIn();
    const other = await database.signIn();
    const answer = { accessToken: 'a', refreshToken: 'r', scopes: ['frame:read'], expiresAt: NOW };
    await markExchanged(database.run, refreshToken, session, answer, NOW);
    const stored = await findToken(database.run, refreshToken);
    if (!stored?.answer) throw new Error('not stored');
    expect(stored).toMatchObject({ kind: 'refresh', usedAt: NOW });
    expect(openAnswer(refreshToken, stored)).toEqual(answer);
    expect(openAnswer(other.refreshToken, stored)).toBeUndefined();
    expect(openAnswer(rest.accessToken, stored)).toBeUndefined();
    expect(openAnswer(digestOf(refreshToken), stored)).toBeUndefined();
    expect(openAnswer(refreshToken, { ...stored, session: other.session })).toBeUndefined();
    expect(
      openAnswer(refreshToken, {
        ...stored,
        answer: stored.answer.replace(/^./, first => (first === 'A' ? 'B' : 'A')),
      }),
    ).toBeUndefined();
    expect(openAnswer(refreshToken, { ...stored, answer: undefined })).toBeUndefined();
  });
});

describe('the sweeper', () => {
  const sweep = (laterMs: number) => sweepSessions(database.pools, NOW + laterMs);

  test('leaves alone what is still good', async () => {
    const { session } = await database.signIn();
    await addCode(database.run, session.id, CODE, NOW + 60_000);
    await sweep(HOUR_MS);
    expect([await countOf('oauth_sessions'), await countOf('oauth_tokens'), await countOf('oauth_codes')]).toEqual([
      1, 2, 1,
    ]);
  });

  test('removes expired tokens after a day', async () => {
    await database.signIn();
    await sweep(DAY_MS);
    expect(await countOf('oauth_tokens')).toBe(2);
    await sweep(DAY_MS + 15 * 60_000 + 1);
    expect(await countOf('oauth_tokens')).toBe(1);
    await sweep(31 * DAY_MS + 1);
    expect(await countOf('oauth_tokens')).toBe(0);
  });

  test('removes codes that nobody redeemed; the others tell replays as long as their session is known', async () => {
    const { session } = await database.signIn();
    const used = await addCode(database.run, session.id, CODE, NOW + 60_000);
    await addCode(database.run, session.id, CODE, NOW + 60_000);
    await takeCode(database.run, used, NOW);
    await sweep(2 * DAY_MS);
    const { rows } = await database.run("select encode(code_hash, 'hex') from frame.oauth_codes");
    expect(rows).toEqual([[digestOf(used).slice(2)]]);
  });

  test('forgets answers that are not given again', async () => {
    const { session, ...tokens } = await database.signIn();
    await markExchanged(database.run, tokens.refreshToken, session, tokens, NOW);
    await sweep(HOUR_MS - 1);
    expect(await findToken(database.run, tokens.refreshToken)).toMatchObject({
      usedAt: NOW,
      answer: expect.anything(),
    });
    await sweep(HOUR_MS + 1);
    expect(await findToken(database.run, tokens.refreshToken)).toMatchObject({ usedAt: NOW, answer: undefined });
  });

  test('removes a session 30 days after its end: revoked, expired, or just left', async () => {
    const { id } = await database.signIn();
    await revokeSessions(database.run, { id }, 'test', NOW);
    await sweep(30 * DAY_MS);
    expect(await countOf('oauth_sessions')).toBe(1);
    await sweep(30 * DAY_MS + 1);
    expect(await countOf('oauth_sessions')).toBe(0);

    await database.signIn();
    await sweep(31 * DAY_MS);
    expect(await countOf('oauth_sessions')).toBe(1);
    await sweep(32 * DAY_MS);
    expect([await countOf('oauth_sessions'), await countOf('oauth_tokens')]).toEqual([0, 0]);
  });

  test('may work on two gateways at once', async () => {
    await Promise.all(Array.from({ length: 20 }, () => database.signIn()));
    await Promise.all(Array.from({ length: 4 }, () => sweep(200 * DAY_MS)));
    expect(await countOf('oauth_sessions')).toBe(0);
  });
});
