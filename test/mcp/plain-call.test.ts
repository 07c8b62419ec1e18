import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPlainCall } from '../../src/mcp/plain-call.ts';
import { createFixtureDoor, type Gateway, startGateway } from '../http/fixture.ts';

type Json = Record<string, unknown>;
type Era = 'modern' | '2025';

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'probe', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
const BOTH = 'application/json, text/event-stream';

function headersOf(era: Era, name: string): Record<string, string> {
  if (era === '2025') return { accept: BOTH, 'mcp-protocol-version': '2025-11-25' };
  return { accept: BOTH, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': name };
}

function bodyOf(era: Era, name: string, id: string | number = 1): Json {
  const params = { name, arguments: { text: 'ü"\\', n: [1.5, null] }, ...(era === 'modern' && { _meta: META }) };
  return { jsonrpc: '2.0', id, method: 'tools/call', params };
}

const ERAS: Era[] = ['modern', '2025'];

function meta(changes: Json): Json {
  return changed('modern', { _meta: { ...META, ...changes } });
}

const ONLY_MODERN: [string, Json][] = [
  ['no envelope', changed('modern', { _meta: undefined })],
  ['an envelope of another version', meta({ 'io.modelcontextprotocol/protocolVersion': '2025-11-25' })],
  ['a client without a version', meta({ 'io.modelcontextprotocol/clientInfo': { name: 'probe' } })],
  ['a client that says more', meta({ 'io.modelcontextprotocol/clientInfo': { name: 'p', version: '1', title: 'P' } })],
  ['capabilities', meta({ 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } })],
];

describe.each(ERAS)('%s', era => {
  test('a batch is left to the SDK', () => {
    expect(readPlainCall(new Headers(headersOf(era, 'echo')), [bodyOf(era, 'echo')])).toBeUndefined();
  });

  test('a plain call is one', () => {
    expect(readPlainCall(new Headers(headersOf(era, 'echo')), bodyOf(era, 'echo', 'x'))).toEqual({
      era,
      id: 'x',
      name: 'echo',
      args: { text: 'ü"\\', n: [1.5, null] },
      client: era === 'modern' ? 'probe/1' : undefined,
    });
  });

  test.each<[string, Json | undefined, Record<string, string | undefined>?]>([
    ['no body', undefined],
    ['another method', { ...bodyOf(era, 'echo'), method: 'tools/list' }],
    ['another JSON-RPC', { ...bodyOf(era, 'echo'), jsonrpc: '1.0' }],
    ['a key too many', { ...bodyOf(era, 'echo'), extra: 1 }],
    ['a notification', { ...bodyOf(era, 'echo'), id: undefined }],
    ['an id of null', { ...bodyOf(era, 'echo'), id: null }],
    ['an id with a fraction', { ...bodyOf(era, 'echo'), id: 1.5 }],
    ['an id beyond a double', { ...bodyOf(era, 'echo'), id: 2 ** 60 }],
    ['no parameters', { ...bodyOf(era, 'echo'), params: undefined }],
    ['parameters in a list', { ...bodyOf(era, 'echo'), params: ['echo'] }],
    ['a name that is no text', changed(era, { name: 7 })],
    ['arguments in a list', changed(era, { arguments: [] })],
    ['arguments of null', changed(era, { arguments: null })],
    ['something new in the parameters', changed(era, { inputResponses: {} })],
    ['a progress token', changed(era, { _meta: { ...META, progressToken: 1 } })],
    ['no Accept', bodyOf(era, 'echo'), { accept: undefined }],
    ['half an Accept', bodyOf(era, 'echo'), { accept: 'application/json' }],
    ['a session', bodyOf(era, 'echo'), { 'mcp-session-id': 'x' }],
    ['no version', bodyOf(era, 'echo'), { 'mcp-protocol-version': undefined }],
    ['an unknown version', bodyOf(era, 'echo'), { 'mcp-protocol-version': '2030-01-01' }],
    ['another name in the header', bodyOf(era, 'echo'), { 'mcp-name': 'other' }],
    ['another method in the header', bodyOf(era, 'echo'), { 'mcp-method': 'tools/list' }],
    ...(era === 'modern' ? ONLY_MODERN : []),
  ])('%s is left to the SDK', (_, body, changes = {}) => {
    const headers = new Headers(headersOf(era, 'echo'));
    for (const [name, value] of Object.entries(changes)) value ? headers.set(name, value) : headers.delete(name);
    expect(readPlainCall(headers, body)).toBeUndefined();
  });
});

describe('the answer is the one of the SDK, byte by byte', () => {
  let gateway: Gateway;

  beforeAll(async () => {
    gateway = await startGateway({ door: createFixtureDoor() });
  });

  afterAll(() => gateway?.stop());

  const tools = ['echo', 'refuse', 'outage', 'defect', 'nobody-knows'];
  const cases = ERAS.flatMap(era => tools.flatMap(tool => ['a "b"', 7].map(id => [era, tool, id] as const)));

  test.each(cases)('%s, %s, id %j', async (era, tool, id) => {
    const plain = bodyOf(era, tool, id);
    // What nobody may care about, and what is therefore left to the SDK.
    const odd = changed(era, { name: tool, _meta: { ...(era === 'modern' && META), 'probe.example/x': 1 } }, id);
    const headers = { ...headersOf(era, tool), 'content-type': 'application/json', 'x-request-id': 'same' };
    expect(readPlainCall(new Headers(headers), plain)).toBeDefined();
    expect(readPlainCall(new Headers(headers), odd)).toBeUndefined();
    expect(await ask(plain)).toEqual(await ask(odd));

    async function ask(body: Json) {
      const response = await fetch(gateway.url, {
        method: 'POST',
        headers: { ...headers, authorization: 'Bearer good' },
        body: JSON.stringify(body),
      });
      const kept = [...response.headers].filter(([name]) => !['date', 'connection', 'keep-alive'].includes(name));
      return { status: response.status, headers: kept, text: await response.text() };
    }
  });
});

function changed(era: Era, params: Json, id: string | number = 1): Json {
  const body = bodyOf(era, 'echo', id);
  return { ...body, params: { ...(body.params as Json), ...params } };
}
