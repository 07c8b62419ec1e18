import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readJournal } from '../../../src/operator/agent/journal.ts';
import { takeLock } from '../../../src/operator/agent/lock.ts';
import type { Activation, Verb, Verbs } from '../../../src/operator/agent/protocol.ts';
import { setRight } from '../../../src/operator/agent/recover.ts';
import { CUSTOMERS, idOf, LIMITS, type Machine, makeMachine, startTraffic, textOf } from './fixture.ts';

const WATCHED = { ...LIMITS, watch: { ...LIMITS.watch, seconds: 0.2 } };

let machine: Machine;
let number = 1;
beforeAll(async () => {
  machine = await makeMachine();
  await machine.deploy(await machine.release(number));
});
afterAll(() => machine[Symbol.asyncDispose]());

/** A release that is new, with a customers.yaml of its own. */
async function nextRelease(): Promise<Activation> {
  number += 1;
  const id = await machine.release(number);
  return { id, promote: true, customers: `${CUSTOMERS}# for ${number}\n`, limits: WATCHED };
}

async function killAt<V extends Verb>(point: string, verb: V, request: Verbs[V]['request']): Promise<void> {
  const { exit, heard } = await machine.ask(verb, request, { killAt: point });
  expect([exit, heard.filter(({ kind }) => kind === 'answer' || kind === 'refusal')]).toEqual([null, []]);
}

/** Nothing of a verb that is over lies about. */
async function expectTidy(): Promise<void> {
  expect((await readdir(join(machine.layout.home, 'state'))).sort()).toEqual([
    'data',
    'history.ndjson',
    'host.json',
    'live',
  ]);
  expect((await readdir(join(machine.layout.home, 'shared'))).sort()).toEqual(['customers.yaml', 'env', 'master.key']);
}

const BEFORE = ['preflight', 'check', 'customers', 'migrate', 'hold', 'link', 'start', 'gate', 'flip'];
const POINTS: [point: string, serves: 'old' | 'new'][] = [
  ...BEFORE.map((step): [string, 'old'] => [`${step} begun`, 'old']),
  ['customers done', 'old'],
  ['start done', 'old'],
  ['flip done', 'new'],
  ['verify begun', 'new'],
  ['watch begun', 'new'],
  ['settle begun', 'new'],
  ['settle done', 'new'],
];

