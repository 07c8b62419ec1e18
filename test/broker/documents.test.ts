import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Clients, createClients } from '../../src/broker/clients.ts';
import { KNOWN_DOCUMENTS } from '../../src/broker/known-documents.ts';
import type { Pools } from '../../src/database/pools.ts';
import { type AuditDatabase, openAuditDatabase } from '../audit/audit-database.ts';
import { type DocumentHost, serve, startDocumentHost } from './document-host.ts';

const NOW = Date.UTC(2026, 10, 20, 12);
const MINUTE = 60_000;
const DAY = 86_400_000;
const ID = 'https://client.example/client.json';
const DOCUMENT = {
  client_id: ID,
  client_name: 'A client',
  redirect_uris: ['https://client.example/callback'],
  token_endpoint_auth_method: 'none',
};
const CLIENT = {
  id: ID,
  name: 'A client',
  host: 'client.example',
  kind: 'document',
  redirectUris: ['https://client.example/callback'],
};

let database: AuditDatabase;
let patient: Pools;
let host: DocumentHost;
let clients: Clients;
let clock: number;
let warnings: string[];

beforeAll(async () => {
  database = await openAuditDatabase();
  // On a busy machine, whoever comes with many others waits rather than be refused.
  patient = database.openPools(undefined, { acquireTimeoutMs: 20_000 });
});
afterAll(() => database.close());

beforeEach(async () => {
  clock = NOW;
  warnings = [];
  await query('truncate frame.oauth_clients');
  host = await startDocumentHost('client.example');
  host.answer = serve(DOCUMENT);
  clients = open();
});
afterEach(() => host.close());

function open({ documentTimeoutMs = 5000 } = {}): Clients {
  return createClients({
    pools: patient,
    network: host.network,
    ownOrigins: () => ['https://axe.axelabs.ai'],
    now: () => clock,
    observe: observation => void (observation.kind === 'warning' && warnings.push(observation.sentence)),
    limits: { registrationsPerMinute: 30 },
    documentTimeoutMs,
  });
}

async function query(text: string): Promise<unknown[][]> {
  const root = await database.connectAsRoot();
  return (await root.query(text).finally(() => root.close())).rows;
}

const kept = () => query("select client_id, metadata->>'name' from frame.oauth_clients order by 1");

/** Signed in with once, so that a copy is kept. */
async function use(): Promise<void> {
  clients.touch(ID);
  await expect.poll(kept).toHaveLength(1);
}

const breakHost = () => {
  host.addresses = [new Error('no such name')];
};

