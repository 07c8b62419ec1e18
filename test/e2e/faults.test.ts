import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { AuditEntry } from '../../src/audit/audit.ts';
import { toRow } from '../../src/audit/record.ts';
import { CONTROL_DATABASE } from '../../src/database/place.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';
import { AXE, customersYaml, freshKey, PEOPLE } from './companies.ts';
import { type KeysGate, type Mood, openKeysGate } from './keys-gate.ts';
import { type Answer, ask, call, change, post, problemOf, type Row, rpc, type Seat, selectAll } from './wire.ts';

/** Everything that can break under a running gateway, on a Postgres and an Entra that belong to this file. */
const PLACE = { entity: 'axe' };
const DATABASE = 'frame_axe';

let postgres: OwnPostgres;
let gate: KeysGate;
let home: FrameHome;
let env: Record<string, string>;
let blue: Serving;
let token: string;

beforeAll(async () => {
  [postgres, gate] = await Promise.all([startOwnPostgres(), openKeysGate()]);
  home = await makeFrameHome(customersYaml(gate.entra.authority));
  const key = await home.writeFile('master.key', `${randomBytes(32).toString('base64')}\n`, 0o600);
  // Short enough to wait for: how often keys are asked for, and how long a call may take.
  await home.writeFile('config/gateway.yaml', 'tokens: { keys_cooldown_seconds: 1 }\ncalls: { timeout_seconds: 5 }\n');
  env = { FRAME_DATABASE_URL: postgres.url.reveal(), FRAME_MASTER_KEY_FILE: key };
  expect((await home.run(['migrate'], { env })).exit).toBe(0);
  gate.become('gone');
  blue = await serve('blue');
  token = await gate.entra.mint(PEOPLE.admin.username);
});

afterAll(async () => {
  await home?.remove();
  await Promise.all([postgres?.remove(), gate?.close()]);
});

const serve = (slot: string) => home.serve({ env: { ...env, FRAME_SLOT: slot } });
const at = ({ port }: Serving): Seat => ({ port, host: AXE.host, token });
const ready = (serving: Serving) =>
  ask(serving.port, '/frame/ready').then(
    ({ status }) => status,
    () => 0,
  );
const untilReady = (serving: Serving) => eventually(() => ready(serving)).toBe(200);
/** Asks again and again: what is awaited has no event that a test could see. */
function eventually<T>(look: () => T | Promise<T>) {
  return expect.poll(look, { timeout: 20_000, interval: 10 });
}

const list = (seat: Seat) => post(seat, rpc('tools/list'));
const insert = (serving: Serving, mark: string, more: Row = {}) =>
  call(at(serving), 'insert_rows', { ...PLACE, table: 'marks', rows: [{ mark }], ...more });

async function countOf(mark: string, serving = blue): Promise<number> {
  const rows = await selectAll(at(serving), { ...PLACE, table: 'marks', columns: ['mark'], where: { mark } });
  return rows.length;
}

/** Whoever writes waits here, until the lock is let go. */
async function holdMarks(): Promise<{ untilWaitedFor(): Promise<void>; letGo(): Promise<void> }> {
  const owner = await postgres.server.connectAsOwner(DATABASE);
  await owner.script('begin; lock table axe_prod.marks in exclusive mode');
  return {
    untilWaitedFor: () =>
      eventually(async () => (await owner.query('select from pg_locks where not granted')).count).toBeGreaterThan(0),
    letGo: () => owner.close(),
  };
}

async function asOwner<T>(database: string, work: (owner: OwnerConnection) => Promise<T>): Promise<T> {
  const owner = await postgres.server.connectAsOwner(database);
  return work(owner).finally(() => owner.close());
}

/** How many connections a login may open to our databases; -1 is no limit. */
function allow(connections: number): Promise<void> {
  const alter = [DATABASE, CONTROL_DATABASE].map(name => `alter database ${name} connection limit ${connections};`);
  return asOwner('postgres', owner => owner.script(alter.join(' ')));
}

function cutAll(): Promise<unknown> {
  const cut = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = any($1::text[])';
  return asOwner('postgres', owner => owner.query(cut, [`{${DATABASE},${CONTROL_DATABASE}}`]));
}

async function verify(): Promise<number | null> {
  return (await home.run(['audit', 'verify'], { env })).exit;
}

