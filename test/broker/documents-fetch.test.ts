import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Fetched, fetchDocument } from '../../src/broker/document-fetch.ts';
import { freshForMs } from '../../src/broker/freshness.ts';
import { publicNetwork } from '../../src/broker/public-network.ts';
import { selfSigned } from '../support/self-signed.ts';
import { type DocumentHost, PUBLIC, serve, startDocumentHost } from './document-host.ts';

const NOW = Date.UTC(2026, 10, 20, 12);
let host: DocumentHost;

beforeEach(async () => {
  host = await startDocumentHost('client.example');
});
afterEach(() => host.close());

function read({ timeoutMs = 5000, name = 'client.example' } = {}): Promise<Fetched> {
  return fetchDocument(new URL(`https://${name}/client.json?a=b`), {
    network: host.network,
    timeoutMs,
    now: () => NOW,
  });
}

describe('a document', () => {
  test.each(['application/json', 'application/json; charset=utf-8', 'APPLICATION/JSON', 'application/cimd+json'])(
    'is read as %s',
    async type => {
      host.answer = serve('{"a":1}', { 'content-type': type });
      expect(await read()).toEqual({ text: '{"a":1}', bytes: 7, freshForMs: 0 });
      expect(host.requests).toEqual(['client.example/client.json?a=b']);
    },
  );

  test('is asked for plainly: uncompressed, without a word about us', async () => {
    let seen: Record<string, unknown> = {};
    host.answer = (request, response) => {
      seen = request.headers;
      serve({})(request, response);
    };
    await read();
    expect(seen).toEqual({
      host: 'client.example',
      accept: 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'Frame',
      connection: 'close',
    });
  });

  test('may have exactly 64 KB', async () => {
    host.answer = serve('x'.repeat(65_536));
    expect(await read()).toMatchObject({ bytes: 65_536 });
  });
});

describe('addresses', () => {
  test.each([
    [['169.254.169.254']],
    [['127.0.0.1']],
    [['::ffff:127.0.0.1']],
    [['64:ff9b::a9fe:a9fe']],
    [[PUBLIC, '10.0.0.1']],
    [['10.0.0.1', PUBLIC]],
    [[PUBLIC, '::1']],
    [['2606:4700::1111', 'fd00::1']],
    [['not an address']],
  ])('%j are not connected to', async addresses => {
    host.addresses = [addresses];
    expect(await read()).toMatchObject({ failed: 'unreachable' });
    expect(host.connections).toEqual([]);
  });

  test('are asked for once: what the name leads to a moment later does not matter', async () => {
    host.addresses = [[PUBLIC, '2606:4700::1111'], ['169.254.169.254']];
    host.answer = serve({});
    expect(await read()).toMatchObject({ text: '{}' });
    expect(host.lookups).toEqual(['client.example']);
    expect(host.connections).toEqual([[PUBLIC, '2606:4700::1111']]);
  });

  test('that nobody knows are the same as ours to whoever asks', async () => {
    host.addresses = [new Error('queryA ENOTFOUND client.example')];
    expect(await read()).toEqual({ failed: 'unreachable', reason: 'queryA ENOTFOUND client.example' });
  });
});

describe('certificates', () => {
  test('must be for the name', async () => {
    host.answer = serve({});
    expect(await read({ name: 'other.example' })).toMatchObject({ failed: 'unreachable' });
    expect(host.requests).toEqual([]);
  });

  test('must be signed by somebody we trust, whatever the environment says', async () => {
    const stranger = await startDocumentHost('client.example', { trusted: false });
    stranger.answer = serve({});
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      const parts = { network: stranger.network, timeoutMs: 5000, now: () => NOW };
      const fetched = await fetchDocument(new URL('https://client.example/client.json'), parts);
      expect(fetched).toMatchObject({ failed: 'unreachable' });
      expect(stranger.requests).toEqual([]);
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
      await stranger.close();
    }
  });
});

