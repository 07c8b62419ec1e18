import { crc32 } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  type ApiKeyFacts,
  createApiKey,
  findApiKey,
  listApiKeys,
  replaceApiKey,
  revokeApiKey,
  type StoredApiKey,
} from '../../src/access/api-key-table.ts';
import { makeApiKeyText } from '../../src/access/api-key-text.ts';
import { type ApiKeys, createApiKeys } from '../../src/access/api-keys.ts';
import { createRates } from '../../src/access/rates.ts';
import type { Customer } from '../../src/customers/customer.ts';
import { provision } from '../../src/database/provision.ts';
import { unavailable } from '../../src/errors.ts';
import { observeNothing } from '../../src/observe.ts';
import { NOW, sampleCustomer } from './fixtures.ts';
import { audible, openSignInDatabase, type SignInDatabase } from './sign-in-database.ts';

const axe = sampleCustomer({
  entities: [
    { id: 'axe', name: 'AXE', environments: ['prod', 'dev'] },
    { id: 'studio', name: 'Studio', environments: ['prod'] },
  ],
});
const bolt = sampleCustomer({ id: 'bolt', entities: [{ id: 'bolt', name: 'Bolt', environments: ['prod'] }] });

const FACTS: ApiKeyFacts = {
  customer: 'axe',
  entity: 'axe',
  environment: 'dev',
  role: 'dev',
  name: 'nightly totals',
  createdBy: 'operator',
  expiresAt: NOW + 86_400_000,
  networks: undefined,
};

let database: SignInDatabase;
let exposed: StoredApiKey[];
let opened: ApiKeys[];
let visitor = 0;

beforeAll(async () => {
  const passwordOf = (role: string) => `password of ${role}`;
  database = await openSignInDatabase(passwordOf);
  await provision(database.postgres.server, [axe, bolt], passwordOf, observeNothing);
  return () => database.close();
});

beforeEach(() => {
  exposed = [];
  opened = [];
  visitor += 1;
  database.clock.now = NOW;
});

afterEach(() => Promise.all(opened.map(keys => keys.close())));

const address = () => `203.0.113.${visitor}`;
const site = (customers = [axe, bolt], from = address()) => ({ customers, from });

async function open(
  pools: Pick<SignInDatabase['pools'], 'query' | 'listen'> = database.pools,
  rates = createRates({ pools: database.pools, now: Date.now }),
): Promise<ApiKeys> {
  const keys = await createApiKeys({
    pools,
    rates,
    now: () => database.clock.now,
    observe: observeNothing,
    async onExposed(key) {
      exposed.push(key);
    },
  });
  opened.push(keys);
  return keys;
}

/** Keeps the statements. */
function counting() {
  const query = vi.fn(database.pools.query);
  return {
    pools: { ...database.pools, query },
    texts: () => query.mock.calls.map(([, text]) => text),
  };
}

const LATER = NOW + 30 * 86_400_000;
const tryReplace = (key: StoredApiKey, untilMs: number) =>
  replaceApiKey(database.run, key, { createdBy: 'somebody', expiresAt: LATER }, { nowMs: NOW, untilMs });
const create = (changes: Partial<ApiKeyFacts> = {}) => createApiKey(database.run, { ...FACTS, ...changes }, NOW);

describe('a key', () => {
  test('is for its one entity and environment', async () => {
    const [text, { id }] = await create();
    expect(await (await open()).find(text, site())).toMatchObject({
      customer: { id: 'axe' },
      entity: { id: 'axe', environments: ['dev'] },
      key: { id, role: 'dev', name: 'nightly totals' },
    });
  });

  test('is kept as a digest only', async () => {
    const [text, { id }] = await create();
    const { rows } = await database.run('select k::text from frame.api_keys k where id = $1', [id]);
    expect(String(rows[0])).not.toContain(text.slice(20));
  });

  test('says when and from where it was used last', async () => {
    const [text, { id }] = await create();
    await (await open()).find(text, site());
    await expect
      .poll(async () => (await findApiKey(database.run, id))?.key)
      .toMatchObject({ lastUsedAt: NOW, lastUsedFrom: address() });
  });

  test.each([
    [['203.0.113.0/24'], true],
    [['203.0.113.0/24', '10.0.0.0/8'], true],
    [['10.0.0.0/8'], false],
    [['2001:db8::/32'], false],
  ])('bound to %j is good from a visitor of 203.0.113.0/24: %s', async (networks, isGood) => {
    const [text] = await create({ networks });
    const keys = await open();
    expect('key' in (await keys.find(text, site()))).toBe(isGood);
    for (const mapped of [`::ffff:${address()}`, `::ffff:cb00:71${visitor.toString(16).padStart(2, '0')}`]) {
      expect('key' in (await keys.find(text, site([axe], mapped)))).toBe(isGood);
    }
  });

  test('bound to an IPv6 network is good from there', async () => {
    const [text] = await create({ networks: ['2001:db8::/32'] });
    const keys = await open();
    expect(await keys.find(text, site([axe], '2001:db8::7'))).toHaveProperty('key');
    expect(await keys.find(text, site([axe], 'unknown'))).toMatchObject({ refused: 'api-key-unknown' });
  });
});

