import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeSecretText, type SecretKind } from '../../src/access/secret-text.ts';
import type { Asked } from '../../src/broker/asked.ts';
import { gatePools } from '../../src/broker/gated-pools.ts';
import type { Grants } from '../../src/broker/grants.ts';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import { CONTROL_LOGIN } from '../../src/database/place.ts';
import type { Pools } from '../../src/database/pools.ts';
import { unavailable } from '../../src/errors.ts';
import { NOW } from '../access/fixtures.ts';
import { codeForm, type Form, GRANT, openTestBroker, post, refreshForm, type TestBroker } from './grants-fixture.ts';

/** People who have nothing and ask for tokens all the same: what that costs the database, and everybody else. */
let broker: TestBroker;

beforeAll(async () => {
  broker = await openTestBroker();
});
afterAll(() => broker.close());
beforeEach(() => {
  broker.database.clock.now = NOW;
});

const limits = { ...DEFAULT_GATEWAY_CONFIG.signIn, guessesPerMinute: 5 };
const HOME = '198.51.100.1';
const ELSEWHERE = '198.51.100.2';

const tokenAt = (grants: Grants, form: Form, from: string) =>
  post((asked: Asked) => grants.token({ ...asked, from }), form);
const revokeAt = (grants: Grants, token: string, from: string) =>
  post((asked: Asked) => grants.revoke({ ...asked, from }), { token });
const guess = (grants: Grants, from = HOME) => tokenAt(grants, refreshForm(makeSecretText('refresh')), from);

async function signIn(grants: Grants) {
  const { json } = await post(grants.token, codeForm(await grants.issueCode(GRANT)));
  return { access: String(json.access_token), refresh: String(json.refresh_token) };
}

/** Counts what the database is asked. */
function counting(pools: Pools) {
  const counts = { queries: 0, transactions: 0 };
  const counted: Pools = {
    ...pools,
    query: (...call) => {
      counts.queries += 1;
      return pools.query(...call);
    },
    transaction: (...call) => {
      counts.transactions += 1;
      return pools.transaction(...call);
    },
  };
  return { pools: counted, counts };
}

describe('what nobody gave out', () => {
  test('is one question to the database, no transaction, and none when it comes again', async () => {
    const { pools, counts } = counting(broker.database.openPools());
    const grants = broker.openGrants({ pools });
    const made = makeSecretText('refresh');
    for (let n = 0; n < 3; n++) {
      const { status, json } = await tokenAt(grants, refreshForm(made), HOME);
      expect([status, json.error]).toEqual([400, 'invalid_grant']);
    }
    expect(counts).toEqual({ queries: 1, transactions: 0 });
    await tokenAt(grants, codeForm(makeSecretText('code')), HOME);
    await revokeAt(grants, made, HOME);
    await revokeAt(grants, made, HOME);
    expect(counts).toEqual({ queries: 3, transactions: 0 });
    broker.database.clock.now += 60_000;
    await tokenAt(grants, refreshForm(made), HOME);
    expect(counts).toEqual({ queries: 4, transactions: 0 });
  });

  test('and has not even the form of ours is no question at all', async () => {
    const { pools, counts } = counting(broker.database.openPools());
    const grants = broker.openGrants({ pools });
    expect((await tokenAt(grants, refreshForm('x'), HOME)).json.error).toBe('invalid_grant');
    expect((await tokenAt(grants, codeForm('x'), HOME)).json.error).toBe('invalid_grant');
    expect((await revokeAt(grants, 'x', HOME)).status).toBe(200);
    expect(counts).toEqual({ queries: 0, transactions: 0 });
  });
});

test('a text that somebody revokes makes no token unknown', async () => {
  const { refresh } = await signIn(broker.grants);
  const { client_id: client } = refreshForm(refresh);
  for (const text of [`${refresh} ${client}`, `exchange ${refresh} ${client}`]) {
    expect((await revokeAt(broker.grants, text, HOME)).status).toBe(200);
  }
  expect((await tokenAt(broker.grants, refreshForm(refresh), HOME)).status).toBe(200);
});

test('a program is told that its registration is gone when that is certain, and not while nobody can say', async () => {
  let isGone: () => Promise<boolean> = () => Promise.reject(unavailable('Down.'));
  const grants = broker.openGrants({ clients: { touch: () => {}, isGone: () => isGone() } });
  const made = makeSecretText('refresh');
  const unsure = await tokenAt(grants, refreshForm(made), HOME);
  expect([unsure.status, unsure.json.error]).toEqual([503, 'temporarily_unavailable']);
  isGone = async () => true;
  const sure = await tokenAt(grants, refreshForm(made), HOME);
  expect([sure.status, sure.json.error]).toEqual([401, 'invalid_client']);
});