describe('Entra', () => {
  test('gone from the start: 503 until it is there, then in by itself', async () => {
    const reply = await list(at(blue));
    expect(problemOf(reply)).toEqual({ status: 503, code: 'unavailable', challenges: 0 });
    expect(reply.headers['retry-after']).toBe('1');
    // It says nothing about our own readiness: API keys and known tokens work on.
    expect(await ready(blue)).toBe(200);
    gate.become('good');
    await eventually(async () => (await list(at(blue))).status).toBe(200);
    await change(at(blue), [{ create_table: { name: 'marks', columns: [{ name: 'mark', type: 'text' }] } }], PLACE);
  });

  test.each<Mood>(['gone', 'hanging', 'garbage', 'a page', 'failing', 'endless'])(
    '%s: who has a key that is known gets in, who has not is refused, and the old keys stay',
    async mood => {
      gate.become(mood);
      const another = await gate.entra.mint(PEOPLE.viewer.username);
      expect((await list({ ...at(blue), token: another })).status).toBe(200);
      const unknown = await gate.entra.mint(PEOPLE.admin.username, { header: { kid: randomUUID() } });
      const asked = gate.nextAsked();
      // The cooldown may still hold; whoever asks after it makes us look.
      let settled = false;
      const waiting = (async () => {
        let reply = await list({ ...at(blue), token: unknown });
        while (!settled) reply = await list({ ...at(blue), token: unknown });
        return reply;
      })();
      await asked;
      settled = true;
      expect((await list(at(blue))).status).toBe(200);
      expect((await waiting).status).toBe(401);
      expect((await list(at(blue))).status).toBe(200);
      gate.become('good');
    },
    20_000,
  );

  test('a new key is found, and the old one is good while it is published', async () => {
    await gate.entra.rotateKeys(AXE.tenantId);
    const fresh = await gate.entra.mint(PEOPLE.admin.username);
    await eventually(async () => (await list({ ...at(blue), token: fresh })).status).toBe(200);
    expect((await list(at(blue))).status).toBe(200);
    token = fresh;
  });

  test('a flood of made-up keys is no flood of questions', async () => {
    const before = gate.asked;
    const made = await Promise.all(
      Array.from({ length: 40 }, () => gate.entra.mint(PEOPLE.admin.username, { header: { kid: randomUUID() } })),
    );
    const started = performance.now();
    const replies = await Promise.all(made.map(text => list({ ...at(blue), token: text })));
    const seconds = Math.ceil((performance.now() - started) / 1000);
    expect(replies.map(({ status }) => status)).toEqual(made.map(() => 401));
    expect(gate.asked - before).toBeLessThanOrEqual(1 + seconds);
  });
});