describe('all of these are refused alike', () => {
  test.each<[string, () => Promise<string>]>([
    ['no key at all', async () => 'anything'],
    ['a key that nobody made', async () => makeApiKeyText('dev').text],
    ['an expired one', async () => (await create({ expiresAt: NOW }))[0]],
    [
      'a revoked one',
      async () => {
        const [text, { id }] = await create();
        await revokeApiKey(database.run, { id }, 'test', NOW);
        return text;
      },
    ],
  ])('%s', async (_, make) => {
    expect(await (await open()).find(await make(), site())).toMatchObject({ refused: 'api-key-unknown' });
  });

  test('one of a customer that is not served here', async () => {
    const [text] = await create();
    expect(await (await open()).find(text, site([bolt]))).toMatchObject({ refused: 'api-key-unknown' });
  });

  test('one of an entity, or environment, that customers.yaml has no more', async () => {
    const [text] = await create();
    const keys = await open();
    const without = sampleCustomer({ entities: [{ id: 'axe', name: 'AXE', environments: ['prod'] }] });
    expect(await keys.find(text, site([without]))).toMatchObject({ refused: 'api-key-unknown' });
    expect(await keys.find(text, site([sampleCustomer({ entities: [] })]))).toMatchObject({
      refused: 'api-key-unknown',
    });
  });
});

describe('a right id with a wrong secret', () => {
  test('is refused although its checksum is right', async () => {
    const [text, { id }] = await create();
    const forged = forge(`frame_dev_${id}${'z'.repeat(32)}`);
    expect(forged).toHaveLength(text.length);
    expect(await (await open()).find(forged, site())).toMatchObject({ refused: 'api-key-unknown' });
    expect(await (await open()).find(forge(text.slice(0, -6).replace('_dev_', '_admin_')), site())).toMatchObject({
      refused: 'api-key-unknown',
    });
  });
});

describe('a revocation', () => {
  test('counts on every gateway as soon as it heard of it', async () => {
    const ears = audible(database.pools);
    const [blue, green] = [await open(ears.pools), await open()];
    const [text, { id }] = await create();
    await blue.find(text, site());
    await green.find(text, site());
    const heard = ears.nextNotification();
    await revokeApiKey(database.run, { id, customer: 'axe' }, 'test', NOW);
    expect(await heard).toBe(id);
    expect(await blue.find(text, site())).toMatchObject({ refused: 'api-key-unknown' });
  });

  test('counts within a second when word of it was lost', async () => {
    const keys = await open({ ...database.pools, listen: async () => async () => {} });
    const [text, { id }] = await create();
    await keys.find(text, site());
    await revokeApiKey(database.run, { id }, 'test', NOW);
    database.clock.now += 1001;
    expect(await keys.find(text, site())).toMatchObject({ refused: 'api-key-unknown' });
  });

  test('is for the named customer only, and only once', async () => {
    const [, { id }] = await create();
    expect(await revokeApiKey(database.run, { id, customer: 'bolt' }, 'test', NOW)).toBeUndefined();
    expect(await revokeApiKey(database.run, { id }, 'test', NOW)).toMatchObject({ id, revokedAt: NOW });
    expect(await revokeApiKey(database.run, { id }, 'test', NOW)).toBeUndefined();
  });
});

test('a rotated key works until its time is over, and no longer than before', async () => {
  const keys = await open();
  const [old, key] = await create();
  const [text, next] = (await tryReplace(key, NOW + 60_000)) ?? [''];
  for (const each of [old, text]) expect(await keys.find(each, site())).toHaveProperty('key');
  expect(next).toMatchObject({ role: 'dev', name: 'nightly totals', createdBy: 'somebody', expiresAt: LATER });
  database.clock.now += 60_000;
  expect(await keys.find(old, site())).toMatchObject({ refused: 'api-key-unknown' });
  expect(await keys.find(text, site())).toHaveProperty('key');
  expect((await findApiKey(database.run, key.id))?.key).toMatchObject({
    expiresAt: NOW + 60_000,
    replacedBy: next?.id,
  });

  const [, last] = await create();
  await tryReplace(last, NOW + 99 * 86_400_000);
  expect((await findApiKey(database.run, last.id))?.key.expiresAt).toBe(last.expiresAt);
});

