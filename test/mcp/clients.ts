import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as OldTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

/** The official clients, reduced to what our tests ask of each of them alike. */
export interface AnyClient {
  list(): Promise<{ tools: { name: string }[] }>;
  call(name: string, args?: Record<string, unknown>, signal?: AbortSignal): Promise<Record<string, unknown>>;
  server(): { name: string; version: string } | undefined;
  instructions(): string | undefined;
  close(): Promise<void>;
}

const identity = { name: 'probe', version: '1.2.3' };

export const CLIENTS: [string, (url: string, token?: string) => Promise<AnyClient>][] = [
  ['client 2.x at 2026-07-28', (url, token) => connect(url, token, { pin: '2026-07-28' })],
  ['client 2.x that asks first', (url, token) => connect(url, token, 'auto')],
  ['client 2.x at 2025-11-25', (url, token) => connect(url, token, 'legacy')],
  ['sdk 1.x', connectOld],
];

async function connect(url: string, token = 'good', mode: 'auto' | 'legacy' | { pin: string }): Promise<AnyClient> {
  const client = new Client(identity, { versionNegotiation: { mode } });
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/frame/mcp`), { requestInit }));
  return {
    list: () => client.listTools(),
    call: (name, args, signal) => client.callTool({ name, arguments: args }, { signal }),
    server: () => client.getServerVersion(),
    instructions: () => client.getInstructions(),
    close: () => client.close(),
  };
}

async function connectOld(url: string, token = 'good'): Promise<AnyClient> {
  const client = new OldClient(identity);
  const requestInit = { headers: { authorization: `Bearer ${token}` } };
  await client.connect(new OldTransport(new URL(`${url}/frame/mcp`), { requestInit }));
  return {
    list: () => client.listTools(),
    call: (name, args, signal) => client.callTool({ name, arguments: args }, undefined, { signal }),
    server: () => client.getServerVersion(),
    instructions: () => client.getInstructions(),
    close: () => client.close(),
  };
}
