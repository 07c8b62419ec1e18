import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CUSTOMERS, idOf, LIMITS, type Machine, makeMachine, startTraffic, textOf } from './fixture.ts';
import type { Behaviour } from './tiny-release.ts';

let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
});
afterEach(() => machine[Symbol.asyncDispose]());

const SHORT = { ...LIMITS, verify: { answers: 3, seconds: 2 } };
const WATCHED = { ...LIMITS, watch: { seconds: 20, errorPoints: 2, latencyFactor: 3, minRequests: 20 } };

describe('invariant 10: what is wrong right after the flip reverts it', () => {
  test('when a call without a token is let in', async () => {
    await machine.deploy(await machine.release(1));
    const customers = `${CUSTOMERS}# new\n`;
    const told = await machine.activate(await machine.release(2, { open: 200 }), { limits: SHORT, customers });
    expect(told).toMatchObject({ exit: 21, refusal: { code: 'deploy/reverted' } });
    expect(told.refusal?.message).toContain(
      'POST /frame/mcp without a token, as axe.example.com, was answered 200 instead of 401',
    );
    expect(told.steps.slice(-4)).toEqual(['flip done', 'verify failed', 'revert done', 'settle done']);
    expect(await machine.serving()).toBe(idOf(1));
    expect(await textOf(machine.layout.customers)).toBe(CUSTOMERS);
    expect(await machine.story()).toEqual(['ok - → 1', 'reverted 1 → 2']);
    expect((await machine.history()).at(-1)?.reason).toContain('instead of 401');
  });

  test('when the proxy is gone; nothing served before, so nothing does after', async () => {
    await machine.proxy.stop();
    const told = await machine.activate(await machine.release(1), { limits: SHORT });
    expect(told.exit).toBe(21);
    expect(told.refusal?.message).toMatch(
      /0 of 3 good answers came through the proxy within 2 s: nobody answers on port/,
    );
    expect(await machine.live()).toBeUndefined();
  });

  test('and the new slot runs on, for whoever wants to know why', async () => {
    await machine.deploy(await machine.release(1));
    await machine.activate(await machine.release(2, { open: 200 }), { limits: SHORT });
    const answer = await fetch(`http://127.0.0.1:${machine.ports.green}/frame/ready`);
    expect(answer.headers.get('x-frame-release')).toBe(idOf(2));
  });

  test('but not to a slot that is worse', async () => {
    const id = await machine.release(1);
    await machine.deploy(id);
    await machine.behave(id, { ready: 503 });
    const told = await machine.activate(await machine.release(2, { open: 200 }), { limits: SHORT });
    expect(told).toMatchObject({ exit: 1, refusal: { code: 'deploy/failed' } });
    expect(told.refusal?.message).toContain('It did not go back: blue is not ready either');
    expect(told.heard).toContainEqual({
      kind: 'warning',
      sentence: 'The slot blue, which serves now, is not ready (503).',
    });
    expect(await machine.serving()).toBe(idOf(2));
  });
});

describe('the watch after the flip goes back', () => {
  const wentBad: [string, Behaviour, RegExp][] = [
    [
      'for errors of the server',
      { status: 500 },
      /% of \d+ answers are errors of the server \(5xx\); before it were 0\.0 %/,
    ],
    ['for health that lies: ready, but the tools fail', { lies: true }, /% of \d+ calls of tools failed/],
    ['for slowness', { callMs: 150 }, /a call of a tool takes \d+ ms on average; the same calls took 1 ms before/],
    ['for a slot that is not ready any more', { ready: 503 }, /green was not ready 3 times in a row/],
  ];

  test.each(wentBad)('%s', async (_, behaviour, reason) => {
    await machine.deploy(await machine.release(1));
    await using traffic = startTraffic(machine);
    await traffic.answers(100);
    const id = await machine.release(2);
    const agent = machine.start('activate', { id, promote: true, customers: CUSTOMERS, limits: WATCHED });
    await agent.begins('watch');
    await machine.behave(id, behaviour);
    const { refusal, exit } = await agent.told;
    expect(exit).toBe(21);
    expect(refusal?.message).toMatch(reason);
    expect(await machine.serving()).toBe(idOf(1));
    expect((await machine.history()).at(-1)).toMatchObject({ result: 'reverted', live: idOf(1) });
    expect((await machine.history()).at(-1)?.reason).toMatch(reason);
  });

  test('for a process that ends, though another one comes', async () => {
    await machine.deploy(await machine.release(1));
    const id = await machine.release(2);
    const agent = machine.start('activate', { id, promote: true, customers: CUSTOMERS, limits: WATCHED });
    await agent.begins('watch');
    process.kill(machine.supervisor.pid('green'), 'SIGKILL');
    const { refusal, exit } = await agent.told;
    expect(exit).toBe(21);
    expect(refusal?.message).toContain('the process of green ended');
    expect(await machine.serving()).toBe(idOf(1));
  });
});

test('a release that does as well as the one before stays, and the watch says what it saw', async () => {
  await machine.deploy(await machine.release(1));
  await using traffic = startTraffic(machine);
  await traffic.answers(100);
  const watch = { ...WATCHED.watch, seconds: 2 };
  const told = await machine.activate(await machine.release(2), { limits: { ...LIMITS, watch } });
  expect(told.exit).toBe(0);
  const note = told.heard.findLast(event => event.kind === 'step' && event.step === 'watch');
  expect(note).toMatchObject({
    state: 'done',
    note: expect.stringMatching(/^requests: \d+, 0\.0 % errors; tool calls: \d+, 0\.0 % failed \(before: /),
  });
  expect(traffic.failures).toEqual([]);
});