describe('a document', () => {
  test('describes its client', async () => {
    expect(await clients.find(ID)).toEqual(CLIENT);
    expect(warnings).toEqual([]);
  });

  test('of ChatGPT prefers an assertion that we do not take, and that is fine', async () => {
    host.answer = serve({
      ...DOCUMENT,
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
      jwks_uri: 'https://client.example/jwks.json',
    });
    expect(await clients.find(ID)).toEqual(CLIENT);
  });

  test('may ask for grants that we do not have and say things that we do not read', async () => {
    const document = JSON.stringify({
      ...DOCUMENT,
      grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
      logo_uri: 'https://169.254.169.254/logo.png',
      extension: [[[1]]],
    });
    host.answer = serve(document.replace('{', '{"__proto__":{"client_secret":"x"},'));
    expect(await clients.find(ID)).toEqual(CLIENT);
    expect(host.requests).toHaveLength(1);
  });

  test('that is unusually large is read, and reported', async () => {
    host.answer = serve({ ...DOCUMENT, padding: 'x'.repeat(6000) });
    expect(await clients.find(ID)).toEqual(CLIENT);
    expect(warnings).toEqual([expect.stringContaining('bytes')]);
  });

  test.each([
    ['  Claude\u202e\u200b \n\t Code\u0000 ', 'Claude Code'],
    ['x'.repeat(300), 'x'.repeat(100)],
    ['한글 클라이언트', '한글 클라이언트'],
    ['<b>&"bold"', '<b>&"bold"'],
  ])('with the name %j is called %j', async (given, shown) => {
    host.answer = serve({ ...DOCUMENT, client_name: given });
    expect(await clients.find(ID)).toMatchObject({ name: shown });
  });

  const wrong: [string, unknown][] = [
    ['nothing', ''],
    ['no JSON', '{'],
    ['null', 'null'],
    ['a list', [DOCUMENT]],
    ['no client_id', { ...DOCUMENT, client_id: undefined }],
    ['another client_id', { ...DOCUMENT, client_id: 'https://client.example/other.json' }],
    ['its client_id with a slash', { ...DOCUMENT, client_id: `${ID}/` }],
    ['its client_id in capitals', { ...DOCUMENT, client_id: 'https://CLIENT.example/client.json' }],
    [
      'two client_ids',
      `{"client_id":"${ID}",${JSON.stringify({ ...DOCUMENT, client_id: 'https://x.example/y' }).slice(1)}`,
    ],
    ['no name', { ...DOCUMENT, client_name: undefined }],
    ['an invisible name', { ...DOCUMENT, client_name: '\u200b\u3164 ' }],
    ['a name that is none', { ...DOCUMENT, client_name: { en: 'Client' } }],
    ['no redirect_uris', { ...DOCUMENT, redirect_uris: undefined }],
    ['an empty list of redirect_uris', { ...DOCUMENT, redirect_uris: [] }],
    ['a redirect_uri without a list', { ...DOCUMENT, redirect_uris: 'https://client.example/callback' }],
    ['11 redirect_uris', { ...DOCUMENT, redirect_uris: Array(11).fill('https://client.example/callback') }],
    ['a redirect_uri that runs', { ...DOCUMENT, redirect_uris: ['javascript:alert(1)'] }],
    ['a redirect_uri among good ones that is data', { ...DOCUMENT, redirect_uris: ['https://a.example/', 'data:,x'] }],
    ['a redirect_uri of ours', { ...DOCUMENT, redirect_uris: ['https://axe.axelabs.ai/callback/entra'] }],
    ['a redirect_uri over http', { ...DOCUMENT, redirect_uris: ['http://client.example/callback'] }],
    ['a secret', { ...DOCUMENT, client_secret: 'x' }],
    ['the age of a secret', { ...DOCUMENT, client_secret_expires_at: 0 }],
    ['authentication by a secret', { ...DOCUMENT, token_endpoint_auth_method: 'client_secret_post' }],
    ['authentication by certificate', { ...DOCUMENT, token_endpoint_auth_method: 'tls_client_auth' }],
  ];
  test.each(wrong)('with %s is no client, and not asked again at once', async (_name, body) => {
    host.answer = serve(body);
    expect(await clients.find(ID)).toBe('unknown');
    expect(await clients.find(ID)).toBe('unknown');
    expect(host.requests).toHaveLength(1);
    expect(warnings).toHaveLength(1);
    host.answer = serve(DOCUMENT);
    clock += 10_000;
    expect(await clients.find(ID)).toEqual(CLIENT);
  });

  test.each([
    'https://axe.axelabs.ai/authorize?client_id=https://axe.axelabs.ai/authorize',
    'https://127.0.0.1/client.json',
    'https://client.example/a/../client.json',
  ])('is not looked for at %s', async clientId => {
    expect(await clients.find(clientId)).toBe('unknown');
    expect(host.lookups).toEqual([]);
  });
});

