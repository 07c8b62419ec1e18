import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Clients, createClients } from '../../src/broker/clients.ts';
import { OAuthError } from '../../src/broker/oauth-error.ts';
import type { Network } from '../../src/broker/public-network.ts';
import type { Pools } from '../../src/database/pools.ts';
import { observeNothing } from '../../src/observe.ts';
import { type AuditDatabase, openAuditDatabase } from '../audit/audit-database.ts';

const NOW = Date.UTC(2026, 10, 20, 12);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const BODY = { client_name: 'A client', redirect_uris: ['https://client.example/callback'] };

/** Nobody who registers makes us ask anybody. */
const noNetwork: Network = {
  resolve: async name => expect.fail(`asked for ${name}`),
  connect: () => expect.fail('connected'),
};

let database: AuditDatabase;
let patient: Pools;
let clients: Clients;
let clock: number;

beforeAll(async () => {
  database = await openAuditDatabase();
  // On a busy machine, whoever comes with many others waits rather than be refused.
  patient = database.openPools(undefined, { acquireTimeoutMs: 20_000 });
});
afterAll(() => database.close());

beforeEach(async () => {
  clock = NOW;
  await query('truncate frame.oauth_clients');
  clients = open();
});

function open({ pools = patient, registrationsPerMinute = 30 } = {}): Clients {
  return createClients({
    pools,
    network: noNetwork,
    ownOrigins: () => ['https://axe.axelabs.ai', 'http://127.0.0.1:3712'],
    now: () => clock,
    observe: observeNothing,
    limits: { registrationsPerMinute },
  });
}

async function query(text: string): Promise<unknown[][]> {
  const root = await database.connectAsRoot();
  return (await root.query(text).finally(() => root.close())).rows;
}

async function count(): Promise<number> {
  return Number((await query('select count(*) from frame.oauth_clients'))[0]?.[0]);
}

async function register(body: unknown = BODY, from = '198.51.100.1'): Promise<string> {
  return String((await clients.register(body, from)).client_id);
}

/** Differs from all the others. */
const numbered = (number: number) => ({ ...BODY, client_name: `Client ${number}` });

async function refusalOf(body: unknown): Promise<OAuthError> {
  const thrown = await clients.register(body, '198.51.100.1').catch((error: unknown) => error);
  if (!(thrown instanceof OAuthError)) throw new Error('it was registered');
  return thrown;
}

