import { existsSync } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { logEnd, logSince } from '../../../src/operator/agent/gate.ts';
import type { Heard } from '../../../src/operator/agent/protocol.ts';
import { CUSTOMERS, idOf, LIMITS, type Machine, makeMachine, PASSWORD, textOf } from './fixture.ts';
import type { Behaviour } from './tiny-release.ts';

let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
  await machine.deploy(await machine.release(1));
});
afterEach(() => machine[Symbol.asyncDispose]());

/** Enough for a process to start and to be asked, also on a busy machine. */
const SHORT = { ...LIMITS, gate: { answers: 2, seconds: 2 } };
/** Where it counts what the last answer was. */
const LONGER = { ...LIMITS, gate: { answers: 2, seconds: 6 } };

describe('invariants 8 and 9: traffic never moves to', () => {
  const bad: [string, Behaviour, RegExp][] = [
    ['a release that ends at once', { crash: 1 }, /^green was started 4 times, and did not stay\.$/],
    ['a release that is never ready', { ready: 503 }, /^green is not ready \(503: database\) after 6 s\.$/],
    ['a release whose readiness fails', { ready: 500 }, /^green is not ready \(500: database\) after 6 s\.$/],
    ['a release that is another one', { claims: { release: idOf(7) } }, /^green says that it runs .*7, not .*2\.$/],
    ['a release that is in the other slot', { claims: { slot: 'blue' } }, /^green says that it is the slot blue\.$/],
  ];

  test.each(bad)('%s', async (_, behaviour, message) => {
    // What no waiting mends is not waited for.
    const limits = behaviour.claims || behaviour.crash ? LIMITS : LONGER;
    const pid = machine.supervisor.pid('blue');
    const customers = `${CUSTOMERS}# new\n`;
    const told = await machine.activate(await machine.release(2, behaviour), { limits, customers });
    expect(told).toMatchObject({ exit: 20, refusal: { code: 'deploy/gate-failed', exit: 20 } });
    expect(told.refusal?.message).toMatch(message);
    expect(await machine.live()).toBe('../slots/blue');
    expect(machine.supervisor.pid('blue')).toBe(pid);
    expect(await machine.serving()).toBe(idOf(1));
    expect(existsSync(machine.layout.slot('green').hold)).toBe(true);
    expect(told.steps.slice(-3)).toEqual(['gate failed', 'hold done', 'settle done']);
    expect(await textOf(machine.layout.customers)).toBe(CUSTOMERS);
    expect(await machine.story()).toEqual(['ok - → 1', 'gate-failed 1 → 2']);
    expect(logsIn(told.heard).some(line => line.startsWith(`starting ${idOf(2)} in green`))).toBe(true);
    expect(JSON.stringify(told.heard)).not.toContain(PASSWORD);
  });
});

test('a release that recovers within its time passes', async () => {
  const id = await machine.release(2, { ready: 503 });
  const agent = machine.start('activate', { id, promote: true, customers: CUSTOMERS, limits: LIMITS });
  await agent.begins('gate');
  await machine.behave(id, {});
  expect((await agent.told).answer).toMatchObject({ live: 'green' });
});

test('a slot that nobody runs is told apart from a release that does not start', async () => {
  await machine.supervisor.stop();
  const { refusal, exit } = await machine.activate(await machine.release(2), { limits: SHORT });
  expect(exit).toBe(20);
  expect(refusal?.message).toMatch(/^Nothing runs the slot green \(port \d+\): its daemon is not loaded/);
});

test('after a failure the next release goes into the same slot, and the one before can be gone back to', async () => {
  await machine.deploy(await machine.release(2));
  expect((await machine.activate(await machine.release(3, { crash: 3 }), { limits: SHORT })).exit).toBe(20);
  expect(await machine.serving()).toBe(idOf(2));
  expect((await machine.ask('rollback', { limits: LIMITS })).answer).toMatchObject({ live: 'blue', release: idOf(1) });
  expect(await machine.deploy(await machine.release(4))).toMatchObject({ live: 'green', release: idOf(4) });
  expect(await machine.story()).toEqual(['ok - → 1', 'ok 1 → 2', 'gate-failed 2 → 3', 'ok 2 → 1', 'ok 1 → 4']);
});

test('what did not pass its gate cannot be promoted', async () => {
  await machine.activate(await machine.release(2, { crash: 3 }), { limits: SHORT });
  const { refusal, exit } = await machine.ask('promote', { limits: SHORT });
  expect(exit).toBe(2);
  expect(refusal?.message).toContain('it is held');
  expect(await machine.serving()).toBe(idOf(1));
});

test('what went bad after it was staged cannot be promoted, and runs on', async () => {
  const id = await machine.release(2);
  await machine.deploy(id, { promote: false });
  await machine.behave(id, { ready: 503 });
  const pid = machine.supervisor.pid('green');
  expect((await machine.ask('promote', { limits: SHORT })).refusal).toMatchObject({ code: 'deploy/gate-failed' });
  expect(machine.supervisor.pid('green')).toBe(pid);
  expect(await machine.serving()).toBe(idOf(1));
});

describe('the lines of the log', () => {
  test('are the last forty since the start', async () => {
    const { layout } = machine;
    await writeFile(layout.log('green'), 'of an older release\n');
    const since = await logEnd(layout, 'green');
    const lines = Array.from({ length: 100 }, (_, index) => `line ${index}`);
    await appendFile(layout.log('green'), `${lines.join('\n')}\n`);
    expect(await logSince(layout, 'green', since)).toEqual(lines.slice(60));
    expect(await logSince(layout, 'green', await logEnd(layout, 'green'))).toEqual([]);
  });

  test('are those that there are, in a log that was begun anew or is missing', async () => {
    const { layout } = machine;
    await writeFile(layout.log('green'), 'all that there is');
    expect(await logSince(layout, 'green', 1000)).toEqual(['all that there is']);
    await writeFile(layout.log('green'), '');
    expect(await logSince(layout, 'green', 0)).toEqual([]);
    expect(await logSince({ ...layout, log: () => '/nowhere' }, 'green', 0)).toEqual([]);
  });
});

function logsIn(heard: readonly Heard[]): string[] {
  return heard.flatMap(event => (event.kind === 'log' ? event.lines : []));
}