describe('asking', () => {
  test('a hundred times at once asks once', async () => {
    const found = await Promise.all(Array.from({ length: 100 }, () => clients.find(ID)));
    expect(found).toEqual(Array(100).fill(CLIENT));
    expect(host.requests).toHaveLength(1);
  });

  test('a host that fails a hundred times at once asks once, and again after ten seconds', async () => {
    breakHost();
    const found = await Promise.all(Array.from({ length: 100 }, () => clients.find(ID)));
    expect(found).toEqual(Array(100).fill('unreachable'));
    expect(await clients.find(ID)).toBe('unreachable');
    expect(host.lookups).toHaveLength(1);
    clock += 10_000;
    expect(await clients.find(ID)).toBe('unreachable');
    expect(host.lookups).toHaveLength(2);
  });

  test('many slow hosts does not make anybody else wait', async () => {
    const { promise: stuck, resolve: answerAll } = Promise.withResolvers<void>();
    host.answer = async (request, response) => {
      await stuck;
      serve(DOCUMENT)(request, response);
    };
    const slow = Array.from({ length: 20 }, (_, at) => clients.find(`https://client.example/${at}.json`));
    await expect.poll(() => host.requests).toHaveLength(20);
    expect(await clients.find(ID)).toBe('unreachable');
    const [known = ''] = KNOWN_DOCUMENTS.keys();
    expect(await clients.find(known)).toMatchObject({ name: 'Claude' });
    expect(host.requests).toHaveLength(20);
    answerAll();
    await Promise.all(slow);
    expect(await clients.find(ID)).toEqual(CLIENT);
  });

  test.each([
    ['says nothing', {}, 5],
    ['says never', { 'cache-control': 'no-store' }, 5],
    ['says a minute', { 'cache-control': 'max-age=60' }, 5],
    ['says an hour', { 'cache-control': 'max-age=3600' }, 60],
    ['says a year', { 'cache-control': 'max-age=31536000' }, 24 * 60],
  ])('again is not needed for a while, when the host %s', async (_name, headers, minutes) => {
    host.answer = serve(DOCUMENT, headers);
    await clients.find(ID);
    clock += minutes * MINUTE - 1;
    await clients.find(ID);
    expect(host.requests).toHaveLength(1);
    clock += 1;
    await clients.find(ID);
    expect(host.requests).toHaveLength(2);
  });

  test('again takes up what changed', async () => {
    await clients.find(ID);
    host.answer = serve({ ...DOCUMENT, redirect_uris: ['https://client.example/new'] });
    clock += 5 * MINUTE;
    expect(await clients.find(ID)).toMatchObject({ redirectUris: ['https://client.example/new'] });
  });
});

describe('a document whose host is gone', () => {
  test('is not "unknown", for clients would forget their registration', async () => {
    breakHost();
    expect(await clients.find(ID)).toBe('unreachable');
  });

  test('leaves no trace when nobody signed in with it', async () => {
    await clients.find(ID);
    expect(await kept()).toEqual([]);
    breakHost();
    expect(await open().find(ID)).toBe('unreachable');
  });

  test('lives on in the copy that was good, for 30 days, in every process', async () => {
    await use();
    breakHost();
    clock += 30 * DAY - 1;
    expect(await clients.find(ID)).toEqual(CLIENT);
    expect(await open().find(ID)).toEqual(CLIENT);
    clock += 1;
    expect(await open().find(ID)).toBe('unreachable');
  });

  test('lives on when a guard in front of it turns us away', async () => {
    await use();
    clock += DAY;
    host.answer = (_request, response) => void response.writeHead(403, { 'content-type': 'text/html' }).end('<html>');
    expect(await clients.find(ID)).toEqual(CLIENT);
  });

  test('is asked for again after five minutes, not on every sign-in', async () => {
    await use();
    clock += DAY;
    breakHost();
    for (let i = 0; i < 10; i += 1) expect(await clients.find(ID)).toEqual(CLIENT);
    expect(host.lookups).toHaveLength(2);
    clock += 5 * MINUTE;
    await clients.find(ID);
    expect(host.lookups).toHaveLength(3);
  });

  test('does not live on when the host says that it is gone', async () => {
    await use();
    clock += DAY;
    host.answer = (_request, response) => void response.writeHead(410).end();
    expect(await clients.find(ID)).toBe('unknown');
  });

  test('lives on as it was read last', async () => {
    await use();
    clock += DAY;
    host.answer = serve({ ...DOCUMENT, client_name: 'Renamed' });
    expect(await clients.find(ID)).toMatchObject({ name: 'Renamed' });
    breakHost();
    clock += 29 * DAY;
    expect(await open().find(ID)).toMatchObject({ name: 'Renamed' });
  });

  test('comes back with its host', async () => {
    breakHost();
    expect(await clients.find(ID)).toBe('unreachable');
    host.addresses = [['93.184.215.14']];
    clock += 10_000;
    expect(await clients.find(ID)).toEqual(CLIENT);
  });

  test.each([...KNOWN_DOCUMENTS])('is known by heart: %s', async (clientId, { name, redirectUris }) => {
    breakHost();
    expect(await clients.find(clientId)).toEqual({
      id: clientId,
      name,
      redirectUris,
      kind: 'document',
      host: new URL(clientId).hostname,
    });
    clients.touch(clientId);
    await clients.sweep();
    expect(await kept()).toEqual([]);
  });
});

test('a copy that another process keeps spares the question', async () => {
  await use();
  expect(await open().find(ID)).toEqual(CLIENT);
  expect(host.requests).toHaveLength(1);
});
