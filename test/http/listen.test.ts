import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WrongConfiguration } from '../../src/errors.ts';
import { ask, callTool, exchange, openSocket, post, untilClosed, untilText } from './client.ts';
import { createFixtureDoor, type FixtureDoor, type Gateway, startGateway } from './fixture.ts';

const LIST = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';

function raw(gateway: Gateway, body: string, more = ''): string {
  const headers = [
    'POST /frame/mcp HTTP/1.1',
    `Host: 127.0.0.1:${gateway.port}`,
    'Authorization: Bearer good',
    'Content-Type: application/json',
    'Accept: application/json, text/event-stream',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return `${headers.join('\r\n')}\r\n${more}\r\n${body}`;
}

const live = (gateway: Gateway, more = '') =>
  `GET /frame/live HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\n${more}\r\n`;

describe('strangers', () => {
  let gateway: Gateway;
  let door: FixtureDoor;

  beforeAll(async () => {
    door = createFixtureDoor();
    gateway = await startGateway({ door, http: { headersTimeoutSeconds: 1, requestTimeoutSeconds: 2 } });
  });

  afterAll(async () => {
    expect((await post(gateway, LIST)).status).toBe(200);
    expect(gateway.observations).not.toContainEqual(expect.objectContaining({ kind: 'crash-averted' }));
    await gateway.stop();
  });

  test.each([
    ['no HTTP at all', 'hello\r\n\r\n', 400],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
    ['no Host', 'GET /frame/live HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
    ['a header without a name', 'GET / HTTP/1.1\r\n: x\r\n\r\n', 400],
    ['a NUL in a header', 'GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n', 400],
    [
      'a request twice as long and as short',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      400,
    ],
    [
      'smuggling',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a header of 20 KB', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['an address of 20 KB', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
  ])('%s gets %d and a closed connection', async (_, bytes, status) => {
    const answer = await exchange(gateway, Buffer.from(bytes, 'latin1'));
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toMatch(/\r\nConnection: close\r\n/i);
  });

  test('what is no HTTP still gets a problem with our marks', async () => {
    const [head = '', body = ''] = (await exchange(gateway, 'hello\r\n\r\n')).split('\r\n\r\n');
    expect(head).toContain('X-Frame-Release: r1');
    expect(head).toContain('Content-Type: application/problem+json');
    expect(JSON.parse(body)).toMatchObject({ status: 400, code: 'args/malformed', request_id: expect.any(String) });
  });

  test('a request without a Host gets the 400 of RFC 9112, with our marks', async () => {
    const answer = await exchange(gateway, 'GET /frame/live HTTP/1.1\r\nConnection: close\r\n\r\n');
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    expect(head).toMatch(/^x-frame-release: r1\r$/im);
    expect(JSON.parse(body)).toMatchObject({ status: 400, code: 'args/malformed' });
  });

  test('an address that is no URL, a Host that is no name', async () => {
    for (const bytes of ['GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n', 'OPTIONS * HTTP/1.1\r\nHost: a b\r\n\r\n']) {
      const socket = await openSocket(gateway);
      socket.write(bytes);
      expect(await untilText(socket, '}')).toMatch(/^HTTP\/1.1 400 /);
      socket.destroy();
    }
  });

  test('a second Host does not hide behind the first', async () => {
    const answer = await exchange(gateway, live(gateway, 'Host: evil.example\r\nConnection: close\r\n'));
    expect(answer).toMatch(/^HTTP\/1.1 (400|403) /);
  });

  test('F13: headers that never end are given up', async () => {
    const socket = await openSocket(gateway);
    const drip = setInterval(() => socket.write('x'), 50);
    const closed = untilClosed(socket);
    socket.write('GET / HTTP/1.1\r\nX-Slow: ');
    expect(await closed).toMatch(/^HTTP\/1.1 408 /);
    clearInterval(drip);
  });

  test('a thousand headers', async () => {
    const headers = Array.from({ length: 1000 }, (_, i) => `X-${i}: ${i}\r\n`).join('');
    expect(await exchange(gateway, live(gateway, `${headers}Connection: close\r\n`))).toMatch(/^HTTP\/1.1 (200|431) /);
  });

  test('pipelined requests are answered in order', async () => {
    const bodies = [1, 2, 3].map(id => JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/list' }));
    const socket = await openSocket(gateway);
    socket.write(bodies.map(body => raw(gateway, body)).join(''));
    const answers = await untilText(socket, '"id":3');
    socket.destroy();
    expect(answers.match(/"id":\d/g)).toEqual(['"id":1', '"id":2', '"id":3']);
  });

  test('garbage behind a request that is being worked on does not become its answer', async () => {
    const waiting = door.nextWaiting();
    const socket = await openSocket(gateway);
    const closed = untilClosed(socket);
    socket.write(`${raw(gateway, callTool('wait'))}garbage\r\n\r\n`);
    const { request } = await waiting;
    expect(await closed).toBe('');
    if (!request.signal.aborted) await once(request.signal, 'abort');
  });

  test('a client that only closes its own half still gets its answer', async () => {
    const socket = await openSocket(gateway);
    socket.end(raw(gateway, LIST));
    expect(await untilText(socket, '"result"')).toMatch(/^HTTP\/1.1 200 /);
    socket.destroy();
  });

  test('connections that are reset at any moment', async () => {
    const bytes = raw(gateway, callTool('echo', { text: 'x'.repeat(1000) }));
    for (let length = 0; length < bytes.length; length += 97) {
      const socket = await openSocket(gateway);
      socket.write(bytes.slice(0, length), () => socket.resetAndDestroy());
      await once(socket, 'close');
    }
  });

  test('upgrades are not taken up', async () => {
    const upgrade = 'Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n';
    expect(await exchange(gateway, live(gateway, upgrade))).toMatch(/^HTTP\/1.1 200 /);
    expect(await exchange(gateway, 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n')).toBe('');
  });
});

test('F12: no more connections than agreed', async () => {
  const gateway = await startGateway({ http: { maxConnections: 2 } });
  const held = [await openSocket(gateway), await openSocket(gateway)];
  expect(await exchange(gateway, live(gateway))).toBe('');
  for (const socket of held) socket.destroy();
  await Promise.all(held.map(socket => once(socket, 'close')));
  await expect.poll(() => exchange(gateway, live(gateway, 'Connection: close\r\n'))).toMatch(/^HTTP\/1.1 200 /);
  await gateway.stop();
});

test('a busy port is a mistake in the configuration', async () => {
  const gateway = await startGateway();
  const failure = await startGateway({ port: gateway.port }).catch(thrown => thrown);
  expect(failure).toBeInstanceOf(WrongConfiguration);
  expect(failure.message).toContain(`127.0.0.1:${gateway.port} is in use`);
  await gateway.stop();
});

describe('drain', () => {
  test('what is in flight ends well, and then its connection', async () => {
    const door = createFixtureDoor();
    const gateway = await startGateway({ door });
    const waiting = door.nextWaiting();
    const socket = await openSocket(gateway);
    const closed = untilClosed(socket);
    socket.write(raw(gateway, callTool('wait')));
    const { finish, request } = await waiting;

    const drained = gateway.drain();
    expect(gateway.drain()).toBe(drained);
    await turn();
    expect(request.signal.aborted).toBe(false);
    finish();

    const answer = await closed;
    expect(answer).toMatch(/^HTTP\/1.1 200 .*\r\nconnection: close\r\n/is);
    expect(answer).toContain('"waited":true');
    await drained;
    const refused = connect({ port: gateway.port, host: '127.0.0.1' });
    await expect(once(refused, 'connect')).rejects.toThrow('ECONNREFUSED');
  });

  test('connections that a proxy keeps open do not hold it up', async () => {
    const gateway = await startGateway({ http: { drainSeconds: 60 } });
    const socket = await openSocket(gateway);
    socket.write(live(gateway));
    await untilText(socket, 'alive');
    const ended = once(socket, 'end');
    await gateway.drain();
    await ended;
    socket.destroy();
  });

  test('a request that comes on an open connection is still answered: not ready any more, and closed', async () => {
    const door = createFixtureDoor();
    const gateway = await startGateway({ door });
    const waiting = door.nextWaiting();
    const socket = await openSocket(gateway);
    const closed = untilClosed(socket);
    const ready = live(gateway).replace('live', 'ready');
    socket.write(raw(gateway, callTool('wait')));
    const { finish } = await waiting;
    const other = await openSocket(gateway);
    const otherClosed = untilClosed(other);
    other.write(ready.slice(0, 20));
    await ask(gateway, '/frame/live'); // By now the first half has arrived, too.
    const drained = gateway.drain();
    other.write(ready.slice(20));
    expect(await otherClosed).toMatch(/^HTTP\/1.1 503 .*connection: close.*"status":"draining"/is);
    finish();
    await closed;
    await drained;
  });

  test('what does not end is cut off', async () => {
    const door = createFixtureDoor();
    const gateway = await startGateway({ door, http: { drainSeconds: 0 } });
    const waiting = door.nextWaiting();
    const call = post(gateway, callTool('wait')).catch(thrown => thrown.code);
    const { request } = await waiting;
    await gateway.drain();
    expect(await call).toBe('ECONNRESET');
    if (!request.signal.aborted) await once(request.signal, 'abort');
  });
});

test('F23: a client that leaves is noticed by the call', async () => {
  const door = createFixtureDoor();
  const gateway = await startGateway({ door });
  for (const body of [callTool('wait'), JSON.stringify([JSON.parse(callTool('wait'))])]) {
    const waiting = door.nextWaiting();
    const socket = await openSocket(gateway);
    socket.write(raw(gateway, body));
    const { request } = await waiting;
    socket.destroy();
    if (!request.signal.aborted) await once(request.signal, 'abort');
  }
  expect((await ask(gateway, '/frame/live')).status).toBe(200);
  await gateway.stop();
});