describe('an answer that is none', () => {
  test.each([301, 302, 303, 307, 308])('status %i: redirects are not followed', async status => {
    host.answer = (_request, response) =>
      void response.writeHead(status, { location: 'https://169.254.169.254/latest/meta-data' }).end();
    expect(await read()).toEqual({ failed: 'unreachable', reason: `it was answered with status ${status}` });
    expect(host.requests).toHaveLength(1);
    expect(host.lookups).toHaveLength(1);
  });

  test.each([404, 410])('status %i is final', async status => {
    host.answer = (_request, response) => void response.writeHead(status).end('{}');
    expect(await read()).toMatchObject({ failed: 'refused' });
  });

  test.each([201, 204, 206, 304, 401, 403, 429, 500, 502, 503])('status %i may pass', async status => {
    host.answer = (_request, response) => void response.writeHead(status, { 'content-type': 'application/json' }).end();
    expect(await read()).toMatchObject({ failed: 'unreachable' });
  });

  const passing: [string, RequestListener][] = [
    ['HTML', serve('<html>', { 'content-type': 'text/html' })],
    ['text that pretends', serve('{}', { 'content-type': 'text/plain; x=application/json' })],
    ['JavaScript', serve('{}', { 'content-type': 'application/javascript' })],
    ['nearly JSON', serve('{}', { 'content-type': 'application/jsonp' })],
    ['no type', (_request, response) => void response.writeHead(200).end('{}')],
  ];
  test.each(passing)('%s is not read, and may pass', async (_name, answer) => {
    host.answer = answer;
    expect(await read()).toMatchObject({ failed: 'unreachable' });
  });

  const refused: [string, RequestListener][] = [
    ['a gzip bomb', serve(gzipSync(Buffer.alloc(10_000_000)), { 'content-encoding': 'gzip' })],
    ['brotli', serve('{}', { 'content-encoding': 'br' })],
    ['broken UTF-8', serve(Buffer.from([0x22, 0xff, 0x22]))],
    ['one byte too many', serve('x'.repeat(65_537))],
  ];
  test.each(refused)('%s is refused', async (_name, answer) => {
    host.answer = answer;
    expect(await read()).toMatchObject({ failed: 'refused' });
  });

  test('a body without end is left after 64 KB', async () => {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    host.answer = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).on('close', resolve);
      const pour = () => {
        while (!response.destroyed && response.write(Buffer.alloc(16_384, ' ')));
        response.once('drain', pour);
      };
      pour();
    };
    expect(await read()).toMatchObject({ failed: 'refused' });
    await left;
  });

  const cut: [string, RequestListener][] = [
    ['closes before it answers', request => void request.socket.destroy()],
    [
      'closes in the middle',
      (_request, response) =>
        void response
          .writeHead(200, { 'content-type': 'application/json', 'content-length': 100 })
          .write('{}', () => response.socket?.destroy()),
    ],
    ['does not speak HTTP', request => void request.socket.end('hello\r\n\r\n')],
    [
      'wants to speak something else',
      request =>
        void request.socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ],
    ['has endless headers', (_request, response) => void response.writeHead(200, { x: 'x'.repeat(100_000) }).end('{}')],
  ];
  test.each(cut)('a host that %s is unreachable', async (_name, answer) => {
    host.answer = answer;
    expect(await read()).toMatchObject({ failed: 'unreachable' });
  });

  const slow: [string, RequestListener][] = [
    ['says nothing', () => {}],
    [
      'stops in the middle',
      (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{'),
    ],
    [
      'drips',
      (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const drip = setInterval(() => response.write(' '), 5);
        response.on('close', () => clearInterval(drip));
      },
    ],
  ];
  test.each(slow)('a host that %s is not waited for', async (_name, answer) => {
    host.answer = answer;
    expect(await read({ timeoutMs: 100 })).toEqual({ failed: 'unreachable', reason: 'no answer within 100 ms' });
  });
});

describe('freshness', () => {
  test.each([
    [{}, 0],
    [{ 'cache-control': 'public, max-age=600' }, 600_000],
    [{ 'cache-control': 'max-age="600"' }, 600_000],
    [{ 'cache-control': 'max-age=600', age: '100' }, 500_000],
    [{ 'cache-control': 'max-age=600', age: '1000' }, 0],
    [{ 'cache-control': 'max-age=600', age: 'x' }, 600_000],
    [{ 'cache-control': 'no-store, max-age=600' }, 0],
    [{ 'cache-control': 'max-age=600, NO-CACHE' }, 0],
    [{ 'cache-control': 'max-age=-1' }, 0],
    [{ 'cache-control': 'max-age=99999999999999999999' }, 0],
    [{ expires: 'Fri, 20 Nov 2026 13:00:00 GMT' }, 3_600_000],
    [{ expires: 'Fri, 20 Nov 2026 13:00:00 GMT', date: 'Fri, 20 Nov 2026 12:30:00 GMT' }, 1_800_000],
    [{ expires: '0' }, 0],
    [{ expires: 'never' }, 0],
  ])('%j', (headers, expected) => expect(freshForMs(headers, NOW)).toBe(expected));
});

describe('the network of production', () => {
  test('connects to the checked address, whatever the name leads to', async () => {
    const { key, cert } = selfSigned('client.invalid');
    const server = createServer({ key, cert }, (_request, response) => void response.end());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const name = 'client.invalid';
    const socket = publicNetwork.connect(['127.0.0.1'], { host: name, servername: name, port: address.port, ca: cert });
    await once(socket, 'secureConnect');
    expect([socket.authorized, socket.remoteAddress]).toEqual([true, '127.0.0.1']);
    socket.destroy();
    await once(server.close(), 'close');
  });

  test('knows no address of a name that cannot be', async () => {
    await expect(publicNetwork.resolve('client.invalid', AbortSignal.timeout(3000))).rejects.toThrow();
  });
});
