import { appendFile, rm, utimes } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { previousOf } from '../../../src/operator/agent/history.ts';
import type { HistoryLine } from '../../../src/operator/agent/protocol.ts';
import { CUSTOMERS, idOf, LIMITS, type Machine, makeMachine, startTraffic, textOf } from './fixture.ts';

let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
});
afterEach(() => machine[Symbol.asyncDispose]());

const back = (to?: string) => machine.ask('rollback', { to, limits: LIMITS });

async function deploy(...numbers: number[]): Promise<void> {
  for (const number of numbers) await machine.deploy(await machine.release(number));
}

describe('invariant 25: going back', () => {
  test('right after a deploy is a flip only, and once more is a flip to where it was', async () => {
    await deploy(2, 1);
    // The order of events counts: neither the name of a release nor the age of its folder.
    await utimes(machine.layout.release(idOf(1)), 0, 0);
    const pids = [machine.supervisor.pid('blue'), machine.supervisor.pid('green')];
    await using traffic = startTraffic(machine);
    const told = await back();
    expect(told.answer).toEqual({
      live: 'blue',
      release: idOf(2),
      previous: { slot: 'green', release: idOf(1) },
      promoted: true,
    });
    expect(told.steps).toEqual(['preflight done', 'gate done', 'flip done', 'verify done', 'watch skipped']);
    expect((await back()).answer).toMatchObject({ live: 'green', release: idOf(1) });
    expect((await back()).answer).toMatchObject({ live: 'blue', release: idOf(2) });
    expect([machine.supervisor.pid('blue'), machine.supervisor.pid('green')]).toEqual(pids);
    expect(traffic.failures).toEqual([]);
    expect(await machine.story()).toEqual(['ok - → 2', 'ok 2 → 1', 'ok 1 → 2', 'ok 2 → 1', 'ok 1 → 2']);
  });

  test('to a slot that runs is done at once, also where its release could not start again: that is said', async () => {
    await machine.deploy(await machine.release(1, { refuses: 'auditor' }));
    await machine.deploy(await machine.release(2), { customers: `${CUSTOMERS}# auditor\n` });
    expect((await machine.ask('promote', { limits: LIMITS })).refusal?.message).toContain('auditor is no role');
    const told = await back();
    expect(told.answer).toMatchObject({ live: 'blue', release: idOf(1) });
    const sentence = expect.stringContaining('would not start again after a crash');
    expect(told.heard).toContainEqual({ kind: 'warning', sentence });
  });

  test('to a release that is in no slot any more stages it again', async () => {
    await deploy(1, 2, 3);
    const told = await back(idOf(1));
    expect(told.answer).toMatchObject({ live: 'green', release: idOf(1), previous: { slot: 'blue' } });
    expect(told.steps).toContain('migrate done');
    expect(await machine.serving()).toBe(idOf(1));
    expect((await back()).answer).toMatchObject({ live: 'blue', release: idOf(3) });
  });

  test('to a slot that is held, or whose process is unwell, starts it again', async () => {
    await deploy(1, 2);
    await machine.behave(idOf(1), { ready: 503 });
    const agent = machine.start('rollback', { limits: LIMITS });
    await agent.begins('gate');
    await machine.behave(idOf(1), {});
    const told = await agent.told;
    expect(told.steps).toEqual(expect.arrayContaining(['hold done', 'link done', 'start done']));
    expect(told.answer).toMatchObject({ live: 'blue', release: idOf(1) });
  });

  test('to a slot that began before shared/env was changed starts it again: its secrets may be bad by now', async () => {
    await deploy(1, 2);
    await appendFile(machine.layout.env, 'AXE_NEW=x\n');
    const told = await back();
    expect(told.steps).toEqual(expect.arrayContaining(['hold done', 'link done', 'start done']));
    expect(told.answer).toMatchObject({ live: 'blue', release: idOf(1) });
  });

  test('to what serves already does nothing and says so', async () => {
    await deploy(1);
    const told = await back(idOf(1));
    expect(told).toMatchObject({ exit: 0, answer: { live: 'blue', release: idOf(1) }, steps: ['stage skipped'] });
  });

  test('keeps the customers.yaml that is there', async () => {
    await deploy(1);
    const customers = `${CUSTOMERS}# new\n`;
    await machine.deploy(await machine.release(2), { customers });
    await back();
    expect(await machine.serving()).toBe(idOf(1));
    expect(await textOf(machine.layout.customers)).toBe(customers);
  });

  test('in a dry run says the steps only', async () => {
    await deploy(1, 2);
    const told = await machine.ask('rollback', { limits: LIMITS }, { dryRun: true });
    expect(told.answer).toMatchObject({ live: 'blue', release: idOf(1) });
    expect(told.steps).toEqual(['preflight done', 'gate planned', 'flip planned', 'verify planned', 'watch skipped']);
    expect(await machine.serving()).toBe(idOf(2));
    expect(await machine.history()).toHaveLength(2);
  });
});

