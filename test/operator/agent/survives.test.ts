import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CUSTOMERS, eventually, idOf, LIMITS, type Machine, makeMachine, textOf } from './fixture.ts';

let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
  await machine.deploy(await machine.release(1));
});
afterEach(() => machine[Symbol.asyncDispose]());

const CUSTOMERS_2 = `${CUSTOMERS}# 2\n`;

/** Waits in its gate until the release gets well. */
async function startAtGate() {
  const id = await machine.release(2, { ready: 503 });
  const agent = machine.start('activate', { id, promote: true, customers: CUSTOMERS_2, limits: LIMITS });
  await agent.begins('gate');
  return agent;
}

describe('invariant 20: an activation goes on', () => {
  test('after SIGHUP', async () => {
    const agent = await startAtGate();
    agent.child.kill('SIGHUP');
    await machine.behave(idOf(2), {});
    expect((await agent.told).answer).toMatchObject({ release: idOf(2) });
    expect(await machine.serving()).toBe(idOf(2));
  });

  test('when nobody reads what it says, and nothing comes in any more', async () => {
    const agent = await startAtGate();
    agent.child.stdout?.destroy();
    agent.child.stdin?.destroy();
    await machine.behave(idOf(2), {});
    expect((await agent.told).exit).toBe(0);
    expect(await machine.serving()).toBe(idOf(2));
    expect((await machine.history()).at(-1)).toMatchObject({ result: 'ok', to: idOf(2) });
  });
});

describe('told to end, an agent', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('by %s leaves what serves alone and tidies up', async signal => {
    const agent = await startAtGate();
    agent.child.kill(signal);
    const told = await agent.told;
    expect(told).toMatchObject({ exit: 1, refusal: { code: 'deploy/failed' } });
    expect(told.refusal?.message).toBe('Told to end at the step `gate`; what serves was not touched.');
    expect(told.steps.slice(-3)).toEqual(['gate failed', 'hold done', 'settle done']);
    expect(await machine.serving()).toBe(idOf(1));
    expect(await textOf(machine.layout.customers)).toBe(CUSTOMERS);
    expect(await machine.story()).toEqual(['ok - → 1', 'failed 1 → 2']);
  });

  test('after its flip only watches no longer', async () => {
    const limits = { ...LIMITS, watch: { ...LIMITS.watch, seconds: 60 } };
    const id = await machine.release(2);
    const agent = machine.start('activate', { id, promote: true, customers: CUSTOMERS, limits });
    await agent.begins('watch');
    agent.child.kill('SIGTERM');
    const told = await agent.told;
    expect(told).toMatchObject({ exit: 0, answer: { release: id, promoted: true } });
    expect(told.heard).toContainEqual(
      expect.objectContaining({ step: 'watch', state: 'done', note: expect.stringMatching(/; cut short$/) }),
    );
  });
});

test('invariant 17: of two deploys at once one runs, the other is told who, what and since when', async () => {
  const agent = await startAtGate();
  const second = await machine.activate(idOf(1), {}, { by: 'bert@desk' });
  expect(second.exit).toBe(75);
  expect(second.refusal).toMatchObject({
    code: 'deploy/locked',
    message: expect.stringMatching(
      /^anna@laptop holds the lock of this machine: `deploy`, for \d+ s \(process \d+\)\.$/,
    ),
  });
  await machine.behave(idOf(2), {});
  expect((await agent.told).exit).toBe(0);
  expect(await machine.story()).toEqual(['ok - → 1', 'refused - → 1', 'ok 1 → 2']);
});

test('a lock that was broken by force stops its holder before the next step, and each has one line', async () => {
  const agent = await startAtGate();
  const forced = await machine.ask('cleanup', { keep: 9, force: true }, { by: 'bert@desk' });
  expect(forced.exit).toBe(0);
  await machine.behave(idOf(2), {});
  const told = await agent.told;
  expect(told).toMatchObject({ exit: 75, refusal: { code: 'deploy/locked' } });
  expect(told.refusal?.message).toContain('Somebody broke the lock by force before the step `flip`');
  expect(await machine.serving()).toBe(idOf(1));
  const lines = await machine.history();
  expect(lines.map(({ by, verb, result }) => `${by} ${verb} ${result}`)).toEqual([
    'anna@laptop deploy ok',
    'bert@desk cleanup lock-broken',
    'anna@laptop deploy interrupted',
    'bert@desk cleanup ok',
  ]);
});

test('a question that makes no sense is answered with a sentence', async () => {
  const told = await machine.ask('reboot' as 'inspect', {});
  expect(told).toMatchObject({ exit: 1, refusal: { code: 'deploy/failed', message: 'There is no verb `reboot`.' } });
});

test('invariant 7: after everything was killed, the same slot serves again', async () => {
  await machine.deploy(await machine.release(2));
  for (const slot of ['blue', 'green'] as const) process.kill(machine.supervisor.pid(slot), 'SIGKILL');
  await eventually(async () => (await machine.serving()) === idOf(2));
  expect(await machine.live()).toBe('../slots/green');
});