describe('invariants 18, 19 and 39: an agent that is killed', () => {
  test.each(POINTS)('at %s leaves the %s one serving, and the same command converges', async (point, serves) => {
    const old = idOf(number);
    const { length } = await machine.history();
    await using traffic = startTraffic(machine);
    const wish = await nextRelease();
    await killAt(point, 'activate', wish);
    expect(await machine.serving()).toBe(serves === 'old' ? old : wish.id);

    const told = await machine.ask('activate', wish);
    expect(told).toMatchObject({ exit: 0, answer: { release: wish.id, promoted: true } });
    expect(told.steps).toContain('verify done');
    expect(await machine.serving()).toBe(wish.id);
    expect(await textOf(machine.layout.customers)).toBe(wish.customers);
    const lines = (await machine.history()).slice(length);
    expect(lines.map(({ result }) => result)).toEqual(['lock-broken', 'interrupted', 'ok']);
    const [step] = point.split(' ');
    expect(lines[1]).toMatchObject({ verb: 'deploy', to: wish.id, reason: expect.stringContaining(`step ${step}`) });
    expect(traffic.failures).toEqual([]);
    await expectTidy();
  });

  test('before its flip: whatever comes next brings the old customers.yaml back', async () => {
    const before = await textOf(machine.layout.customers);
    await killAt('gate begun', 'activate', await nextRelease());
    expect(await textOf(machine.layout.customers)).not.toBe(before);
    const told = await machine.ask('cleanup', { keep: 99 });
    expect(told.heard).toContainEqual({
      kind: 'warning',
      sentence: '`deploy` of anna@laptop was cut off in the step `gate`; traffic had not moved.',
    });
    expect(await textOf(machine.layout.customers)).toBe(before);
    await expectTidy();
  });

  test('after its flip: whatever comes next takes it for what serves', async () => {
    const old = await machine.serving();
    const wish = await nextRelease();
    await killAt('watch begun', 'activate', wish);
    const { answer } = await machine.ask('rollback', { limits: LIMITS });
    expect(answer).toMatchObject({ release: old, previous: { release: wish.id } });
    expect(await textOf(machine.layout.customers)).toBe(wish.customers);
    await expectTidy();
  });

  test('after its flip, with a release that turns out bad: the same command goes back', async () => {
    const old = await machine.serving();
    const before = await textOf(machine.layout.customers);
    const wish = await nextRelease();
    await killAt('watch begun', 'activate', wish);
    await machine.behave(wish.id, { open: 200 });
    const told = await machine.ask('activate', { ...wish, limits: { ...LIMITS, verify: { answers: 1, seconds: 1 } } });
    expect(told.exit).toBe(21);
    expect(await machine.serving()).toBe(old);
    expect(await textOf(machine.layout.customers)).toBe(before);
    await expectTidy();
  });

  test.each(['gate begun', 'flip begun', 'flip done'])('at %s of a rollback is no different', async point => {
    await machine.ask('activate', await nextRelease());
    const { length } = await machine.history();
    await killAt(point, 'rollback', { limits: LIMITS });
    expect(await machine.serving()).toMatch(/^2026/);
    expect((await machine.ask('cleanup', { keep: 99 })).exit).toBe(0);
    const lines = (await machine.history()).slice(length);
    expect(lines.map(({ verb, result }) => `${verb} ${result}`)).toEqual([
      'cleanup lock-broken',
      'rollback interrupted',
      'cleanup ok',
    ]);
    await expectTidy();
  });

  test.each(['revert begun', 'revert done'])('at %s: the next one finishes the way back', async point => {
    const old = await machine.serving();
    const before = await textOf(machine.layout.customers);
    const wish = await nextRelease();
    await machine.behave(wish.id, { open: 200 });
    await killAt(point, 'activate', { ...wish, limits: { ...LIMITS, verify: { answers: 1, seconds: 1 } } });
    await machine.ask('cleanup', { keep: 99 });
    expect(await machine.serving()).toBe(old);
    expect(await textOf(machine.layout.customers)).toBe(before);
    await expectTidy();
  });

  test('between its line and its end has one line all the same', async () => {
    const line = (await machine.history()).at(-1);
    const dead = { ...line, token: line?.id, pid: 1, started: '', step: 'watch', stepAt: line?.at };
    await writeFile(machine.layout.lock, JSON.stringify(dead));
    await writeFile(machine.layout.journal, JSON.stringify(dead));
    const { length } = await machine.history();
    await machine.ask('cleanup', { keep: 99 });
    expect((await machine.history()).slice(length).map(({ result }) => result)).toEqual(['lock-broken', 'ok']);
    await expectTidy();
  });

  test.each(['', 'null', '{}', '[]', '{"id":"x","verb":"deploy"'])(
    'and what is left of its journal is %j',
    async text => {
      await writeFile(machine.layout.journal, text);
      const { length } = await machine.history();
      const { exit, heard } = await machine.ask('cleanup', { keep: 99 });
      expect([exit, heard.filter(({ kind }) => kind === 'warning')]).toEqual([0, []]);
      expect((await machine.history()).slice(length).map(({ result }) => result)).toEqual(['ok']);
      await expectTidy();
    },
  );

  test('twice over leaves two lines, and the third one converges', async () => {
    const { length } = await machine.history();
    const wish = await nextRelease();
    await killAt('start begun', 'activate', wish);
    await killAt('migrate begun', 'activate', wish);
    expect((await machine.ask('activate', wish)).exit).toBe(0);
    const results = (await machine.history()).slice(length).map(({ result }) => result);
    expect(results.filter(result => result === 'interrupted')).toHaveLength(2);
    expect(results.at(-1)).toBe('ok');
    expect(existsSync(machine.layout.journal)).toBe(false);
  });
});