describe('Postgres', () => {
  afterEach(async () => {
    await untilReady(blue);
    expect(await verify()).toBe(0);
  });

  /** Inserts from several callers at once, until it is told to stop. A row is known by its mark and its key. */
  function keepWriting(serving: Serving, workers = 4) {
    const answers = new Map<string, { key: string; answer: Answer | undefined }>();
    let stopped = false;
    let acknowledged = 0;
    const running = Array.from({ length: workers }, async () => {
      while (!stopped) {
        const [mark, key] = [randomUUID(), freshKey()];
        answers.set(mark, { key, answer: undefined });
        const answer = await insert(serving, mark, { idempotency_key: key }).catch(() => undefined);
        answers.set(mark, { key, answer });
        if (answer && answer.code === undefined) acknowledged += 1;
      }
    });
    return {
      answers,
      untilAcknowledged: (count: number) => eventually(() => acknowledged).toBeGreaterThan(count),
      acknowledged: () => acknowledged,
      async stop() {
        stopped = true;
        await Promise.all(running);
      },
    };
  }

  /** Acknowledged rows are there once; the others can be repeated with their key until they are, and then are as well. */
  async function expectExactlyOnce(
    answers: ReturnType<typeof keepWriting>['answers'],
    serving: Serving,
  ): Promise<void> {
    const marks = async () => {
      const rows = await selectAll(at(serving), { ...PLACE, table: 'marks', columns: ['mark'] });
      return Map.groupBy(rows, ({ mark }) => String(mark));
    };
    const before = await marks();
    for (const [mark, { key, answer }] of answers) {
      const there = before.get(mark)?.length ?? 0;
      if (answer && answer.code === undefined) expect(there).toBe(1);
      else expect(there).toBeLessThanOrEqual(1);
      if (answer && answer.code === undefined) continue;
      await eventually(async () => (await insert(serving, mark, { idempotency_key: key })).code).toBeUndefined();
    }
    const after = await marks();
    for (const mark of answers.keys()) expect(after.get(mark)).toHaveLength(1);
  }

  test('killed under load and started again: nothing is lost, nothing is there twice', async () => {
    const writing = keepWriting(blue);
    await writing.untilAcknowledged(30);
    await postgres.kill();
    const reply = await post(at(blue), rpc('tools/call', { name: 'get_context', arguments: {} }));
    expect([reply.status, reply.count('www-authenticate')]).toEqual([503, 0]);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    await eventually(() => ready(blue)).toBe(503);
    expect((await ask(blue.port, '/frame/live')).status).toBe(200);
    await postgres.start();
    const before = writing.acknowledged();
    await writing.untilAcknowledged(before + 10);
    await writing.stop();
    const codes = [...writing.answers.values()].flatMap(({ answer }) => (answer?.code ? [answer.code] : []));
    for (const code of codes) expect(['-32000', 'outcome-unknown', 'unavailable']).toContain(code);
    await expectExactlyOnce(writing.answers, blue);
  }, 90_000);

  test('killed in mid-transaction: the change is repeated with its key, and done once', async () => {
    await insert(blue, 'to change');
    const held = await holdMarks();
    const args = {
      ...PLACE,
      table: 'marks',
      where: { mark: 'to change' },
      set: { mark: 'changed' },
      idempotency_key: freshKey(),
    };
    const waiting = call(at(blue), 'update_rows', args);
    await held.untilWaitedFor();
    await postgres.kill();
    expect(['outcome-unknown', '-32000']).toContain((await waiting).code);
    await held.letGo().catch(() => {});
    await postgres.start();
    await untilReady(blue);
    expect(await call(at(blue), 'update_rows', args)).toMatchObject({ value: { count: 1 } });
    expect(await call(at(blue), 'update_rows', args)).toMatchObject({ value: { count: 1, replayed: true } });
    expect([await countOf('to change'), await countOf('changed')]).toEqual([0, 1]);
  }, 60_000);

  test('frozen: calls end with an answer, and all is well after the thaw', async () => {
    await postgres.freeze();
    onTestFinished(() => postgres.thaw());
    const key = freshKey();
    const [read, write] = await Promise.all([
      call(at(blue), 'select_rows', { ...PLACE, table: 'marks', limit: 1 }),
      insert(blue, 'in the ice', { idempotency_key: key }),
    ]);
    expect([read.status, write.status]).toEqual([503, 503]);
    await eventually(() => ready(blue)).toBe(503);
    await postgres.thaw();
    await untilReady(blue);
    await eventually(async () => (await insert(blue, 'in the ice', { idempotency_key: key })).code).toBeUndefined();
    expect(await countOf('in the ice')).toBe(1);
  }, 60_000);

  test('out of connections: 503 with Retry-After, for as long as it lasts', async () => {
    onTestFinished(() => allow(-1));
    await allow(0);
    await cutAll();
    await eventually(async () => {
      const reply = await post(at(blue), rpc('tools/call', { name: 'describe_tables', arguments: PLACE }));
      return [reply.status, Number(reply.headers['retry-after']) > 0, reply.count('www-authenticate')];
    }).toEqual([503, true, 0]);
    await eventually(() => ready(blue)).toBe(503);
    await allow(-1);
    await untilReady(blue);
    expect((await call(at(blue), 'describe_tables', PLACE)).status).toBe(200);
  });

  test('every connection cut at once: the next call works', async () => {
    await call(at(blue), 'describe_tables', PLACE);
    await cutAll();
    await eventually(async () => (await call(at(blue), 'describe_tables', PLACE)).status).toBe(200);
  });

  test('two gateways and one idempotency key: one row, one answer', async () => {
    const green = await serve('green');
    const [mark, key] = [randomUUID(), freshKey()];
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) => insert(i % 2 ? green : blue, mark, { idempotency_key: key })),
    );
    const done = answers.filter(({ code }) => code === undefined);
    expect(done.length).toBeGreaterThan(0);
    expect(new Set(done.map(({ value }) => JSON.stringify(value.ids))).size).toBe(1);
    for (const { code } of answers) expect([undefined, '-32000', 'limit/lock']).toContain(code);
    expect(await countOf(mark, green)).toBe(1);
    const other = await insert(green, randomUUID(), { idempotency_key: key });
    expect(other.code).toBe('row/key-reused');
    expect(await green.stop()).toBe(0);
  });
});

