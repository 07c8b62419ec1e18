import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { exchange, openSocket, post, untilClosed } from './client.ts';
import { createFixtureDoor, type FixtureDoor, type Gateway, startGateway } from './fixture.ts';

const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';
const HEAD = 'POST /frame/mcp HTTP/1.1\r\nAuthorization: Bearer good\r\nContent-Type: application/json\r\n';

let gateway: Gateway;
let door: FixtureDoor;
let host: string;

beforeAll(async () => {
  door = createFixtureDoor();
  gateway = await startGateway({
    door,
    http: { maxBodyBytes: 200_000, headersTimeoutSeconds: 1, requestTimeoutSeconds: 1 },
  });
  host = `Host: 127.0.0.1:${gateway.port}\r\n`;
});

/** Whatever was sent: nobody worked for it, and the next one is served. */
afterEach(async () => {
  expect(door.calls).toEqual([]);
  expect((await post(gateway, LIST)).status).toBe(200);
});

afterAll(() => gateway?.stop());

async function expectRefusal(body: string | Buffer, status: number, code: string, headers = {}): Promise<void> {
  const reply = await post(gateway, body, headers);
  expect(reply.status).toBe(status);
  expect(reply.headers['content-type']).toBe('application/problem+json');
  expect(JSON.parse(reply.body)).toMatchObject({ code, status, request_id: reply.headers['x-request-id'] });
}

describe('F14: media types', () => {
  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'APPLICATION/JSON; charset="utf-8"',
  ])('%s is read', async type => {
    expect((await post(gateway, LIST, { 'content-type': type })).status).toBe(200);
  });

  test.each([
    '',
    'text/plain',
    'application/jsonp',
    'application/json-rpc',
    'text/json',
    'application/json; charset=utf-16',
    'application/json, text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=application/json',
  ])('`%s` is 415', type => expectRefusal(LIST, 415, 'args/media-type', { 'content-type': type }));

  test.each(['gzip', 'br', 'deflate', 'identity, gzip'])('compressed with %s is 415', encoding =>
    expectRefusal(gzipSync(Buffer.alloc(5_000_000)), 415, 'args/media-type', { 'content-encoding': encoding }),
  );

  test('identity is no compression', async () => {
    expect((await post(gateway, LIST, { 'content-encoding': 'identity' })).status).toBe(200);
  });
});

describe('F14: size', () => {
  test('exactly the limit is read, a byte more is 413', async () => {
    expect((await post(gateway, LIST.padEnd(200_000))).status).toBe(200);
    await expectRefusal(LIST.padEnd(200_001), 413, 'args/too-large');
  });

  test('a declared gigabyte is refused before it is sent, and the connection closed', async () => {
    const answer = await exchange(gateway, `${HEAD}${host}Content-Length: 1000000000\r\n\r\n{`);
    expect(answer).toMatch(/^HTTP\/1.1 413 .*\r\nconnection: close\r\n/is);
  });

  test('chunks without end are cut off at the limit', async () => {
    const socket = await openSocket(gateway);
    const closed = untilClosed(socket);
    socket.write(`${HEAD}${host}Transfer-Encoding: chunked\r\n\r\n`);
    const chunk = `2000\r\n${'a'.repeat(0x2000)}\r\n`;
    const pump = () => {
      while (socket.writable && socket.write(chunk));
    };
    socket.on('drain', pump);
    pump();
    expect(await closed).toContain('413');
  });

  test('F13: a body that never arrives is given up', async () => {
    expect(await exchange(gateway, `${HEAD}${host}Content-Length: 50\r\n\r\n{"json`)).toContain('HTTP/1.1 408');
  });

  test('a client that leaves in mid-body hurts nobody', async () => {
    const socket = await openSocket(gateway);
    socket.write(`${HEAD}${host}Content-Length: 50\r\n\r\n{"json`);
    socket.destroy();
    await once(socket, 'close');
    expect(gateway.observations).not.toContainEqual(expect.objectContaining({ kind: 'crash-averted' }));
  });
});

describe('F15, F16: text', () => {
  test.each([
    ['not UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
    ['an overlong encoding', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['an encoded surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['UTF-8 cut short', Buffer.from([0x22, 0xe2, 0x82])],
    ['UTF-16', Buffer.from(LIST, 'utf16le')],
    ['a byte order mark', Buffer.from(`\ufeff${LIST}`)],
    ['nothing', ''],
    ['a key twice', '{"jsonrpc":"2.0","id":1,"method":"tools/list","id":2}'],
    ['__proto__', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","__proto__":{}}}'],
    ['33 levels', '['.repeat(33) + ']'.repeat(33)],
    ['50,001 tokens', `[${Array(50_000).fill(0).join(',')}]`],
  ])('%s is 400', (_, body) => expectRefusal(body, 400, 'args/malformed'));
});