describe('what is left to do stays written down', () => {
  test('when it could not be set right, until somebody can', async () => {
    const { customers, history } = machine.layout;
    const before = await textOf(customers);
    const { length } = await machine.history();
    await killAt('gate begun', 'activate', await nextRelease());
    await rename(history, `${history}.kept`);
    await mkdir(history);
    expect((await machine.ask('cleanup', { keep: 99 })).exit).toBe(1);
    await rm(history, { recursive: true });
    await rename(`${history}.kept`, history);
    expect((await machine.ask('cleanup', { keep: 99 })).exit).toBe(0);
    expect(await textOf(customers)).toBe(before);
    expect((await machine.history()).slice(length).map(({ verb, result }) => `${verb} ${result}`)).toEqual([
      'deploy interrupted',
      'cleanup ok',
    ]);
    await expectTidy();
  });

  test('when the old customers.yaml could not be brought back', async () => {
    const { customers, journal } = machine.layout;
    const before = await textOf(customers);
    const { length } = await machine.history();
    const wish = await nextRelease();
    await machine.behave(wish.id, { ready: 503 });
    const agent = machine.start('activate', { ...wish, limits: { ...LIMITS, gate: { answers: 1, seconds: 6 } } });
    await agent.begins('gate');
    await rm(customers);
    await mkdir(join(customers, 'in the way'), { recursive: true });
    const told = await agent.told;
    expect([told.exit, told.steps.at(-1)]).toEqual([1, 'settle failed']);
    expect(existsSync(journal)).toBe(true);
    await rm(customers, { recursive: true });
    expect((await machine.ask('cleanup', { keep: 99 })).exit).toBe(0);
    expect(await textOf(customers)).toBe(before);
    expect((await machine.history()).slice(length).map(({ verb, result }) => `${verb} ${result}`)).toEqual([
      'deploy failed',
      'cleanup ok',
    ]);
    await expectTidy();
  });

  test.each(['before', 'after'])('when the one that goes on is killed in turn, %s its line', async when => {
    const { layout } = machine;
    const wish = await nextRelease();
    await killAt('verify begun', 'activate', wish);
    const { length } = await machine.history();
    const scene = {
      layout,
      by: 'bert@desk',
      dryRun: false,
      tell() {
        if (when === 'before') throw new Error('killed');
      },
    };
    const lock = await takeLock(layout.lock, { verb: 'deploy', by: scene.by });
    const resumed = await setRight(scene, { verb: 'deploy', to: wish.id }, lock).catch(() => undefined);
    await lock.release();
    expect(resumed?.to).toBe(when === 'after' ? wish.id : undefined);
    expect(await readJournal(layout)).toMatchObject({ to: wish.id, target: resumed?.target ?? expect.any(String) });
    if (when === 'after') expect((await readJournal(layout))?.id).toBe(lock.token);

    const told = await machine.ask('activate', wish);
    expect(told).toMatchObject({ exit: 0, answer: { release: wish.id } });
    expect(told.steps).toContain('verify done');
    expect(await machine.serving()).toBe(wish.id);
    expect(await textOf(layout.customers)).toBe(wish.customers);
    const results = (await machine.history()).slice(length).map(({ result }) => result);
    expect(results.filter(result => result === 'interrupted')).toHaveLength(when === 'after' ? 2 : 1);
    await expectTidy();
  });

  test('when the one that goes on was killed behind its line, and its journal was not yet its own', async () => {
    const { layout } = machine;
    const wish = await nextRelease();
    await killAt('verify begun', 'activate', wish);
    const journal = await textOf(layout.journal);
    const scene = { layout, by: 'bert@desk', dryRun: false, tell() {} };
    const lock = await takeLock(layout.lock, { verb: 'deploy', by: scene.by });
    await setRight(scene, { verb: 'deploy', to: wish.id }, lock);
    await lock.release();
    await writeFile(layout.journal, journal);
    const { length } = await machine.history();
    const told = await machine.ask('activate', wish);
    expect(told.steps).toContain('verify done');
    expect((await machine.history()).slice(length).map(({ result }) => result)).toEqual(['ok']);
    await expectTidy();
  });
});