describe('guessing from one network', () => {
  test('ends at the limit, in words that cost nobody their token, and may go on a minute later', async () => {
    const grants = broker.openGrants({ limits });
    for (let n = 0; n < 5; n++) expect((await guess(grants)).json.error).toBe('invalid_grant');
    broker.database.clock.now += 20_000;
    const refused = [
      await guess(grants),
      await tokenAt(grants, codeForm(makeSecretText('code')), HOME),
      await revokeAt(grants, makeSecretText('access'), HOME),
    ];
    for (const { status, json, headers } of refused) {
      expect([status, json.error, headers.get('retry-after')]).toEqual([429, 'temporarily_unavailable', '40']);
    }
    expect((await guess(grants, ELSEWHERE)).json.error).toBe('invalid_grant');
    broker.database.clock.now += 40_000;
    expect((await guess(grants)).json.error).toBe('invalid_grant');
  });

  test('leaves those alone who signed in here, and whoever comes from elsewhere', async () => {
    const grants = broker.openGrants({ limits });
    const [mine, other] = [await signIn(grants), await signIn(broker.grants)];
    const code = await grants.issueCode(GRANT);
    for (let n = 0; n < 6; n++) await guess(grants);
    expect((await tokenAt(grants, codeForm(code), HOME)).status).toBe(200);
    const refreshed = await tokenAt(grants, refreshForm(mine.refresh), HOME);
    expect((await tokenAt(grants, refreshForm(refreshed.json.refresh_token), HOME)).status).toBe(200);
    expect((await tokenAt(grants, refreshForm(other.refresh), ELSEWHERE)).status).toBe(200);
  });

  test('does not keep anybody there from revoking what they got here', async () => {
    const grants = broker.openGrants({ limits });
    const [one, other] = [await signIn(grants), await signIn(grants)];
    for (let n = 0; n < 6; n++) await guess(grants);
    expect((await revokeAt(grants, one.refresh, HOME)).status).toBe(200);
    expect((await revokeAt(grants, other.access, HOME)).status).toBe(200);
    expect((await tokenAt(grants, refreshForm(one.refresh), ELSEWHERE)).json.error).toBe('invalid_grant');
  });

  test('is not what a whole office does: good tokens and dead ones that come again count for nothing', async () => {
    const grants = broker.openGrants({ limits });
    const dead = makeSecretText('refresh');
    for (let n = 0; n < 10; n++) {
      const { refresh } = await signIn(broker.grants);
      expect((await tokenAt(grants, refreshForm(refresh), HOME)).status).toBe(200);
      expect((await tokenAt(grants, refreshForm(dead), HOME)).json.error).toBe('invalid_grant');
    }
    expect((await guess(grants)).json.error).toBe('invalid_grant');
  });
});

describe('a database that is busy with strangers', () => {
  test.each<[string, SecretKind, string]>([
    ['codes', 'code', 'frame.oauth_codes'],
    ['refresh tokens', 'refresh', 'frame.oauth_tokens'],
  ])('has connections left for who is signed in: 100 made-up %s', async (_, kind, table) => {
    const pools = broker.database.openPools(undefined, { acquireTimeoutMs: 300 });
    const grants = broker.openGrants({ pools: gatePools(pools, 2, 20_000) });
    const holder = await broker.database.connectAsRoot();
    await holder.query('begin');
    await holder.query(`lock table ${table} in access exclusive mode`);
    const form = () => (kind === 'code' ? codeForm(makeSecretText(kind)) : refreshForm(makeSecretText('refresh')));
    const guesses = Promise.all(Array.from({ length: 100 }, () => tokenAt(grants, form(), HOME)));
    for (let n = 0; n < 5; n++) {
      expect((await pools.query(CONTROL_LOGIN, 'select 1')).rows).toEqual([[1]]);
    }
    await holder.query('rollback');
    expect((await guesses).map(({ json }) => json.error)).toEqual(Array(100).fill('invalid_grant'));
  });

  test('tells who waited in vain to come again, and nobody that their token is bad', async () => {
    const pools = broker.database.openPools();
    const { refresh } = await signIn(broker.grants);
    const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
    const gated = gatePools(pools, 1, 50);
    const stuck = gated.transaction(CONTROL_LOGIN, () => held);
    const busy = broker.openGrants({ pools: gated });
    for (const text of [refresh, makeSecretText('refresh')]) {
      const { status, json, headers } = await tokenAt(busy, refreshForm(text), HOME);
      expect([status, json.error, headers.get('retry-after')]).toEqual([503, 'temporarily_unavailable', '1']);
    }
    letGo();
    await stuck;
    expect((await tokenAt(busy, refreshForm(refresh), HOME)).status).toBe(200);
  });
});