describe('going back is refused', () => {
  const refused = async (to: string | undefined, message: string) => {
    const live = await machine.live();
    const told = await back(to);
    expect(told).toMatchObject({ exit: 2, refusal: { code: 'deploy/refused' } });
    expect(told.refusal?.message).toContain(message);
    expect(await machine.live()).toBe(live);
  };

  test('when nothing was there before', async () => {
    await refused(undefined, 'Nothing serves on this machine');
    await deploy(1);
    await refused(undefined, `The history knows no release before ${idOf(1)}.`);
  });

  test('when the release is not here, or never was', async () => {
    await deploy(1, 2, 3);
    await rm(machine.layout.release(idOf(1)), { recursive: true });
    await refused(idOf(1), 'is not on this machine');
    await refused('../../../etc', 'is not on this machine');
  });

  test('invariant 26: past a breaking migration, to a warm slot and to a cold one', async () => {
    await machine.deploy(await machine.release(1, { breaking: 3 }));
    await machine.deploy(await machine.release(2, { breaking: 4 }));
    await refused(undefined, 'has the breaking migration 4');
    await machine.deploy(await machine.release(3, { breaking: 4 }));
    await refused(idOf(1), 'has the breaking migration 4');
    expect((await back()).answer).toMatchObject({ release: idOf(2) });
  });

  test('invariant 26: also when the release that broke never served, or is gone from the disk', async () => {
    await machine.deploy(await machine.release(1, { breaking: 3 }));
    await machine.deploy(await machine.release(2, { breaking: 3 }));
    const limits = { ...LIMITS, verify: { answers: 1, seconds: 1 } };
    const id = await machine.release(3, { breaking: 4, open: 200 });
    expect((await machine.activate(id, { limits })).exit).toBe(21);
    await rm(machine.layout.release(id), { recursive: true });
    await refused(idOf(1), 'has the breaking migration 4');
  });

  test('to a release that does not accept shared/customers.yaml, and could not start', async () => {
    await machine.deploy(await machine.release(1, { refuses: 'auditor' }));
    const customers = `${CUSTOMERS}# auditor\n`;
    for (const n of [2, 3]) await machine.deploy(await machine.release(n), { customers });
    await refused(idOf(1), 'auditor is no role');
    await machine.deploy(idOf(3), { customers: CUSTOMERS });
    expect((await back(idOf(1))).answer).toMatchObject({ release: idOf(1) });
  });

  test('and a promotion is no way around it', async () => {
    await machine.deploy(await machine.release(1, { breaking: 3 }));
    await machine.deploy(await machine.release(2, { breaking: 4 }));
    const told = await machine.ask('promote', { limits: LIMITS });
    expect(told).toMatchObject({ exit: 2, refusal: { code: 'deploy/refused' } });
    expect(await machine.serving()).toBe(idOf(2));
  });
});

test('a release that does not start any more is not gone back to', async () => {
  await deploy(1, 2, 3);
  await machine.behave(idOf(1), { crash: 1 });
  const told = await machine.ask('rollback', { to: idOf(1), limits: { ...LIMITS, gate: { answers: 1, seconds: 1 } } });
  expect(told).toMatchObject({ exit: 20, refusal: { code: 'deploy/gate-failed' } });
  expect(await machine.serving()).toBe(idOf(3));
});

test('there is nothing to promote before the first deploy', async () => {
  const told = await machine.ask('promote', { limits: LIMITS });
  expect(told.refusal?.message).toBe('There is nothing to promote in blue: it has no release.');
});

describe('the release before', () => {
  const line = (result: HistoryLine['result'], from: string | undefined, to: string, live?: string): HistoryLine => {
    return { at: '', by: '', verb: 'deploy', result, from, to, live, ms: 0 };
  };
  const cases: [string, HistoryLine[], string | undefined][] = [
    ['nothing is known', [], undefined],
    ['it was the first', [line('ok', undefined, 'b')], undefined],
    ['it was deployed over another one', [line('ok', undefined, 'a'), line('ok', 'a', 'b')], 'a'],
    ['others failed in between', [line('ok', 'a', 'b', 'b'), line('gate-failed', 'b', 'c', 'b')], 'a'],
    ['others went back in between', [line('ok', 'a', 'b', 'b'), line('reverted', 'b', 'c', 'b')], 'a'],
    ['others were staged only', [line('ok', 'a', 'b', 'b'), line('staged', 'b', 'c', 'b')], 'a'],
    ['it was gone back to', [line('ok', 'b', 'c', 'c'), line('ok', 'c', 'b', 'b')], 'c'],
    ['it was deployed again', [line('ok', 'a', 'b', 'b'), line('ok', 'b', 'b', 'b')], 'a'],
    ['it was killed after its flip', [line('interrupted', 'a', 'b', 'b')], 'a'],
    ['it serves though it is unwell', [line('failed', 'a', 'b', 'b')], 'a'],
    [
      'somebody was refused the lock while another one served that then went back',
      [line('ok', 'a', 'b', 'b'), line('refused', undefined, 'd', 'c'), line('reverted', 'b', 'c', 'b')],
      'a',
    ],
    ['the history does not know it', [line('ok', 'a', 'x', 'x')], undefined],
  ];
  test.each(cases)('when %s', (_, history, expected) => {
    expect(previousOf(history, 'b')).toBe(expected);
  });
});
