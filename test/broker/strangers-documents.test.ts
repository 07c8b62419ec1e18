import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Clients, createClients } from '../../src/broker/clients.ts';
import { KNOWN_DOCUMENTS } from '../../src/broker/known-documents.ts';
import type { Pools } from '../../src/database/pools.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { type AuditDatabase, openAuditDatabase } from '../audit/audit-database.ts';
import { type DocumentHost, PUBLIC, serve, startDocumentHost } from './document-host.ts';

/** Documents that strangers name, and what hosts say in passing. The rest of both is in documents.test.ts. */
const NOW = Date.UTC(2026, 10, 20, 12);
const DAY = 86_400_000;
const ID = 'https://client.example/client.json';
const STRANGER = '198.51.100.1';
const SOMEBODY = '198.51.100.2';

let database: AuditDatabase;
let pools: Pools;
let root: OwnerConnection;
let host: DocumentHost;
let clients: Clients;
let clock: number;
let warnings: string[];

beforeAll(async () => {
  database = await openAuditDatabase();
  pools = database.openPools(undefined, { acquireTimeoutMs: 20_000 });
  root = await database.connectAsRoot();
});
afterAll(() => database.close());

beforeEach(async () => {
  clock = NOW;
  warnings = [];
  await root.query('truncate frame.oauth_clients');
  host = await startDocumentHost('client.example');
  host.answer = documentOf('A client');
  clients = createClients({
    pools,
    network: host.network,
    ownOrigins: () => ['https://axe.axelabs.ai'],
    now: () => clock,
    observe: observation => void (observation.kind === 'warning' && warnings.push(observation.sentence)),
    limits: { registrationsPerMinute: 30 },
  });
});
afterEach(() => host.close());

/** Whatever its address is, it is the document of that client. */
function documentOf(name: string): DocumentHost['answer'] {
  return (request, response) => {
    const client_id = `https://client.example${request.url}`;
    serve({ client_id, client_name: name, redirect_uris: ['https://client.example/cb'] })(request, response);
  };
}

const numbered = (number: number) => `https://client.example/${number}.json`;

/** Signed in with once, so that a copy is kept. */
async function use(clientId: string): Promise<void> {
  clients.touch(clientId);
  await expect.poll(() => root.query('select from frame.oauth_clients')).toMatchObject({ count: 1 });
}

describe('a stranger', () => {
  test('with slow hosts keeps nobody else waiting, but for others at their own address', async () => {
    const { promise: stuck, resolve: answerAll } = Promise.withResolvers<void>();
    host.answer = async (request, response) => {
      await stuck;
      documentOf('Slow')(request, response);
    };
    const slow = Array.from({ length: 5 }, (_, number) => clients.find(numbered(number), STRANGER));
    await expect.poll(() => host.requests).toHaveLength(5);
    for (let number = 5; number < 40; number++) {
      expect(await clients.find(numbered(number), STRANGER)).toBe('unreachable');
    }
    expect(host.requests).toHaveLength(5);
    host.answer = documentOf('A client');
    expect(await clients.find(ID, SOMEBODY)).toMatchObject({ name: 'A client' });
    answerAll();
    expect(await Promise.all(slow)).toMatchObject(Array(5).fill({ name: 'Slow' }));
    // Turned away is not remembered: it is the address that waits, not the document.
    expect(await clients.find(numbered(5), SOMEBODY)).toMatchObject({ name: 'A client' });
    expect(await clients.find(numbered(6), STRANGER)).toMatchObject({ name: 'A client' });
  });

  test('makes us read 30 new documents a minute, while those that are known are read for everybody', async () => {
    await use(ID);
    for (let number = 0; number < 30; number++) {
      expect(await clients.find(numbered(number), STRANGER)).toMatchObject({ name: 'A client' });
    }
    expect(await clients.find(numbered(30), STRANGER)).toBe('unreachable');
    expect(await clients.find(numbered(0), STRANGER)).toMatchObject({ name: 'A client' });
    host.answer = documentOf('Renamed');
    clock += 40_000;
    expect(await clients.find(numbered(31), STRANGER)).toBe('unreachable');
    clock += 20_000;
    expect(await clients.find(numbered(31), STRANGER)).toMatchObject({ name: 'Renamed' });
    clock += DAY;
    for (let number = 40; number < 70; number++) await clients.find(numbered(number), STRANGER);
    expect(await clients.find(ID, STRANGER)).toMatchObject({ name: 'Renamed' });
  });

  test('writes no more than 60 lines a minute into our log', async () => {
    host.answer = serve('{');
    for (let number = 0; number < 100; number++) await clients.find(numbered(number), `198.51.100.${number % 50}`);
    expect(host.requests).toHaveLength(100);
    expect(warnings).toHaveLength(60);
    clock += 60_000;
    await clients.find(numbered(200), SOMEBODY);
    expect(warnings).toHaveLength(61);
  });
});

const passing: [string, DocumentHost['answer']][] = [
  [
    'a detour',
    (_request, response) => void response.writeHead(302, { location: 'https://client.example/sorry' }).end(),
  ],
  ['a page', serve('<html>', { 'content-type': 'text/html' })],
  ['a page without a type', (_request, response) => void response.writeHead(200).end('sorry')],
];
const gone: [string, DocumentHost['answer']][] = [404, 410].map(status => [
  `status ${status}`,
  (_request, response) => void response.writeHead(status).end(),
]);

describe('instead of a document', () => {
  test.each(passing)('%s leaves the copy that was good', async (_, answer) => {
    await use(ID);
    clock += DAY;
    host.answer = answer;
    expect(await clients.find(ID)).toMatchObject({ name: 'A client' });
  });

  test.each(passing)('%s of a host that nobody knows is "unreachable", not "unknown"', async (_, answer) => {
    host.answer = answer;
    expect(await clients.find(ID)).toBe('unreachable');
  });

  test.each(gone)('%s ends the copy that was good', async (_, answer) => {
    await use(ID);
    clock += DAY;
    host.answer = answer;
    expect(await clients.find(ID)).toBe('unknown');
  });
});

const wrong: [string, DocumentHost['answer']][] = [
  ['what is no document', serve('{"error":"try again"}')],
  ['what is no JSON', serve('{')],
];

test.each([...passing, ...gone, ...wrong])('%s ends none of those that are known by heart', async (_, answer) => {
  const [[clientId, { name }] = ['', { name: '' }]] = KNOWN_DOCUMENTS;
  const claude = await startDocumentHost('claude.ai');
  claude.addresses = [[PUBLIC]];
  claude.answer = answer;
  const here = createClients({
    pools,
    network: claude.network,
    ownOrigins: () => [],
    now: () => clock,
    observe: () => {},
    limits: { registrationsPerMinute: 30 },
  });
  expect(await here.find(clientId)).toMatchObject({ name });
  expect(claude.requests).toHaveLength(1);
  await claude.close();
});
