import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CONTROL_DATABASE } from '../../src/database/place.ts';
import type { Serving } from '../support/frame-process.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { freshKey, NORDWIND, PEOPLE } from './companies.ts';
import {
  DATABASE,
  depthOf,
  eventually,
  expectCleanLogs,
  expectExactlyOnce,
  type FaultsWorld,
  keepWriting,
  openFaultsWorld,
  PLACE,
  ready,
  untilReady,
} from './faults-world.ts';
import { ask, call, post, rpc } from './wire.ts';

/** Everything that can break in Postgres under a running gateway; and whether the record is whole after all of it. */
let world: FaultsWorld;
let blue: Serving;

beforeAll(async () => {
  world = await openFaultsWorld({ config: 'calls: { timeout_seconds: 5 }\n' });
  blue = await world.serve('blue');
  await world.makeMarks(blue);
});

afterAll(() => world?.remove());

const READ = { ...PLACE, table: 'marks', limit: 1 };

/** How many connections a login may open to our databases; -1 is no limit. */
function allow(connections: number): Promise<void> {
  const alter = [DATABASE, CONTROL_DATABASE].map(name => `alter database ${name} connection limit ${connections};`);
  return world.asOwner('postgres', owner => owner.script(alter.join(' ')));
}

function cutAll(): Promise<unknown> {
  const cut = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = any($1::text[])';
  return world.asOwner('postgres', owner => owner.query(cut, [`{${DATABASE},${CONTROL_DATABASE}}`]));
}

describe('Postgres', () => {
  afterEach(async () => {
    await untilReady(blue);
    expect(await world.verify()).toBe(0);
  });

  test('F1, F2: killed under load and started again: nothing is lost, nothing is there twice', async () => {
    const writing = keepWriting(world, blue);
    await writing.untilAcknowledged(30);
    await world.postgres.kill();
    const reply = await post(world.at(blue), rpc('tools/call', { name: 'get_context', arguments: {} }));
    expect([reply.status, reply.count('www-authenticate')]).toEqual([503, 0]);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    await eventually(() => ready(blue)).toBe(503);
    expect((await ask(blue.port, '/frame/live')).status).toBe(200);
    await world.postgres.start();
    const before = writing.acknowledged();
    await writing.untilAcknowledged(before + 10);
    await writing.stop();
    const codes = [...writing.answers.values()].flatMap(({ answer }) => (answer?.code ? [answer.code] : []));
    for (const code of codes) expect(['-32000', 'outcome-unknown', 'unavailable']).toContain(code);
    await expectExactlyOnce(world, writing, blue);
  }, 90_000);

  test('F1: killed in mid-transaction: the change is repeated with its key, and done once', async () => {
    await world.insert(blue, 'to change');
    const held = await world.holdMarks();
    const args = {
      ...PLACE,
      table: 'marks',
      where: { mark: 'to change' },
      set: { mark: 'changed' },
      idempotency_key: freshKey(),
    };
    const waiting = call(world.at(blue), 'update_rows', args);
    await held.untilWaitedFor();
    await world.postgres.kill();
    expect(['outcome-unknown', '-32000']).toContain((await waiting).code);
    await held.letGo().catch(() => {});
    await world.postgres.start();
    await untilReady(blue);
    expect(await call(world.at(blue), 'update_rows', args)).toMatchObject({ value: { count: 1 } });
    expect(await call(world.at(blue), 'update_rows', args)).toMatchObject({ value: { count: 1, replayed: true } });
    expect([await world.countOf('to change', blue), await world.countOf('changed', blue)]).toEqual([0, 1]);
  }, 60_000);

  test('F3: frozen: calls end with an answer, it is given up and found again, and all is well', async () => {
    const health = () => depthOf(blue).then(({ database }) => database);
    expect(await health()).toBe('in use');
    await world.postgres.freeze();
    onTestFinished(() => world.postgres.thaw());
    const key = freshKey();
    const [read, write] = await Promise.all([
      call(world.at(blue), 'select_rows', READ),
      world.insert(blue, 'in the ice', { idempotency_key: key }),
    ]);
    expect([read.status, write.status]).toEqual([503, 503]);
    // Readiness asks as everybody does; from now on that takes no time.
    await eventually(async () => [await ready(blue), await health()], 45_000).toEqual([503, 'given up']);
    const refused = await post(world.at(blue), rpc('tools/call', { name: 'describe_tables', arguments: PLACE }));
    expect([refused.status, refused.headers['retry-after'], refused.count('www-authenticate')]).toEqual([503, '1', 0]);
    await world.postgres.thaw();
    await untilReady(blue);
    expect(await health()).toBe('in use');
    await eventually(
      async () => (await world.insert(blue, 'in the ice', { idempotency_key: key })).code,
    ).toBeUndefined();
    expect(await world.countOf('in the ice', blue)).toBe(1);
  }, 120_000);

  test('F4: half a second slower: answers come late and right, what is too much is told so, and others get theirs', async () => {
    const proxy = await startTcpProxy(world.postgres.server.address.port);
    onTestFinished(() => proxy.close());
    const url = new URL(world.postgres.url.reveal());
    url.port = String(proxy.port);
    const green = await world.serve('green', { FRAME_DATABASE_URL: url.href });
    const nora = {
      port: green.port,
      host: NORDWIND.host,
      token: await world.gate.entra.mint(PEOPLE.northAdmin.username),
    };
    const read = () => post(world.at(green), rpc('tools/call', { name: 'select_rows', arguments: READ }));
    const readOther = () => call(nora, 'describe_tables', { entity: 'nordwind' });
    // Connections take several turns to open; here the calls are meant.
    await Promise.all([read(), read(), read(), readOther()]);
    proxy.delay(250);
    expect((await read()).status).toBe(200);
    expect((await world.insert(green, 'late')).code).toBeUndefined();
    const many = Promise.all(Array.from({ length: 40 }, read));
    expect((await readOther()).status).toBe(200);
    const replies = Map.groupBy(await many, ({ status }) => status);
    expect([...replies.keys()].sort()).toEqual([200, 503]);
    for (const { headers } of replies.get(503) ?? []) expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    proxy.heal();
    expect((await read()).status).toBe(200);
    expect([await green.stop(), await world.countOf('late', blue)]).toEqual([0, 1]);
  }, 60_000);

  test('F5: out of connections: 503 with Retry-After, for as long as it lasts', async () => {
    onTestFinished(() => allow(-1));
    await allow(0);
    await cutAll();
    await eventually(async () => {
      const reply = await post(world.at(blue), rpc('tools/call', { name: 'describe_tables', arguments: PLACE }));
      return [reply.status, Number(reply.headers['retry-after']) > 0, reply.count('www-authenticate')];
    }).toEqual([503, true, 0]);
    await eventually(() => ready(blue)).toBe(503);
    await allow(-1);
    await untilReady(blue);
    expect((await call(world.at(blue), 'describe_tables', PLACE)).status).toBe(200);
  });

  test('F1: every connection cut at once: the next call works', async () => {
    await call(world.at(blue), 'describe_tables', PLACE);
    await cutAll();
    await eventually(async () => (await call(world.at(blue), 'describe_tables', PLACE)).status).toBe(200);
  });

  test('F18: two gateways and one idempotency key: one row, one answer', async () => {
    const green = await world.serve('green');
    const [mark, key] = [randomUUID(), freshKey()];
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => world.insert(i % 2 ? green : blue, mark, { idempotency_key: key })),
    );
    const done = answers.filter(({ code }) => code === undefined);
    expect(done.length).toBeGreaterThan(0);
    expect(new Set(done.map(({ value }) => JSON.stringify(value.ids))).size).toBe(1);
    for (const { code } of answers) expect([undefined, '-32000', 'limit/lock']).toContain(code);
    expect(await world.countOf(mark, green)).toBe(1);
    const other = await world.insert(green, randomUUID(), { idempotency_key: key });
    expect(other.code).toBe('row/key-reused');
    expect(await green.stop()).toBe(0);
  });
});

