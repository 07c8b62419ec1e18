import {
  Client,
  type OAuthDiscoveryState,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from '@modelcontextprotocol/client';
import { UnauthorizedError as OldUnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { agreeAndSignIn, answerOf, createBrowser, REDIRECT } from './browser.ts';
import { ADA, openWorld, type World } from './world.ts';

/** The official clients with their own OAuth code, from an address that somebody typed to a month later. */
let world: World;

beforeAll(async () => {
  world = await openWorld();
});
afterEach(() => {
  world.clock.aheadMs = 0;
});
afterAll(() => world?.close());

/** What a program keeps between its starts. */
function createMemory() {
  const opened: URL[] = [];
  const kept: { client?: { client_id: string }; tokens?: Tokens; verifier: string; discovery?: OAuthDiscoveryState } = {
    verifier: '',
  };
  const provider = {
    redirectUrl: REDIRECT,
    clientMetadata: { client_name: 'Probe', redirect_uris: [REDIRECT] },
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
    invalidateCredentials(what: string) {
      if (what === 'all' || what === 'tokens') delete kept.tokens;
      if (what === 'all' || what === 'client') delete kept.client;
    },
  };
  return { kept, opened, provider };
}

interface Tokens {
  access_token: string;
  token_type: string;
  refresh_token?: string;
  scope?: string;
}

type Memory = ReturnType<typeof createMemory>;

interface Connection {
  list(): Promise<string[]>;
  call(): Promise<unknown>;
  close(): Promise<void>;
}

interface Sdk {
  connect(memory: Memory): Promise<Connection>;
  finish(memory: Memory, answer: Record<string, string>): Promise<void>;
  Unauthorized: new (...args: never[]) => Error;
}

const ECHOED = { structuredContent: { args: { a: 1 } } };

const SDKS: [string, Sdk][] = [
  [
    'client 2.x',
    {
      async connect({ provider }) {
        const client = new Client({ name: 'probe', version: '1' }, { versionNegotiation: { mode: 'auto' } });
        await client.connect(
          new StreamableHTTPClientTransport(new URL(world.resource), { authProvider: provider, fetch: rewrapped }),
        );
        return {
          list: async () => (await client.listTools()).tools.map(({ name }) => name),
          call: () => client.callTool({ name: 'echo', arguments: { a: 1 } }),
          close: () => client.close(),
        };
      },
      async finish({ provider }, answer) {
        const transport = new StreamableHTTPClientTransport(new URL(world.resource), {
          authProvider: provider,
          fetch: rewrapped,
        });
        await transport.finishAuth(new URLSearchParams(answer));
      },
      Unauthorized: UnauthorizedError,
    },
  ],
  [
    'sdk 1.x',
    {
      async connect({ provider }) {
        const client = new OldClient({ name: 'probe', version: '1' });
        await client.connect(new OldTransport(new URL(world.resource), { authProvider: provider, fetch: rewrapped }));
        return {
          list: async () => (await client.listTools()).tools.map(({ name }) => name),
          call: () => client.callTool({ name: 'echo', arguments: { a: 1 } }),
          close: () => client.close(),
        };
      },
      async finish({ provider }, { code = '' }) {
        await new OldTransport(new URL(world.resource), { authProvider: provider, fetch: rewrapped }).finishAuth(code);
      },
      Unauthorized: OldUnauthorizedError,
    },
  ],
];

/** Our HTTP server puts another Response in the place of the global one, and the clients ask for instances of that. */
const rewrapped: typeof fetch = async (...asked) => {
  const { body, status, headers } = await fetch(...asked);
  return new Response(body, { status, headers });
};

describe.each(SDKS)('%s', (_, sdk) => {
  /** The program opens the browser, and the person does the rest. */
  async function signIn(memory: Memory, access = 'write'): Promise<Connection> {
    await expect(sdk.connect(memory)).rejects.toBeInstanceOf(sdk.Unauthorized);
    const url = memory.opened.at(-1);
    const browser = createBrowser();
    const callback = await agreeAndSignIn(browser, await browser.open(String(url)), ADA, access);
    await sdk.finish(memory, answerOf(await browser.open(callback)));
    return sdk.connect(memory);
  }

  test('finds everything by itself, registers, signs in and works', async () => {
    const memory = createMemory();
    const connection = await signIn(memory);
    expect(await connection.list()).toContain('echo');
    const asked = memory.opened[0]?.searchParams;
    expect(asked?.get('resource')).toBe(world.resource);
    expect(asked?.get('scope')).toContain('frame:read frame:write');
    expect(memory.kept.tokens?.scope).toContain('frame:write');
    await connection.close();
  });

  test('keeps to what the person chose', async () => {
    const memory = createMemory();
    const connection = await signIn(memory, 'read');
    expect(memory.kept.tokens?.scope).not.toContain('frame:write');
    expect(await connection.call()).toMatchObject(ECHOED);
    await connection.close();
  });

  test('refreshes without a person, for a month and more', async () => {
    const memory = createMemory();
    const connection = await signIn(memory);
    for (const days of [1, 20, 40, 60]) {
      world.clock.aheadMs = days * 86_400_000;
      const { access_token } = memory.kept.tokens ?? {};
      expect(await connection.call()).toMatchObject(ECHOED);
      expect(memory.kept.tokens?.access_token).not.toBe(access_token);
    }
    expect(memory.opened).toHaveLength(1);
    await connection.close();
  });

  test('is cut off at once, and signs in again', async () => {
    const memory = createMemory();
    const connection = await signIn(memory);
    const body = new URLSearchParams({
      token: memory.kept.tokens?.refresh_token ?? '',
      client_id: memory.kept.client?.client_id ?? '',
    });
    expect((await fetch(`${world.origin}/revoke`, { method: 'POST', body })).status).toBe(200);
    await expect.poll(() => connection.call().catch(error => error)).toBeInstanceOf(Error);
    expect(memory.opened.length).toBeGreaterThan(1);
    const again = await signIn(memory);
    expect(await again.call()).toMatchObject(ECHOED);
    await Promise.all([connection.close(), again.close()]);
  });
});
