import { Client, type OAuthDiscoveryState, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agreeAndSignIn, answerOf, createBrowser } from './browser.ts';
import { type Internet, startInternet } from './internet.ts';
import { ADA, openWorld, type World } from './world.ts';

/** The official clients with their own OAuth code, where their id is the address of a document (flow.test.ts registers). */
const DOCUMENT = 'https://probe.example/oauth/client.json';
const REDIRECT = 'http://127.0.0.1:51234/callback';

const METADATA = {
  client_name: 'Probe',
  redirect_uris: ['http://127.0.0.1/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
};

let internet: Internet;
let world: World;

beforeAll(async () => {
  internet = await startInternet(new Map([[DOCUMENT, { client_id: DOCUMENT, ...METADATA }]]));
  world = await openWorld(['axe'], {}, internet.network);
});
afterAll(async () => {
  await world?.close();
  await internet?.[Symbol.asyncDispose]();
});

interface Tokens {
  access_token: string;
  token_type: string;
  refresh_token?: string;
}

function createMemory() {
  const opened: URL[] = [];
  const kept: { client?: { client_id: string }; tokens?: Tokens; verifier: string; discovery?: OAuthDiscoveryState } = {
    verifier: '',
  };
  const provider = {
    redirectUrl: REDIRECT,
    clientMetadataUrl: DOCUMENT,
    clientMetadata: { ...METADATA, redirect_uris: [REDIRECT] },
    state: () => 'a state',
    clientInformation: () => kept.client,
    saveClientInformation: (client: { client_id: string }) => void Object.assign(kept, { client }),
    tokens: () => kept.tokens,
    saveTokens: (tokens: Tokens) => void Object.assign(kept, { tokens }),
    redirectToAuthorization: (url: URL) => void opened.push(url),
    saveCodeVerifier: (verifier: string) => void Object.assign(kept, { verifier }),
    codeVerifier: () => kept.verifier,
    discoveryState: () => kept.discovery,
    saveDiscoveryState: (discovery: OAuthDiscoveryState) => void Object.assign(kept, { discovery }),
  };
  return { kept, opened, provider };
}

type Memory = ReturnType<typeof createMemory>;

const newTransport = ({ provider }: Memory) =>
  new StreamableHTTPClientTransport(new URL(world.resource), { authProvider: provider });
const oldTransport = ({ provider }: Memory) => new OldTransport(new URL(world.resource), { authProvider: provider });

const SDKS: [
  string,
  (memory: Memory) => Promise<string[]>,
  (memory: Memory, answer: URLSearchParams) => Promise<void>,
][] = [
  [
    'client 2.x',
    async memory => {
      const client = new Client({ name: 'probe', version: '1' }, { versionNegotiation: { mode: 'auto' } });
      await client.connect(newTransport(memory));
      const { tools } = await client.listTools().finally(() => client.close());
      return tools.map(({ name }) => name);
    },
    (memory, answer) => newTransport(memory).finishAuth(answer),
  ],
  [
    'sdk 1.x',
    async memory => {
      const client = new OldClient({ name: 'probe', version: '1' });
      await client.connect(oldTransport(memory));
      const { tools } = await client.listTools().finally(() => client.close());
      return tools.map(({ name }) => name);
    },
    (memory, answer) => oldTransport(memory).finishAuth(answer.get('code') ?? ''),
  ],
];

test.each(SDKS)('%s is known by its document and never registers', async (_, list, finish) => {
  const memory = createMemory();
  await expect(list(memory)).rejects.toThrow('Unauthorized');
  const [url] = memory.opened;
  expect(url?.searchParams.get('client_id')).toBe(DOCUMENT);

  const browser = createBrowser();
  const consent = await browser.open(String(url));
  expect(consent.text).toContain('<b>probe.example</b>');
  const answer = answerOf(await browser.open(await agreeAndSignIn(browser, consent, ADA)));
  await finish(memory, new URLSearchParams(answer));
  expect(await list(memory)).toContain('echo');

  const { access_token: before = '' } = memory.kept.tokens ?? {};
  Object.assign(memory.kept.tokens ?? {}, { access_token: `frame_at_${'x'.repeat(43)}` });
  expect(await list(memory)).toContain('echo');
  expect(memory.kept.tokens?.access_token).not.toBe(before);
  expect(memory.opened).toHaveLength(1);
  expect(await world.query("select count(*)::int from frame.oauth_clients where kind = 'registered'")).toEqual([[0]]);
});

test('their document was asked for once', () => {
  expect(internet.requests()).toEqual(['probe.example/oauth/client.json']);
});