describe('a registration', () => {
  test('is answered with what the client is here: public, with both grants', async () => {
    const answer = await clients.register({ ...BODY, scope: ' frame:read  offline_access frame:read' }, '198.51.100.1');
    expect(answer).toEqual({
      client_id: expect.stringMatching(/^fc_[A-Za-z0-9_-]{32}$/),
      client_id_issued_at: NOW / 1000,
      client_name: 'A client',
      redirect_uris: ['https://client.example/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      scope: 'frame:read offline_access',
    });
    const id = String(answer.client_id);
    expect(encodeURIComponent(id)).toBe(id);
    expect(await clients.find(id)).toEqual({
      id,
      name: 'A client',
      host: undefined,
      kind: 'registered',
      redirectUris: ['https://client.example/callback'],
    });
  });

  test.each(['client_secret_post', 'client_secret_basic', 'private_key_jwt', 42])(
    'that asks for %s gets none, and no secret',
    async method => {
      const answer = await clients.register({ ...BODY, token_endpoint_auth_method: method }, '198.51.100.1');
      expect(answer.token_endpoint_auth_method).toBe('none');
      expect(Object.keys(answer).filter(key => key.startsWith('client_secret'))).toEqual([]);
    },
  );

  test.each<Record<string, unknown>>([
    { grant_types: ['client_credentials', 'urn:ietf:params:oauth:grant-type:device_code'] },
    { response_types: ['token', 'id_token'] },
    { software_statement: 'eyJhbGciOiJub25lIn0.e30.' },
    { jwks_uri: 'https://169.254.169.254/' },
    { logo_uri: 'javascript:alert(1)' },
    { scope: 42 },
    { scope: ['a', 'b'] },
    { client_id: 'fc_mine', client_secret: 'mine' },
    { constructor: { prototype: 1 } },
  ])('may say %j', async extra => {
    const answer = await clients.register({ ...BODY, ...extra }, '198.51.100.1');
    expect(answer).toMatchObject({
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      client_id: expect.stringMatching(/^fc_[\w-]{32}$/),
    });
    expect(answer).not.toHaveProperty('scope');
  });

  test.each([
    [undefined, 'Unnamed client'],
    [null, 'Unnamed client'],
    ['\u202e\u2066', 'Unnamed client'],
    ['Claude\u202eedoC\u0007', 'ClaudeedoC'],
    ['e\u0301'.repeat(200), 'é'.repeat(100)],
    ['😀'.repeat(200), '😀'.repeat(100)],
  ])('by the name %j is shown as %j', async (given, shown) => {
    expect(await clients.find(await register({ ...BODY, client_name: given }))).toMatchObject({ name: shown });
  });

  test('echoes what it was given, also when it stands there twice', async () => {
    const redirect_uris = ['http://localhost/callback', 'http://localhost/callback', 'http://127.0.0.1:33418/'];
    expect(await clients.register({ ...BODY, redirect_uris }, '198.51.100.1')).toMatchObject({ redirect_uris });
  });
});

describe('refused with invalid_redirect_uri', () => {
  test.each([
    [undefined],
    [null],
    [[]],
    ['https://client.example/callback'],
    [[42]],
    [[null]],
    [Array(11).fill('https://client.example/callback')],
    [['javascript:alert(1)']],
    [['https://client.example/callback', 'javascript:alert(1)']],
    [['http://client.example/callback']],
    [['https://client.example/callback#fragment']],
    [['https://*.client.example/callback']],
    [['https://axe.axelabs.ai/callback/entra']],
    [['http://localhost:3712/callback/entra']],
    [['cursor://anysphere.cursor-mcp/oauth/callback', 'cursor://evil.example/']],
  ])('%j', async redirect_uris => {
    expect(await refusalOf({ ...BODY, redirect_uris })).toMatchObject({ code: 'invalid_redirect_uri', status: 400 });
    expect(await count()).toBe(0);
  });

  test('names the one, but does not repeat it', async () => {
    const { message } = await refusalOf({ redirect_uris: ['https://client.example/', 'javascript:alert(1)'] });
    expect(message).toContain('redirect_uris[1]');
    expect(message).not.toContain('alert');
  });
});

describe('refused with invalid_client_metadata', () => {
  test.each([
    [undefined],
    [null],
    ['text'],
    [42],
    [[BODY]],
    [{ ...BODY, client_name: 42 }],
    [{ ...BODY, client_name: [] }],
  ])('%j', async body => expect(await refusalOf(body)).toMatchObject({ code: 'invalid_client_metadata', status: 400 }));
});

describe('the same again', () => {
  test('within a minute from the same address is the same client, also at once', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => register()));
    expect(new Set(ids).size).toBe(1);
    clock += 59_999;
    expect(await register()).toBe(ids[0]);
    expect(await count()).toBe(1);
  });

  test('differs after a minute, from elsewhere, or by a detail', async () => {
    const ids = [await register(), await register(BODY, '198.51.100.2')];
    ids.push(await register({ ...BODY, client_name: 'Another client' }));
    ids.push(await register({ ...BODY, scope: 'frame:read' }));
    clock += 60_000;
    ids.push(await register());
    expect(new Set(ids).size).toBe(5);
  });

  test('is tried again when it failed', async () => {
    let isDown = true;
    const pools: Pools = {
      ...patient,
      query: async (...call) => {
        if (isDown) throw new Error('down');
        return patient.query(...call);
      },
    };
    clients = open({ pools });
    await expect(register()).rejects.toThrow('down');
    isDown = false;
    expect(await clients.find(await register())).toMatchObject({ name: 'A client' });
  });
});

