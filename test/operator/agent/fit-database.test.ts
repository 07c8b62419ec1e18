import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CUSTOMERS, eventually, idOf, LIMITS, type Machine, makeMachine } from './fixture.ts';

/** Logins in the database are as the release wants them that migrated last; another one does not start there. */
let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
  await machine.deploy(await machine.release(1, { walls: 'old' }));
});
afterEach(() => machine[Symbol.asyncDispose]());

const newer = () => machine.release(2, { walls: 'new' });

/** Killed, as by a power failure or the kernel: what serves must come up again by itself. */
async function expectToComeUpAgain(slot: 'blue' | 'green', release: string): Promise<void> {
  const pid = machine.supervisor.pid(slot);
  process.kill(pid, 'SIGKILL');
  await eventually(() => machine.supervisor.pid(slot) !== pid);
  await eventually(async () => (await machine.serving()) === release);
}

describe('whoever serves comes up again', () => {
  test('after another release did not pass its gate', async () => {
    const told = await machine.activate(await machine.release(2, { walls: 'new', crash: 1 }));
    expect(told.exit).toBe(20);
    expect(told.steps.slice(-2)).toEqual(['hold done', 'fit done']);
    await expectToComeUpAgain('blue', idOf(1));
  });

  test('after another release took over and went back', async () => {
    const limits = { ...LIMITS, verify: { answers: 1, seconds: 1 } };
    expect((await machine.activate(await machine.release(2, { walls: 'new', open: 200 }), { limits })).exit).toBe(21);
    await expectToComeUpAgain('blue', idOf(1));
  });

  test('while another release waits in the idle slot, and that one after it was promoted', async () => {
    await machine.deploy(await newer(), { promote: false });
    await expectToComeUpAgain('blue', idOf(1));
    const told = await machine.ask('promote', { limits: LIMITS });
    expect(told.steps).toEqual([
      'preflight done',
      'gate done',
      'flip done',
      'verify done',
      'watch skipped',
      'fit done',
    ]);
    await expectToComeUpAgain('green', idOf(2));
  });

  test('after a step back that was a flip and nothing else, and after one forward', async () => {
    await machine.deploy(await newer());
    expect((await machine.ask('rollback', { limits: LIMITS })).steps).toContain('fit done');
    await expectToComeUpAgain('blue', idOf(1));
    expect((await machine.ask('rollback', { limits: LIMITS })).answer).toMatchObject({ release: idOf(2) });
    await expectToComeUpAgain('green', idOf(2));
  });

  test('after a verb that was killed behind its migration', async () => {
    const killed = machine.activate(await newer(), {}, { killAt: 'gate begun' });
    expect((await killed).exit).toBeNull();
    expect((await machine.ask('cleanup', { keep: 3 })).steps).toEqual(['fit done']);
    await expectToComeUpAgain('blue', idOf(1));
  });
});

test('when that cannot be, it is said, and what was done counts', async () => {
  await machine.deploy(await newer());
  await machine.behave(idOf(1), { walls: 'old', migrate: 1 });
  const told = await machine.ask('rollback', { limits: LIMITS });
  expect(told).toMatchObject({ exit: 0, answer: { release: idOf(1) } });
  expect(told.heard).toContainEqual({
    kind: 'warning',
    sentence: expect.stringContaining(`${idOf(1)}, which serves, might not start again: \`migrate\` of the release`),
  });
});

test('releases that want the same need nothing', async () => {
  await machine.deploy(await machine.release(2, { walls: 'old' }), { promote: false });
  expect((await machine.ask('promote', { limits: LIMITS })).steps).not.toContain('fit done');
  expect((await machine.ask('rollback', { limits: LIMITS })).steps).not.toContain('fit done');
});

test('a deploy of what serves already mends what somebody changed in the database', async () => {
  const told = await machine.activate(idOf(1), { customers: CUSTOMERS });
  expect(told.steps).toContain('migrate done');
  const migrated = told.heard.find(
    event => event.kind === 'step' && event.step === 'migrate' && event.state === 'done',
  );
  expect(migrated).toMatchObject({ note: 'axe: up to date; server: 1 wall built or mended' });
});
