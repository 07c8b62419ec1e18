import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { untilClosed } from '../http/client.ts';
import type { Serving } from '../support/frame-process.ts';
import { AXE } from './companies.ts';
import {
  DATABASE,
  depthOf,
  eventually,
  expectCleanLogs,
  type FaultsWorld,
  openFaultsWorld,
  PLACE,
  untilReady,
} from './faults-world.ts';
import { call, modern, post, problemOf, type Row, rpc, use } from './wire.ts';

/** What clients can do to a gateway: hold on to it, flood it, feed it bombs, and go away. */
const IDLE = 1900;
const MOST = 2000;
const ENDLESS = `select sum(length(a.mark || b.mark || c.mark || d.mark)) from marks a, marks b, marks c, marks d`;

const HEAD = `POST /frame/mcp HTTP/1.1\r\nHost: ${AXE.host}\r\n`;

let world: FaultsWorld;
let blue: Serving;

const authorized = () => `${HEAD}Authorization: Bearer ${world.token}\r\nContent-Type: application/json\r\n`;

beforeAll(async () => {
  const http = `{ max_connections: ${MOST}, headers_timeout_seconds: 1, request_timeout_seconds: 2 }`;
  world = await openFaultsWorld({ config: `http: ${http}\nsql: { per_caller: 3 }\n` });
  blue = await world.serve('blue');
  await world.makeMarks(blue);
  const rows = Array.from({ length: 400 }, (_, i) => ({ mark: `mark ${i}` }));
  await use(world.at(blue), 'insert_rows', { ...PLACE, table: 'marks', rows });
});

afterEach(async () => {
  await untilReady(blue);
  expect((await call(world.at(blue), 'select_rows', { ...PLACE, table: 'marks' })).code).toBeUndefined();
  expect(await world.verify()).toBe(0);
});

afterAll(() => world?.remove());

