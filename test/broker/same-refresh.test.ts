import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { digestOf, makeSecretText } from '../../src/access/secret-text.ts';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import type { Pools } from '../../src/database/pools.ts';
import { NOW } from '../access/fixtures.ts';
import { codeForm, GRANT, openTestBroker, post, raceFor, refreshForm, type TestBroker } from './grants-fixture.ts';

/** The same refresh again: at once and within moments (docs/decisions/0008), and what it costs the database. */
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

const SESSION = `select from frame.oauth_sessions
  where id = (select session_id from frame.oauth_tokens where token_hash = $1::bytea)`;

async function signIn(): Promise<string> {
  const { json } = await post(broker.grants.token, codeForm(await broker.grants.issueCode(GRANT)));
  broker.recorded.length = 0;
  broker.touched.length = 0;
  return String(json.refresh_token);
}

/** A gateway whose transactions are counted. */
function openCounted(limits = {}) {
  const pools = broker.database.openPools(undefined, limits);
  const counts = { transactions: 0 };
  const counted: Pools = {
    ...pools,
    transaction: (...call) => {
      counts.transactions += 1;
      return pools.transaction(...call);
    },
  };
  return { grants: broker.openGrants({ pools: counted }), counts };
}

describe('at once', () => {
  test('20 times is one exchange on one connection, also when nobody waits for a second one', async () => {
    const { grants, counts } = openCounted({ acquireTimeoutMs: 1 });
    const current = await signIn();
    const replies = await raceFor(broker, { select: SESSION, digest: digestOf(current) }, 1, () =>
      Promise.all(Array.from({ length: 20 }, () => post(grants.token, refreshForm(current)))),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(new Set(replies.map(({ text }) => text)).size).toBe(1);
    expect(counts.transactions).toBe(1);
    expect(broker.recorded).toHaveLength(1);
    expect(broker.touched).toHaveLength(1);
  });

  test('from another client, or for less, is not the same', async () => {
    const { grants, counts } = openCounted();
    const current = await signIn();
    const [mine, theirs, less] = await raceFor(broker, { select: SESSION, digest: digestOf(current) }, 2, () =>
      Promise.all([
        post(grants.token, refreshForm(current)),
        post(grants.token, refreshForm(current, { client_id: 'client-2' })),
        post(grants.token, refreshForm(current, { scope: 'frame:read' })),
      ]),
    );
    expect(theirs?.json.error).toBe('invalid_grant');
    // Whichever of the two was first, both have its answer.
    expect(less?.text).toBe(mine?.text);
    expect(counts.transactions).toBe(2);
  });

  test('from another network, where there was too much guessing, is not the same', async () => {
    const limits = { ...DEFAULT_GATEWAY_CONFIG.signIn, guessesPerMinute: 1 };
    const grants = broker.openGrants({ limits });
    const current = await signIn();
    const from = (address: string, token = current) =>
      post(asked => grants.token({ ...asked, from: address }), refreshForm(token));
    for (let n = 0; n < 2; n++) await from('198.51.100.1', makeSecretText('refresh'));
    const [spent, mine] = await Promise.all([from('198.51.100.1'), from('198.51.100.2')]);
    expect([spent?.status, mine?.status]).toEqual([429, 200]);
  });

  test('a copy that comes too late, several times: all are refused and the session ends once', async () => {
    const current = await signIn();
    await post(broker.grants.token, refreshForm(current));
    broker.database.clock.now += 120_001;
    const replies = await Promise.all(Array.from({ length: 5 }, () => post(broker.grants.token, refreshForm(current))));
    expect(replies.map(({ json }) => json.error)).toEqual(Array(5).fill('invalid_grant'));
    const { rows } = await broker.database.run(
      `select revoked_why from frame.oauth_sessions
       where id = (select session_id from frame.oauth_tokens where token_hash = $1::bytea)`,
      [digestOf(current)],
    );
    expect(rows).toEqual([['token-replayed']]);
  });

  test('when it fails, fails for all of them, and the token is as good as before', async () => {
    const current = await signIn();
    const failing = broker.openGrants({ audit: { append: () => Promise.reject(new Error('down')) } });
    const replies = await Promise.all(Array.from({ length: 5 }, () => post(failing.token, refreshForm(current))));
    expect(replies.map(({ status }) => status)).toEqual(Array(5).fill(503));
    expect((await post(broker.grants.token, refreshForm(current))).status).toBe(200);
  });
});

test('a moment later is answered by one read, while somebody else holds the session', async () => {
  const { grants, counts } = openCounted();
  const first = await signIn();
  const original = await post(grants.token, refreshForm(first));
  counts.transactions = 0;
  const holder = await broker.database.connectAsRoot();
  await holder.query('begin');
  await holder.query(`${SESSION} for update`, [digestOf(first)]);
  expect((await post(grants.token, refreshForm(first))).text).toBe(original.text);
  await holder.query('rollback');
  expect(counts.transactions).toBe(0);
});
