import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AuditEntry } from '../../src/audit/audit.ts';
import { toRow } from '../../src/audit/record.ts';
import { CONTROL_DATABASE } from '../../src/database/place.ts';
import { openSocket, untilClosed } from '../http/client.ts';
import type { Serving } from '../support/frame-process.ts';
import { AXE, freshKey } from './companies.ts';
import {
  eventually,
  expectExactlyOnce,
  type FaultsWorld,
  keepWriting,
  openFaultsWorld,
  PLACE,
  ready,
  untilReady,
} from './faults-world.ts';
import { ask, call, objectOf, post, type Row, rpc } from './wire.ts';

/** What can happen to a gateway itself: it is killed, falls over, runs out of memory, stalls, or has a wrong clock. */
let world: FaultsWorld;
let blue: Serving;

// Nearly every test starts a gateway of its own, and then verifies the whole record.
vi.setConfig({ testTimeout: 90_000 });

beforeAll(async () => {
  world = await openFaultsWorld();
  blue = await world.serve('blue');
  await world.makeMarks(blue);
});

afterEach(async () => {
  await untilReady(blue);
  expect(await world.verify()).toBe(0);
});

afterAll(() => world?.remove());

test('F18: killed in mid-write: who repeats the call at another one gets one row, and the intent is closed as unknown', async () => {
  const green = await world.serve('green');
  const [mark, key] = [randomUUID(), freshKey()];
  const [plain, id] = [randomUUID(), `killed-${randomUUID()}`];
  const held = await world.holdMarks();
  const lost = Promise.allSettled([
    world.insert(green, mark, { idempotency_key: key }),
    call(world.at(green), 'insert_rows', { ...PLACE, table: 'marks', rows: [{ mark: plain }] }, { 'x-request-id': id }),
  ]);
  await held.untilWaitedFor(2);
  await green.stop('SIGKILL');
  await held.letGo();
  expect((await lost).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await eventually(async () => (await world.insert(blue, mark, { idempotency_key: key })).code).toBeUndefined();
  expect(await world.countOf(mark, blue)).toBe(1);
  expect(await world.countOf(plain, blue)).toBeLessThanOrEqual(1);
  // The intent was durable before the write began.
  const open = await world.asOwner(CONTROL_DATABASE, owner => owner.query('select request_id from audit.open_intent'));
  expect(open.rows.flat()).toContain(id);
});

test('F18: closes what another one left behind when it starts', async () => {
  const requestId = `abandoned-${randomUUID()}`;
  const intent: AuditEntry = {
    at: Date.now() - 10 * 60_000,
    requestId,
    customer: 'axe',
    entity: 'axe',
    environment: 'prod',
    actor: { system: 'a gateway that is gone' },
    tool: 'insert_rows',
    phase: 'intent',
  };
  const record = JSON.stringify([toRow(intent, randomUUID())]);
  await world.asOwner(CONTROL_DATABASE, owner => owner.query('select audit.append($1::text::json)', [record]));
  const green = await world.serve('green');
  const found = async () => {
    const { value } = await call(world.at(green), 'search_audit', { actor: 'a gateway that is gone' });
    return (value.entries as Row[]).map(({ phase, outcome }) => `${phase} ${outcome ?? ''}`.trim());
  };
  await eventually(found).toEqual(['outcome unknown', 'intent']);
  expect(await green.stop()).toBe(0);
});

test('told to stop: the call in flight gets its answer, who is still asking hears that it is over, nobody new is let in, exit 0', async () => {
  const green = await world.serve('green');
  const mark = randomUUID();
  const held = await world.holdMarks();
  const waiting = world.insert(green, mark);
  await held.untilWaitedFor();
  const socket = await openSocket(green);
  const late = untilClosed(socket);
  const asked = `GET /frame/ready HTTP/1.1\r\nHost: ${AXE.host}\r\n\r\n`;
  socket.write(asked.slice(0, 20));
  await ask(green.port, '/frame/live'); // By now the first half has arrived, too.
  const stopped = green.stop('SIGTERM');
  await eventually(() => ready(green)).toBe(0);
  socket.write(asked.slice(20));
  expect(await late).toMatch(/^HTTP\/1.1 503 .*connection: close.*"status":"draining"/is);
  await held.letGo();
  expect(await waiting).toMatchObject({ status: 200, value: { ids: [expect.any(String)] } });
  expect(await stopped).toBe(0);
  expect(await world.countOf(mark, blue)).toBe(1);
});

describe('F22:', () => {
  test('an exception that nobody caught: what runs gets its answer, nobody new is let in, and it ends with 1', async () => {
    const green = await world.servePlanted('green');
    const mark = randomUUID();
    const held = await world.holdMarks();
    const waiting = world.insert(green, mark);
    await held.untilWaitedFor();
    await world.plant(green, 'throw');
    await eventually(() => ready(green)).not.toBe(200);
    await held.letGo();
    expect(await waiting).toMatchObject({ status: 200, value: { ids: [expect.any(String)] } });
    expect((await green.finished).exit).toBe(1);
    expect(green.output()).toContain('uncaught exception: Error: planted');
    expect(await world.countOf(mark, blue)).toBe(1);
  });

  test('a promise that nobody waited for is told, and the process lives on', async () => {
    const green = await world.servePlanted('green');
    const told = green.until(/unhandled rejection: Error: planted/);
    await world.plant(green, 'reject');
    await told;
    const mark = randomUUID();
    expect((await world.insert(green, mark)).code).toBeUndefined();
    expect(await green.stop()).toBe(0);
    expect(await world.countOf(mark, blue)).toBe(1);
  });

  test('out of memory in the midst of writes: it ends, the next one starts, and each write is there once', async () => {
    const green = await world.servePlanted('green', '--max-old-space-size=150');
    const writing = keepWriting(world, green);
    await writing.untilAcknowledged(20);
    await world.plant(green, 'hoard');
    expect((await green.finished).exit).not.toBe(0);
    await writing.stop();
    expect(green.output()).toContain('heap out of memory');
    const again = await world.serve('green');
    await expectExactlyOnce(world, writing, again);
    expect(await again.stop()).toBe(0);
  }, 90_000);
});

test('F24: a stalled event loop sheds what is too much, answers the rest, and is well afterwards', async () => {
  const green = await world.servePlanted('green');
  const describeTables = () => post(world.at(green), rpc('tools/call', { name: 'describe_tables', arguments: PLACE }));
  expect((await describeTables()).status).toBe(200);
  await world.plant(green, 'stall', 10_000);
  const seen = new Map<number, string | undefined>();
  let isOver = false;
  const asking = Array.from({ length: 12 }, async () => {
    while (!isOver) {
      const { status, headers } = await describeTables();
      seen.set(status, headers['retry-after']);
    }
  });
  await eventually(() => seen.get(503)).toBe('1');
  expect((await ask(green.port, '/frame/live')).status).toBe(200);
  isOver = true;
  await Promise.all(asking);
  expect([...seen.keys()].sort()).toEqual([200, 503]);
  await eventually(async () => {
    const replies = await Promise.all(Array.from({ length: 12 }, describeTables));
    return replies.every(({ status }) => status === 200);
  }).toBe(true);
  expect(await green.stop()).toBe(0);
}, 60_000);

describe('F11: a clock', () => {
  const HOUR = 3_600_000;
  let green: Serving;
  let key: string;

  beforeAll(async () => {
    green = await world.servePlanted('green');
    const asked = ['axe:prod', '--customer', 'axe', '--role', 'editor', '--name', 'a script', '--json'];
    key = JSON.parse((await world.home.run(['keys', 'create', ...asked], { env: world.env })).out).key;
  });
  afterAll(() => green.stop());

  const list = () => post(world.at(green), rpc('tools/list'));

  async function insertByKey(mark: string, more: Row = {}) {
    const reply = await ask(green.port, '/api/tool', {
      method: 'POST',
      host: AXE.host,
      headers: { 'content-type': 'application/json', 'x-api-key': key },
      body: JSON.stringify({ tool: 'insert_rows', params: { table: 'marks', rows: [{ mark }], ...more } }),
    });
    return { status: reply.status, value: objectOf(reply) };
  }

  test.each([50_000, -50_000])('wrong by %i ms is within what tokens allow', async wrong => {
    await world.plant(green, 'clock', wrong);
    expect((await list()).status).toBe(200);
  });

  test.each([2 * HOUR, -HOUR])(
    'wrong by %i ms: no token of Entra counts, keys do, and set right all is well',
    async wrong => {
      await world.plant(green, 'clock', wrong);
      const reply = await list();
      expect([reply.status, reply.headers['www-authenticate']]).toEqual([
        401,
        expect.stringContaining('invalid_token'),
      ]);
      expect([(await insertByKey(randomUUID())).status, await ready(green)]).toEqual([200, 200]);
      await world.plant(green, 'clock', 0);
      expect((await list()).status).toBe(200);
    },
  );

  test('set back between two calls: the record keeps their order, a key its answer, a cursor its page', async () => {
    const [before, after] = [randomUUID(), randomUUID()];
    const idempotency = { idempotency_key: freshKey() };
    await world.plant(green, 'clock', 0);
    expect((await insertByKey(before, idempotency)).value).toMatchObject({ success: true });
    const asked = { ...PLACE, table: 'marks', limit: 1 };
    const { value: page } = await call(world.at(green), 'select_rows', asked);
    await world.plant(green, 'clock', -50_000);
    expect((await insertByKey(before, idempotency)).value).toMatchObject({ result: { replayed: true } });
    expect((await insertByKey(after)).value).toMatchObject({ success: true });
    const { value: next } = await call(world.at(green), 'select_rows', { ...asked, cursor: page.next_cursor });
    expect(next.rows).toHaveLength(1);
    const { rows } = await world.asOwner(CONTROL_DATABASE, owner =>
      owner.query(`select phase, at from audit.log where chain = 'axe/axe' and actor like '%a script%' order by seq`),
    );
    const [first, ...later] = rows.slice(-6);
    expect([first, ...later].map(row => row?.[0])).toEqual(Array(3).fill(['intent', 'outcome']).flat());
    expect(Number(later.at(-1)?.[1])).toBeLessThan(Number(first?.[1]));
    expect([await world.countOf(before, green), await world.countOf(after, green)]).toEqual([1, 1]);
    await world.plant(green, 'clock', 0);
  });
});