async function open(): Promise<Socket> {
  const socket = connect(blue.port, '127.0.0.1');
  // Being cut off is what this is about.
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

async function memoryOf(serving: Serving): Promise<number> {
  return Number((await depthOf(serving)).memory_mb);
}

test(`F12: ${IDLE} connections on which nothing happens cost little and hold nobody up; too many are closed`, async () => {
  const before = await memoryOf(blue);
  const idle: Socket[] = [];
  for (let i = 0; i < IDLE; i += 1) {
    const socket = await open();
    socket.write(`GET /frame/live HTTP/1.1\r\nHost: ${AXE.host}\r\n\r\n`);
    await once(socket, 'data');
    idle.push(socket);
  }
  expect((await call(world.at(blue), 'select_rows', { ...PLACE, table: 'marks' })).status).toBe(200);
  expect((await memoryOf(blue)) - before).toBeLessThan(100);
  const more = await Promise.all(Array.from({ length: 2 * (MOST - IDLE) }, open));
  // Unanswered: who is given up for saying nothing in time gets a 408.
  await Promise.any(more.map(async socket => expect(await untilClosed(socket)).toBe('')));
  for (const socket of [...idle, ...more]) socket.destroy();
}, 60_000);

test('F13: hundreds that send a byte now and then are given up, and meanwhile others are answered', async () => {
  const beginnings = [`${HEAD}X-Slow: `, `${authorized()}Content-Length: 1000\r\n\r\n{`];
  const slow = await Promise.all(Array.from({ length: 300 }, open));
  const closed = Promise.all(slow.map(untilClosed));
  for (const [i, socket] of slow.entries()) socket.write(beginnings[i % 2] ?? '');
  const drip = setInterval(() => {
    for (const socket of slow) if (socket.writable) socket.write(' ');
  }, 100);
  onTestFinished(() => clearInterval(drip));
  expect((await call(world.at(blue), 'select_rows', { ...PLACE, table: 'marks' })).status).toBe(200);
  await closed;
});

describe('F14:', () => {
  test('a body without end is 413, and the connection closed', async () => {
    const socket = await open();
    const answer = untilClosed(socket);
    socket.write(`${authorized()}Transfer-Encoding: chunked\r\n\r\n`);
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    const pump = () => {
      while (socket.writable && socket.write(chunk));
    };
    socket.on('drain', pump);
    pump();
    expect(await answer).toMatch(/^HTTP\/1.1 413 .*\r\nconnection: close\r\n/is);
  });

  test('a bomb in gzip is 415, unopened', async () => {
    const before = await memoryOf(blue);
    const bomb = gzipSync(Buffer.alloc(200_000_000, ' '));
    expect(bomb.length).toBeLessThan(1_000_000);
    const reply = await post(world.at(blue), bomb, { 'content-encoding': 'gzip' });
    expect(problemOf(reply)).toMatchObject({ status: 415, code: 'args/media-type' });
    expect((await memoryOf(blue)) - before).toBeLessThan(100);
  });
});

test.each<[string, string]>([
  ['F15: nested', `${'['.repeat(400_000)}${']'.repeat(400_000)}`],
  ['F15: keys', `{${Array.from({ length: 70_000 }, (_, i) => `"${i}":0`).join(',')}}`],
  ['F15: empty objects', `[${Array(300_000).fill('{}').join(',')}]`],
  ['F15: a long number', `[0.1${'0'.repeat(900_000)}1]`],
  ['F16: 1e400', rpc('tools/list', { n: 0 }).replace('"n":0', '"n":1e400')],
  ['F16: 2^53+1', rpc('tools/list', { n: 0 }).replace('"n":0', '"n":9007199254740993')],
  ['F16: __proto__', '{"jsonrpc":"2.0","id":1,"method":"tools/list","__proto__":{"params":{}}}'],
  ['F16: a key twice', '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}'],
  ['F16: half of a pair', rpc('tools/list', { text: '' }).replace('"text":""', '"text":"\\ud800"')],
  ['F16: a byte order mark', `\ufeff${rpc('tools/list')}`],
])('%s is 400', async (_, body) => {
  expect(body.length).toBeLessThan(1_000_000);
  expect(problemOf(await post(world.at(blue), body))).toMatchObject({ status: 400, code: 'args/malformed' });
});

describe('F17: a pattern of a caller', () => {
  const evil = ['(a+)+$', '%a'.repeat(400), `${'_%'.repeat(400)}b`, '\\'.repeat(999), 'a'.repeat(100_000)];

  beforeAll(() => world.insert(blue, `${'a'.repeat(100_000)}!`));

  test.each(['like', 'ilike', 'contains', 'starts_with'])(
    'runs in Postgres only, within its time: %s',
    async operator => {
      for (const pattern of evil) {
        const where = { mark: { [operator]: pattern } };
        const { status, code } = await call(world.at(blue), 'select_rows', {
          ...PLACE,
          table: 'marks',
          where,
          limit: 1,
        });
        expect([status, [undefined, 'limit/time', 'row/bad-value', 'args/invalid'].includes(code)]).toEqual([
          200,
          true,
        ]);
      }
    },
  );

  test.each<[string, string]>([
    ['a regular expression', `select count(*) from marks where mark ~ '(a+)+$'`],
    ['a regular expression that counts', `select count(*) from marks where mark ~ '(a{1,200}){1,200}b'`],
    ['an answer that is a long number', `select '0.1${'0'.repeat(16_000)}1'::numeric as n from marks limit 20`],
    [
      'an answer that is a long number in JSON',
      `select ('[0.1' || string_agg('${'0'.repeat(1000)}', '') || '1]')::json as n from marks`,
    ],
  ])('in SQL holds nobody up: %s', async (_, sql) => {
    const { status, code } = await call(world.at(blue), 'run_sql', { ...PLACE, sql });
    expect([status, code === undefined || code.startsWith('limit/')]).toEqual([200, true]);
  });
});

test('F6: a value of hundreds of megabytes ends at its limit, and the memory stays as it was', async () => {
  const before = await memoryOf(blue);
  const sql = "select string_agg(a.mark || b.mark || c.mark, '') as big from marks a, marks b, marks c";
  const bombs = await Promise.all(Array.from({ length: 3 }, () => call(world.at(blue), 'run_sql', { ...PLACE, sql })));
  for (const { code } of bombs) expect(code).toMatch(/^limit\/|^sql\/failed$/);
  expect((await memoryOf(blue)) - before).toBeLessThan(100);
});

describe('F23: a client that goes away ends its query on the server', () => {
  beforeAll(async () => {
    // So long that nothing else ends it.
    await world.asOwner(DATABASE, async owner => {
      const { rows } = await owner.query(`select rolname from pg_roles where rolname ~ '^r[ow]_'`);
      for (const [role] of rows) {
        for (const name of ['statement_timeout', 'transaction_timeout', 'lock_timeout']) {
          await owner.script(`alter role ${role} set ${name} = '10min'`);
        }
      }
      await owner.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename ~ '^r[ow]_'`);
    });
  });

  const works = async (tool: string, args: Row) => (await call(world.at(blue), tool, { ...PLACE, ...args })).code;

  const active = (text: string) =>
    world.asOwner(DATABASE, async owner => {
      const running = `select from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like $1`;
      return (await owner.query(running, [text])).count;
    });

  const rpcHeaders = { 'content-type': 'application/json' };
  const mcp = (tool: string, args: Row): Sent => [
    '/frame/mcp',
    rpc('tools/call', { name: tool, arguments: args }),
    rpcHeaders,
  ];
  const mcpModern = (tool: string, args: Row): Sent => {
    const [body, headers] = modern('tools/call', { name: tool, arguments: args });
    return ['/frame/mcp', body, { ...rpcHeaders, ...headers }];
  };
  const api = (tool: string, params: Row): Sent => ['/api/tool', JSON.stringify({ tool, params }), rpcHeaders];

  test.each<[string, Face]>([
    ['MCP of 2025', mcp],
    ['MCP of 2026', mcpModern],
    ['POST /api/tool', api],
  ])('%s', async (_, face) => {
    // Their connections were cut.
    await eventually(() => works('run_sql', { sql: 'select 1' })).toBeUndefined();
    await eventually(() => works('insert_rows', { table: 'marks', rows: [{}] })).toBeUndefined();
    const leave = begin(face('run_sql', { ...PLACE, sql: ENDLESS }));
    await eventually(() => active('%length(a.mark%')).toBe(1);
    leave();
    await eventually(() => active('%length(a.mark%')).toBe(0);

    const held = await world.holdMarks();
    const change = { ...PLACE, table: 'marks', where: { mark: 'mark 7' }, set: { mark: 'never' } };
    const leaveToo = begin(face('update_rows', change));
    await held.untilWaitedFor();
    leaveToo();
    await eventually(() => active('update%')).toBe(0);
    await held.letGo();
    expect([await world.countOf('mark 7', blue), await world.countOf('never', blue)]).toEqual([1, 0]);
  });

  type Sent = [path: string, body: string, headers: Record<string, string>];
  type Face = (tool: string, args: Row) => Sent;

  /** Asks, and waits for no answer: the returned function leaves. */
  function begin([path, body, headers]: Sent): () => void {
    const sent = request({
      port: blue.port,
      host: '127.0.0.1',
      path,
      method: 'POST',
      agent: false,
      headers: { host: AXE.host, authorization: `Bearer ${world.token}`, ...headers },
    });
    sent.on('error', () => {});
    sent.end(body);
    return () => void sent.destroy();
  }
});

test('nothing of this crashed, and no secret was printed', () => expectCleanLogs(world));