test('of rotations at once one counts, and a key that ended is rotated no more', async () => {
  const [, key] = await create();
  const rotated = await Promise.all([1, 2, 3].map(() => tryReplace(key, NOW)));
  expect(rotated.filter(each => each !== undefined)).toHaveLength(1);
  const [, revoked] = await create();
  await revokeApiKey(database.run, { id: revoked.id }, 'test', NOW);
  const [, expired] = await create({ expiresAt: NOW });
  const before = await listApiKeys(database.run, {});
  expect([await tryReplace(revoked, NOW), await tryReplace(expired, NOW)]).toEqual([undefined, undefined]);
  expect(await listApiKeys(database.run, {})).toEqual(before);
});

describe('in an address', () => {
  test('a key is revoked, and that is told', async () => {
    const keys = await open();
    const [text, { id }] = await create();
    await keys.revokeExposed(new URL(`https://axe.example/frame/mcp?q=${text.replace('_', '%5F')}`), address());
    expect(exposed.map(key => key.id)).toEqual([id]);
    expect((await findApiKey(database.run, id))?.key.revokedWhy).toBe('seen-in-address');
  });

  test('an id with a wrong secret ends nobody’s key', async () => {
    const [, { id }] = await create();
    const forged = forge(`frame_dev_${id}${'z'.repeat(32)}`);
    await (await open()).revokeExposed(new URL(`https://axe.example/?q=${forged}`), address());
    expect(exposed).toEqual([]);
    expect((await findApiKey(database.run, id))?.key.revokedAt).toBeUndefined();
  });

  test.each<[string, (text: string) => string]>([
    ['beside what cannot be decoded', text => `/?a=%E0%A4%A&q=${text.replaceAll('_', '%5f')}`],
    ['as a name', text => `/?${text}`],
    [
      'in the path, letter by letter',
      text => `/x/${text.replaceAll(/./g, letter => `%${letter.charCodeAt(0).toString(16)}`)}`,
    ],
  ])('%s it is seen too', async (_, pathOf) => {
    const [text, { id }] = await create();
    await (await open()).revokeExposed(new URL(`https://axe.example${pathOf(text)}`), address());
    expect(exposed.map(key => key.id)).toEqual([id]);
  });

  test('who tries keys there is shut out as anywhere else', async () => {
    const keys = await open();
    const [good] = await create();
    await keys.find(good, site());
    for (let i = 0; i < 31; i += 1) {
      await keys.revokeExposed(new URL(`https://axe.example/?q=${makeApiKeyText('dev').text}`), address());
    }
    expect(await keys.find(makeApiKeyText('dev').text, site())).toMatchObject({ refused: 'too-many-bad-keys' });
    await keys.revokeExposed(new URL(`https://axe.example/?q=${good}`), address());
    expect(exposed).toHaveLength(1);
  });
});

test('what cannot be a key costs the database nothing, and is told to wait all the same', async () => {
  const silent = () => Promise.reject(new Error('the database was asked'));
  const rates = createRates({ pools: { query: silent }, now: Date.now });
  const keys = await open({ ...database.pools, query: silent }, rates);
  const [good] = await create();
  const slips = ['nonsense', `${good.slice(0, -1)}${good.endsWith('x') ? 'y' : 'x'}`, good.replace('_dev_', '_admin_')];
  const refusals = [];
  for (let i = 0; i < 33; i += 1) refusals.push(await keys.find(slips[i % 3] ?? '', site()));
  expect(refusals.slice(0, 30).every(each => 'refused' in each && each.refused === 'api-key-unknown')).toBe(true);
  expect(refusals.at(-1)).toMatchObject({ refused: 'too-many-bad-keys' });
  expect(await (await open()).find(good, site())).toHaveProperty('key');
});

test('who sends what cannot be a key shuts out nobody beside them', async () => {
  const keys = await open();
  const [good] = await create();
  for (let i = 0; i < 31; i += 1) await keys.find('nonsense', site());
  expect(await keys.find('nonsense', site())).toMatchObject({ refused: 'too-many-bad-keys' });
  expect(await keys.find(good, site())).toHaveProperty('key');
});

