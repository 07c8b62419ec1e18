import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Serving } from '../support/frame-process.ts';
import { AXE, PEOPLE } from './companies.ts';
import { eventually, expectCleanLogs, type FaultsWorld, openFaultsWorld, ready } from './faults-world.ts';
import type { Mood } from './keys-gate.ts';
import { ask, post, problemOf, type Reply, rpc, type Seat } from './wire.ts';

/** An Entra that is away, slow or out of its mind. */
let world: FaultsWorld;
let blue: Serving;

beforeAll(async () => {
  world = await openFaultsWorld({ config: 'tokens: { keys_cooldown_seconds: 1 }\n' });
  world.gate.become('gone');
  blue = await world.serve('blue');
});

afterAll(() => world?.remove());

const list = (seat: Seat) => post(seat, rpc('tools/list'));

/** On a busy machine, many at once are told to come again. */
async function listAtLast(seat: Seat): Promise<Reply> {
  for (;;) {
    const reply = await list(seat);
    if (!reply.body.includes('There is more to do than can be done now.')) return reply;
  }
}

test('F7: gone from the start: 503 until it is there, then in by itself', async () => {
  const reply = await list(world.at(blue));
  expect(problemOf(reply)).toEqual({ status: 503, code: 'unavailable', challenges: 0 });
  expect(reply.headers['retry-after']).toBe('1');
  // It says nothing about our own readiness: API keys and known tokens work on.
  expect(await ready(blue)).toBe(200);
  world.gate.become('good');
  await eventually(async () => (await list(world.at(blue))).status).toBe(200);
});

test.each<Mood>(['gone', 'hanging', 'garbage', 'a page', 'failing', 'endless'])(
  'F7: %s: who has a key that is known gets in, who has not is refused, and the old keys stay',
  async mood => {
    world.gate.become(mood);
    const another = await world.gate.entra.mint(PEOPLE.viewer.username);
    expect((await list({ ...world.at(blue), token: another })).status).toBe(200);
    const unknown = await world.gate.entra.mint(PEOPLE.admin.username, { header: { kid: randomUUID() } });
    const asked = world.gate.nextAsked();
    // The cooldown may still hold; whoever asks after it makes us look.
    let settled = false;
    const waiting = (async () => {
      let reply = await list({ ...world.at(blue), token: unknown });
      while (!settled) reply = await list({ ...world.at(blue), token: unknown });
      return reply;
    })();
    await asked;
    settled = true;
    expect((await list(world.at(blue))).status).toBe(200);
    expect((await waiting).status).toBe(401);
    expect((await list(world.at(blue))).status).toBe(200);
    world.gate.become('good');
  },
  20_000,
);

test('F8: a new key is found, and the old one is good while it is published', async () => {
  await world.gate.entra.rotateKeys(AXE.tenantId);
  const fresh = await world.gate.entra.mint(PEOPLE.admin.username);
  await eventually(async () => (await list({ ...world.at(blue), token: fresh })).status).toBe(200);
  expect((await list(world.at(blue))).status).toBe(200);
  world.token = fresh;
});

test('F7: a flood of made-up keys is no flood of questions', async () => {
  const before = world.gate.asked;
  const made = await Promise.all(
    Array.from({ length: 40 }, () => world.gate.entra.mint(PEOPLE.admin.username, { header: { kid: randomUUID() } })),
  );
  const started = performance.now();
  const replies = await Promise.all(made.map(text => listAtLast({ ...world.at(blue), token: text })));
  const seconds = Math.ceil((performance.now() - started) / 1000);
  expect(replies.map(({ status }) => status)).toEqual(made.map(() => 401));
  expect(world.gate.asked - before).toBeLessThanOrEqual(1 + seconds);
});

test('F7: away, it matters to nobody who has an API key', async () => {
  const asked = ['axe', '--customer', 'axe', '--role', 'view', '--name', 'a script', '--json'];
  const { out } = await world.home.run(['keys', 'create', ...asked], { env: world.env });
  world.gate.become('gone');
  const headers = { 'x-api-key': JSON.parse(out).key };
  const reply = await ask(blue.port, '/api/tools', { host: AXE.host, headers });
  expect([reply.status, await ready(blue)]).toEqual([200, 200]);
  world.gate.become('good');
});

test('nothing of this crashed, and no secret was printed', () => expectCleanLogs(world));