describe('the record', () => {
  const tamper = (text: string) =>
    world.asOwner(CONTROL_DATABASE, owner =>
      owner.script(
        `alter table audit.log disable trigger all; ${text}; alter table audit.log enable always trigger append_only`,
      ),
    );

  test('is whole after all of that', async () => {
    const { exit, out } = await world.home.run(['audit', 'verify', '--json'], { env: world.env });
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toContainEqual(expect.objectContaining({ chain: 'axe/axe', verdict: 'whole' }));
  });

  test('cannot be edited without notice, not even by a superuser', async () => {
    await expect(
      world.asOwner(CONTROL_DATABASE, owner => owner.script('update audit.log set actor = actor')),
    ).rejects.toThrow('append only');
    for (const [edit, back] of [
      [`record = replace(record, '"ok"', '"no"')`, `record = replace(record, '"no"', '"ok"')`],
      [`actor = actor || 'x'`, `actor = left(actor, -1)`],
      ['at = at + 1', 'at = at - 1'],
    ]) {
      const where = `where chain = 'axe/axe' and outcome = 'ok' and seq = (select min(seq) from audit.log where chain = 'axe/axe' and outcome = 'ok')`;
      await tamper(`update audit.log set ${edit} ${where}`);
      const { exit, out } = await world.home.run(['audit', 'verify', '--entity', 'axe'], { env: world.env });
      expect([edit, exit, out]).toEqual([edit, 2, expect.stringMatching(/axe\/axe {2}altered at \d+/)]);
      await tamper(`update audit.log set ${back} ${where}`);
      expect(await world.verify()).toBe(0);
    }
  });

  test('misses what was deleted, in the middle and at the end', async () => {
    await tamper(`delete from audit.log where chain = 'axe/axe' and seq = 3`);
    const gap = await world.home.run(['audit', 'verify'], { env: world.env });
    expect([gap.exit, gap.out]).toEqual([3, expect.stringContaining('axe/axe  gap at 3')]);
    await tamper(
      `delete from audit.log where chain = 'axe/axe' and seq = (select max(seq) from audit.log where chain = 'axe/axe')`,
    );
    const cut = await world.home.run(['audit', 'verify', '--customer', 'axe', '--entity', 'axe'], { env: world.env });
    expect([cut.exit === 3 || cut.exit === 4, cut.out]).toEqual([
      true,
      expect.stringMatching(/axe\/axe {2}(gap|cut off) at \d+/),
    ]);
  });
});

test('nothing of this crashed, and no secret was printed', () => expectCleanLogs(world));