describe('the gateway itself', () => {
  test('killed in mid-write: who repeats the call at another one gets one row, and the intent is closed as unknown', async () => {
    const green = await serve('green');
    const [mark, key] = [randomUUID(), freshKey()];
    const [plain, id] = [randomUUID(), `killed-${randomUUID()}`];
    const held = await holdMarks();
    const lost = Promise.allSettled([
      insert(green, mark, { idempotency_key: key }),
      call(at(green), 'insert_rows', { ...PLACE, table: 'marks', rows: [{ mark: plain }] }, { 'x-request-id': id }),
    ]);
    await held.untilWaitedFor();
    await green.stop('SIGKILL');
    await held.letGo();
    expect((await lost).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await eventually(async () => (await insert(blue, mark, { idempotency_key: key })).code).toBeUndefined();
    expect(await countOf(mark)).toBe(1);
    expect(await countOf(plain)).toBeLessThanOrEqual(1);
    // The intent was durable before the write began.
    const open = await asOwner(CONTROL_DATABASE, owner => owner.query('select request_id from audit.open_intent'));
    expect(open.rows.flat()).toContain(id);
  });

  test('closes what another one left behind when it starts', async () => {
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
    await asOwner(CONTROL_DATABASE, owner => owner.query('select audit.append($1::text::json)', [record]));
    const green = await serve('green');
    const found = async () => {
      const { value } = await call(at(green), 'search_audit', { actor: 'a gateway that is gone' });
      return (value.entries as Row[]).map(({ phase, outcome }) => `${phase} ${outcome ?? ''}`.trim());
    };
    await eventually(found).toEqual(['outcome unknown', 'intent']);
    expect(await green.stop()).toBe(0);
    expect(await verify()).toBe(0);
  });

  test('told to stop: the call in flight gets its answer, nobody new is let in, exit 0', async () => {
    const green = await serve('green');
    const mark = randomUUID();
    const held = await holdMarks();
    const waiting = insert(green, mark);
    await held.untilWaitedFor();
    const seen = new Set<number>();
    const watching = (async () => {
      let status = 200;
      while (status !== 0) {
        status = await ready(green);
        seen.add(status);
      }
    })();
    const stopped = green.stop('SIGTERM');
    await watching;
    expect([...seen]).toEqual(expect.arrayContaining([503, 0]));
    await held.letGo();
    expect(await waiting).toMatchObject({ status: 200, value: { ids: [expect.any(String)] } });
    expect(await stopped).toBe(0);
    expect(await countOf(mark)).toBe(1);
  });
});

describe('the record', () => {
  const tamper = (text: string) =>
    asOwner(CONTROL_DATABASE, owner =>
      owner.script(
        `alter table audit.log disable trigger all; ${text}; alter table audit.log enable always trigger append_only`,
      ),
    );

  test('is whole after all of that', async () => {
    const { exit, out } = await home.run(['audit', 'verify', '--json'], { env });
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toContainEqual(expect.objectContaining({ chain: 'axe/axe', verdict: 'whole' }));
  });

  test('cannot be edited without notice, not even by a superuser', async () => {
    await expect(
      asOwner(CONTROL_DATABASE, owner => owner.script('update audit.log set actor = actor')),
    ).rejects.toThrow('append only');
    for (const [edit, back] of [
      [`record = replace(record, '"ok"', '"no"')`, `record = replace(record, '"no"', '"ok"')`],
      [`actor = actor || 'x'`, `actor = left(actor, -1)`],
      ['at = at + 1', 'at = at - 1'],
    ]) {
      const where = `where chain = 'axe/axe' and outcome = 'ok' and seq = (select min(seq) from audit.log where chain = 'axe/axe' and outcome = 'ok')`;
      await tamper(`update audit.log set ${edit} ${where}`);
      const { exit, out } = await home.run(['audit', 'verify', '--entity', 'axe'], { env });
      expect([edit, exit, out]).toEqual([edit, 2, expect.stringMatching(/axe\/axe {2}altered at \d+/)]);
      await tamper(`update audit.log set ${back} ${where}`);
      expect(await verify()).toBe(0);
    }
  });

  test('misses what was deleted, in the middle and at the end', async () => {
    await tamper(
      `delete from audit.log where chain = 'axe/axe' and seq = (select max(seq) from audit.log where chain = 'axe/axe')`,
    );
    const cut = await home.run(['audit', 'verify', '--customer', 'axe', '--entity', 'axe'], { env });
    expect([cut.exit, cut.out]).toEqual([3, expect.stringMatching(/gap at \d+/)]);
    await tamper(`delete from audit.log where chain = 'axe/axe' and seq = 3`);
    const gap = await home.run(['audit', 'verify'], { env });
    expect([gap.exit, gap.out]).toEqual([3, expect.stringContaining('axe/axe  gap at 3')]);
  });
});

test('nothing of this crashed, and no secret was printed', async () => {
  const key = await readFile(join(home.folder, 'master.key'), 'utf8');
  const { password } = new URL(postgres.url.reveal());
  expect([key.trim(), password, token].filter(secret => home.printed().includes(secret))).toEqual([]);
  expect(home.printed()).not.toMatch(/uncaught|unhandled/);
});
