import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NO_SMALL_DISK, putOnSmallDisk } from '../../support/tmpfs.ts';
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
    // Long enough for the three good answers before it, also on a busy machine.
    const limits = { ...LIMITS, verify: { answers: 3, seconds: 6 } };
    const told = await machine.activate(await machine.release(2, { open: 200 }), { limits, customers });
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

  test.each([
    ['by a variable', `\${AXE_ORIGIN}`],
    ['by a variable in the middle', `"https://\${AXE_NAME}.example.com" # public`],
  ])('but not where the origin is named %s', async (_, origin) => {
    await appendFile(machine.layout.env, 'AXE_ORIGIN=https://axe.example.com\nAXE_NAME=axe\n');
    const customers = CUSTOMERS.replace(/origin: https:.*axe.*/, `origin: ${origin}`);
    expect(customers).toContain('${AXE');
    const told = await machine.activate(await machine.release(1), { limits: SHORT, customers });
    expect(told).toMatchObject({ exit: 0, answer: { live: 'blue' } });
  });

  test('for the slowness of a machine it does not', async () => {
    await machine.deploy(await machine.release(1));
    const told = await machine.activate(await machine.release(2, { readyMs: 800 }), { limits: SHORT });
    expect(told).toMatchObject({ exit: 0, answer: { live: 'green' } });
  });

  test('also when the slot before is slow to say that it is well', async () => {
    const id = await machine.release(1);
    await machine.deploy(id);
    await machine.behave(id, { ready: 503 });
    const agent = machine.start('activate', {
      id: await machine.release(2, { open: 200 }),
      promote: true,
      customers: CUSTOMERS,
      limits: SHORT,
    });
    await agent.fails('verify');
    await machine.behave(id, {});
    expect(await agent.told).toMatchObject({ exit: 21, refusal: { code: 'deploy/reverted' } });
    expect(await machine.serving()).toBe(id);
  });

  test('when the proxy is gone; nothing served before, so nothing does after', async () => {
    await machine.proxy.stop();
    const told = await machine.activate(await machine.release(1), { limits: SHORT });
    expect(told.exit).toBe(21);
    expect(told.refusal?.message).toMatch(
      /0 of 3 good answers in a row came through the proxy, and not one more within 2 s: nobody answers on port/,
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
    ['for slowness', { callMs: 600 }, /a call of a tool takes \d+ ms on average; the same calls took 1 ms before/],
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

describe('going back does not depend on its being written down', () => {
  async function startWatched() {
    await machine.deploy(await machine.release(1));
    const id = await machine.release(2);
    const customers = `${CUSTOMERS}# new\n`;
    const agent = machine.start('activate', { id, promote: true, customers, limits: WATCHED });
    await agent.begins('watch');
    return { id, agent };
  }

  test('when the journal cannot be replaced', async () => {
    const { journal } = machine.layout;
    const { id, agent } = await startWatched();
    await rm(journal);
    await mkdir(join(journal, 'in the way'), { recursive: true });
    await machine.behave(id, { ready: 503 });
    const told = await agent.told;
    expect(told).toMatchObject({ exit: 21, refusal: { code: 'deploy/reverted' } });
    expect(told.steps.slice(-3)).toEqual(['watch failed', 'revert done', 'settle done']);
    expect(told.heard).toContainEqual({
      kind: 'warning',
      sentence: expect.stringMatching(/^The step `revert` could not be written down: /),
    });
    expect(await machine.serving()).toBe(idOf(1));
    expect(await textOf(machine.layout.customers)).toBe(CUSTOMERS);
    expect(await machine.story()).toEqual(['ok - → 1', 'reverted 1 → 2']);
    expect(existsSync(machine.layout.lock)).toBe(false);
  });

  test('but on the lock it does: what somebody else has begun is left to them', async () => {
    const { id, agent } = await startWatched();
    await rm(machine.layout.lock);
    await machine.behave(id, { ready: 503 });
    expect(await agent.told).toMatchObject({ exit: 75, refusal: { code: 'deploy/locked' } });
    expect(await machine.live()).toBe('../slots/green');
  });

  test.skipIf(NO_SMALL_DISK)('when the disk is full, and whoever comes next writes the line', async () => {
    const { history, journal } = machine.layout;
    const state = dirname(journal);
    const disk = await putOnSmallDisk(state, 1);
    try {
      const { id, agent } = await startWatched();
      // The next line needs a new page, of which there is none.
      await appendFile(history, '\n'.repeat(4096 - ((await stat(history)).size % 4096)));
      await disk.fill();
      await machine.behave(id, { ready: 503 });
      const told = await agent.told;
      expect(told).toMatchObject({ exit: 21, refusal: { code: 'deploy/reverted' } });
      const warnings = told.heard.flatMap(event => (event.kind === 'warning' ? event.sentence : []));
      expect(warnings).toEqual([
        expect.stringMatching(/^The step `revert` could not be written down: ENOSPC/),
        expect.stringMatching(/^The step `settle` could not be written down: ENOSPC/),
        'The history could not be written.',
      ]);
      expect(await machine.serving()).toBe(idOf(1));
      expect(await textOf(machine.layout.customers)).toBe(CUSTOMERS);
      expect(await machine.story()).toEqual(['ok - → 1']);

      await disk.free();
      expect((await machine.ask('cleanup', { keep: 9 })).exit).toBe(0);
      expect(await machine.serving()).toBe(idOf(1));
      expect(await machine.story()).toEqual(['ok - → 1', 'interrupted 1 → 2', 'ok']);
    } finally {
      await promisify(execFile)('umount', ['--lazy', state]);
    }
  });
});

describe('a link state/live that somebody else has written', () => {
  test.each([
    ['with a slash at its end', () => '../slots/blue/'],
    ['by the whole path', () => machine.layout.slot('blue').folder],
  ])('%s serves on through a deploy, and again after a revert', async (_, target) => {
    await machine.deploy(await machine.release(1));
    const pid = machine.supervisor.pid('blue');
    await rm(machine.layout.live);
    await symlink(target(), machine.layout.live);
    await using traffic = startTraffic(machine);
    const told = await machine.activate(await machine.release(2, { open: 200 }), { limits: SHORT });
    expect(told.exit).toBe(21);
    expect(await machine.serving()).toBe(idOf(1));
    expect(await machine.deploy(await machine.release(3))).toMatchObject({
      live: 'green',
      previous: { slot: 'blue', release: idOf(1) },
    });
    expect(machine.supervisor.pid('blue')).toBe(pid);
    expect(traffic.failures).toEqual([]);
  });

  test('to no slot is refused, and nothing is touched', async () => {
    await machine.deploy(await machine.release(1));
    const pid = machine.supervisor.pid('blue');
    await rm(machine.layout.live);
    await symlink('../slots', machine.layout.live);
    const told = await machine.activate(await machine.release(2));
    expect(told).toMatchObject({ exit: 2, refusal: { code: 'deploy/refused' } });
    expect(told.refusal?.message).toContain('which is no slot');
    expect([await machine.live(), machine.supervisor.pid('blue')]).toEqual(['../slots', pid]);
    expect(await machine.story()).toEqual(['ok - → 1', 'refused - → 2']);
  });

  test('to a slot of which nobody knows the release is refused, and serves on', async () => {
    await machine.deploy(await machine.release(1));
    await rm(machine.layout.slot('blue').release);
    const told = await machine.activate(await machine.release(2, { open: 200 }), { limits: SHORT });
    expect(told).toMatchObject({ exit: 2, refusal: { code: 'deploy/refused' } });
    expect(await machine.serving()).toBe(idOf(1));
  });
});