describe('a flood', () => {
  test('from one address ends at the limit and may go on a minute later', async () => {
    const answers = await Promise.allSettled(Array.from({ length: 100 }, (_, number) => register(numbered(number))));
    const refusals = answers.flatMap(answer => (answer.status === 'rejected' ? [answer.reason] : []));
    expect(refusals).toHaveLength(70);
    expect(refusals[0]).toMatchObject({ code: 'temporarily_unavailable', status: 429, retryAfterSeconds: 60 });
    expect(await count()).toBe(30);
    clock += 45_500;
    await expect(register(numbered(100))).rejects.toMatchObject({ retryAfterSeconds: 15 });
    clock += 14_500;
    expect(await register(numbered(100))).toMatch(/^fc_/);
  });

  test('stops nobody else, and nobody who is known already', async () => {
    clients = open({ registrationsPerMinute: 1 });
    const id = await register();
    await expect(register(numbered(1))).rejects.toMatchObject({ status: 429 });
    expect(await register()).toBe(id);
    expect(await register(BODY, '198.51.100.2')).not.toBe(id);
  });

  test('from one network ends at the limit, whatever addresses it has', async () => {
    clients = open({ registrationsPerMinute: 1 });
    await register(numbered(1), '2001:db8:1:2::1');
    await expect(register(numbered(2), '2001:db8:1:2:ffff::9')).rejects.toMatchObject({ status: 429 });
    expect(await register(numbered(3), '2001:db8:1:3::1')).toMatch(/^fc_/);
    await register(numbered(4), '198.51.100.2');
    await expect(register(numbered(5), '::ffff:198.51.100.2')).rejects.toMatchObject({ status: 429 });
  });

  test('of refused ones costs nobody their turn', async () => {
    clients = open({ registrationsPerMinute: 1 });
    for (let i = 0; i < 50; i += 1) await expect(register({})).rejects.toBeInstanceOf(OAuthError);
    expect(await register()).toMatch(/^fc_/);
  });
});

describe('who is not there', () => {
  test.each([
    '',
    'fc_',
    'fc_unknown',
    `fc_${'a'.repeat(32)}`,
    `fc_${'a'.repeat(33)}`,
    "fc_' or true --",
    'http://client.example/x',
    '\0',
  ])('%j is unknown', async clientId => expect(await clients.find(clientId)).toBe('unknown'));

  test('the id of a document is no registration', async () => {
    await query(`insert into frame.oauth_clients (client_id, kind, metadata)
      values ('fc_${'a'.repeat(32)}', 'document', '{"name":"x","redirectUris":[]}')`);
    expect(await clients.find(`fc_${'a'.repeat(32)}`)).toBe('unknown');
  });
});

describe('cleaning up', () => {
  test('forgets who registered and never came, after 30 days', async () => {
    const id = await register();
    clock += 30 * DAY;
    await clients.sweep();
    expect(await clients.find(id)).toMatchObject({ id });
    clock += 1;
    await clients.sweep();
    expect(await clients.find(id)).toBe('unknown');
  });

  test('forgets who came, after 90 days without', async () => {
    const id = await register();
    clock += HOUR;
    clients.touch(id);
    await expect.poll(() => query('select last_used_at from frame.oauth_clients')).not.toEqual([[null]]);
    clock += 90 * DAY;
    await clients.sweep();
    expect(await clients.find(id)).toMatchObject({ id });
    clock += 1;
    await clients.sweep();
    expect(await clients.find(id)).toBe('unknown');
  });

  test('a use is written down once a minute at most', async () => {
    const queries: Promise<unknown>[] = [];
    const pools: Pools = {
      ...patient,
      query(...call) {
        const result = patient.query(...call);
        queries.push(result);
        return result;
      },
    };
    clients = open({ pools });
    const id = await register();
    const usedAt = async () => {
      clients.touch(id);
      await Promise.all(queries);
      const [[at] = []] = await query(
        'select extract(epoch from last_used_at)::float8 * 1000 from frame.oauth_clients',
      );
      return at;
    };
    expect(await usedAt()).toBe(NOW);
    clock += 60_000;
    expect(await usedAt()).toBe(NOW);
    clock += 1;
    expect(await usedAt()).toBe(NOW + 60_001);
  });

  test('a use of somebody unknown changes nothing, and a database that is down stops nobody', async () => {
    clients.touch('fc_unknown');
    open({ pools: { ...patient, query: () => Promise.reject(new Error('down')) } }).touch('fc_unknown');
    await clients.sweep();
    expect(await count()).toBe(0);
  });
});