describe('a script with a key that is good no more shuts out nobody beside it', () => {
  test.each<[string, Partial<ApiKeyFacts>, Customer[]?]>([
    ['expired', { expiresAt: NOW }],
    ['revoked', {}],
    ['from another network', { networks: ['10.0.0.0/8'] }],
    ['of a removed entity', {}, [sampleCustomer({ entities: [] })]],
  ])('%s', async (what, changes, customers) => {
    const { pools, texts } = counting();
    const [stale, { id }] = await create(changes);
    if (what === 'revoked') await revokeApiKey(database.run, { id }, 'test', NOW);
    const keys = await open(pools, createRates({ pools, now: Date.now }));
    for (let i = 0; i < 40; i += 1) {
      expect(await keys.find(stale, site(customers))).toMatchObject({ refused: 'api-key-unknown' });
    }
    expect(texts().filter(each => /rates/.test(each))).toEqual([]);
    expect(texts().length).toBeLessThan(5);
    const [good] = await create();
    expect(await keys.find(good, site())).toHaveProperty('key');
  });

  test('but its id with a guessed secret does', async () => {
    const keys = await open();
    const [, { id }] = await create({ expiresAt: NOW });
    for (let i = 0; i < 31; i += 1) await keys.find(forge(`frame_dev_${id}${'z'.repeat(30)}${10 + i}`), site());
    expect(await keys.find(makeApiKeyText('dev').text, site())).toMatchObject({ refused: 'too-many-bad-keys' });
  });
});

test('who tries keys does so in vain from every address of their network', async () => {
  const keys = await open();
  const from = (n: number) => site([axe], `2001:db8:${visitor}:1::${n}`);
  for (let i = 0; i < 31; i += 1) await keys.find(makeApiKeyText('dev').text, from(i));
  expect(await keys.find(makeApiKeyText('dev').text, from(99))).toMatchObject({ refused: 'too-many-bad-keys' });
  const [good] = await create();
  expect(await keys.find(good, site([axe], `2001:db8:${visitor}:2::1`))).toHaveProperty('key');
});

test('a key that is remembered leaves no word of its use', async () => {
  const { pools, texts } = counting();
  const keys = await open(pools);
  const [text] = await create();
  for (let i = 0; i < 20; i += 1) await keys.find(text, site());
  expect(texts().filter(each => /update/.test(each))).toHaveLength(1);
  database.clock.now += 60_000;
  await keys.find(text, site());
  expect(texts().filter(each => /update/.test(each))).toHaveLength(2);
});

test('who tries keys is shut out, and the database hears no more of it', async () => {
  let queries = 0;
  const pools = {
    ...database.pools,
    query: ((...args) => {
      queries += 1;
      return database.pools.query(...args);
    }) as typeof database.pools.query,
  };
  const keys = await open(pools);
  const [good] = await create();
  await keys.find(good, site());
  for (let i = 0; i < 31; i += 1) await keys.find(makeApiKeyText('dev').text, site());
  queries = 0;
  expect(await keys.find(makeApiKeyText('dev').text, site())).toMatchObject({ refused: 'too-many-bad-keys' });
  expect(queries).toBe(0);
  expect(await keys.find(good, site([axe], '198.51.100.1'))).toHaveProperty('key');

  // Somebody else behind the same address works on, as long as the key is good.
  database.clock.now += 5000;
  expect(await keys.find(good, site())).toHaveProperty('key');
  const [fresh] = await create();
  expect(await keys.find(fresh, site())).toMatchObject({ refused: 'too-many-bad-keys' });
  await revokeApiKey(database.run, { id: good.slice(10, 20) }, 'test', database.clock.now);
  database.clock.now += 1000;
  expect(await keys.find(good, site())).toMatchObject({ refused: 'api-key-unknown' });
});

test('while the database is away nobody is told that a key is bad', async () => {
  const [text] = await create();
  const keys = await open({ ...database.pools, query: () => Promise.reject(unavailable('away')) });
  expect(await keys.find(text, site())).toMatchObject({ refused: 'tokens-unreachable' });
});

test('the list has everything but the secret', async () => {
  const [, { id }] = await create({ entity: 'studio', environment: 'prod', name: 'listed' });
  const listed = await listApiKeys(database.run, { customer: 'axe', entity: 'studio' });
  expect(listed).toEqual([expect.objectContaining({ id, name: 'listed', role: 'dev' })]);
  expect(JSON.stringify(listed)).not.toMatch(/digest/);
  expect(await listApiKeys(database.run, { customer: 'bolt' })).toEqual([]);
});

function forge(body: string): string {
  const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  let rest = crc32(body);
  let checksum = '';
  for (let i = 0; i < 6; i += 1) {
    checksum = `${letters[rest % 62]}${checksum}`;
    rest = Math.floor(rest / 62);
  }
  return body + checksum;
}
