import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isAlive, lifeOf, signal } from '../../../src/operator/agent/processes.ts';
import type { Heard } from '../../../src/operator/agent/protocol.ts';
import {
  CUSTOMERS,
  eventually,
  idOf,
  LIMITS,
  type Machine,
  makeMachine,
  PASSWORD,
  snapshot,
  textOf,
} from './fixture.ts';

let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
});
afterEach(() => machine[Symbol.asyncDispose]());

const NEW_CUSTOMERS = `${CUSTOMERS}# a new entity\n`;

test('the first release comes into blue, the next into green, then blue again', async () => {
  const told = await machine.activate(await machine.release(1));
  expect(told).toMatchObject({ exit: 0, answer: { live: 'blue', release: idOf(1), promoted: true } });
  expect(told.steps).toEqual([
    'preflight done',
    'check done',
    'customers skipped',
    'migrate done',
    'hold done',
    'link done',
    'start done',
    'gate done',
    'flip done',
    'verify done',
    'watch skipped',
  ]);
  const previous = { slot: 'blue', release: idOf(1) };
  expect(await machine.deploy(await machine.release(2))).toEqual({
    live: 'green',
    release: idOf(2),
    previous,
    promoted: true,
  });
  expect(await machine.live()).toBe('../slots/green');
  expect(await machine.serving()).toBe(idOf(2));
  expect(await machine.deploy(await machine.release(3))).toMatchObject({ live: 'blue' });
  expect(await machine.linked('blue')).toBe(`../../releases/${idOf(3)}`);
  expect(await machine.serving()).toBe(idOf(3));
});

test('invariants 4 and 15: neither the proxy nor the live slot is stopped, restarted or linked anew by a deploy', async () => {
  await machine.deploy(await machine.release(1));
  const blue = { pid: machine.supervisor.pid('blue'), link: await machine.linked('blue') };
  await machine.deploy(await machine.release(2));
  expect({ pid: machine.supervisor.pid('blue'), link: await machine.linked('blue') }).toEqual(blue);
  const ready = await fetch(`http://127.0.0.1:${machine.ports.blue}/frame/ready`);
  expect([ready.status, ready.headers.get('x-frame-release')]).toEqual([200, idOf(1)]);
  expect(await lifeOf(machine.proxy.pid)).toBeDefined();
});

test('invariant 39: every verb writes one line with who, from, to, result and duration, and none is rewritten', async () => {
  await machine.activate(await machine.release(1), {}, { by: "eve's $(laptop)\n" });
  const before = await textOf(machine.layout.history);
  await machine.activate(await machine.release(2));
  await machine.activate('nonsense');
  const after = await textOf(machine.layout.history);
  expect(after.startsWith(before)).toBe(true);
  expect(await machine.history()).toEqual([
    expect.objectContaining({ by: "eve's $(laptop)\n", verb: 'deploy', to: idOf(1), live: idOf(1), result: 'ok' }),
    expect.objectContaining({ by: 'anna@laptop', from: idOf(1), to: idOf(2), live: idOf(2), result: 'ok' }),
    expect.objectContaining({ from: idOf(2), to: 'nonsense', live: idOf(2), result: 'refused' }),
  ]);
  for (const { ms, at } of await machine.history()) expect([ms > 0, Date.parse(at) > 0]).toEqual([true, true]);
  expect((await stat(machine.layout.history)).mode & 0o777).toBe(0o600);
});

test('the release that serves already is left alone, but a new customers.yaml comes with it', async () => {
  const id = await machine.release(1);
  await machine.deploy(id);
  const pid = machine.supervisor.pid('blue');
  const again = await machine.activate(id);
  expect(again.answer).toEqual({ live: 'blue', release: id, promoted: true });
  expect(again.steps).toEqual(['preflight done', 'check done', 'customers skipped', 'migrate done', 'stage skipped']);
  const pushed = await machine.activate(id, { customers: NEW_CUSTOMERS });
  expect(pushed.steps).toEqual([
    'preflight done',
    'check done',
    'customers done',
    'migrate done',
    'stage skipped',
    'settle done',
  ]);
  expect(await textOf(machine.layout.customers)).toBe(NEW_CUSTOMERS);
  expect(machine.supervisor.pid('blue')).toBe(pid);
  expect((await machine.history()).at(-1)).toMatchObject({ result: 'ok', reason: 'it served already' });
});

describe('the release that serves already comes into the other slot anew', () => {
  test('when shared/env was changed since its slot began: a new secret counts from then on', async () => {
    const id = await machine.release(1);
    await machine.deploy(id);
    await appendFile(machine.layout.env, 'AXE_NEW=x\n');
    const told = await machine.activate(id);
    expect(told.answer).toEqual({
      live: 'green',
      release: id,
      previous: { slot: 'blue', release: id },
      promoted: true,
    });
    expect(told.heard).toContainEqual({
      kind: 'warning',
      sentence: 'blue, which serves it already, began before shared/env was changed: it comes into green anew.',
    });
    expect((await machine.activate(id)).steps).toContain('stage skipped');
  });

  test('when its slot is unwell', async () => {
    const id = await machine.release(1);
    await machine.deploy(id);
    process.kill(machine.supervisor.pid('blue'), 'SIGSTOP');
    const told = await machine.activate(id);
    process.kill(machine.supervisor.pid('blue'), 'SIGCONT');
    expect(told).toMatchObject({ exit: 0, answer: { live: 'green', release: id } });
    expect(await machine.serving()).toBe(id);
  });
});

test('a breaking migration is announced before it is run: there is no way back', async () => {
  await machine.deploy(await machine.release(1, { breaking: 3 }));
  const told = await machine.activate(await machine.release(2, { breaking: 4 }));
  const [warning] = told.heard.filter(({ kind }) => kind === 'warning');
  expect(warning).toMatchObject({ sentence: expect.stringContaining('has a breaking migration') });
  expect(told.heard.indexOf(warning as Heard)).toBeLessThan(
    told.heard.findIndex(event => event.kind === 'step' && event.step === 'migrate'),
  );
});

test('without promote, the release waits in the idle slot until it is promoted', async () => {
  await machine.deploy(await machine.release(1));
  const id = await machine.release(2);
  expect(await machine.deploy(id, { promote: false })).toEqual({
    live: 'blue',
    release: id,
    previous: { slot: 'blue', release: idOf(1) },
    promoted: false,
  });
  expect(await machine.serving()).toBe(idOf(1));
  const told = await machine.ask('promote', { limits: LIMITS });
  expect(told.answer).toMatchObject({ live: 'green', release: id, promoted: true });
  expect(await machine.serving()).toBe(id);
  expect(await machine.story()).toEqual(['ok - → 1', 'staged 1 → 2', 'ok 1 → 2']);
});

describe('without promote, a customers.yaml that the release which serves on does not accept', () => {
  const customers = `${CUSTOMERS}# auditor\n`;

  test('is refused before anything is staged', async () => {
    await machine.deploy(await machine.release(1, { refuses: 'auditor' }));
    const id = await machine.release(2);
    const told = await machine.activate(id, { promote: false, customers });
    expect(told).toMatchObject({
      exit: 2,
      refusal: { code: 'deploy/refused' },
      steps: ['preflight done', 'check failed'],
    });
    expect(told.refusal?.message).toContain(`The release ${idOf(1)} does not accept`);
    expect(told.refusal?.message).toContain('auditor is no role');
    expect(await textOf(machine.layout.customers)).toBe(CUSTOMERS);
    expect(await machine.linked('green')).toBeUndefined();
    expect(await machine.deploy(id, { customers })).toMatchObject({ release: id, promoted: true });
  });

  test('but has already is no reason to refuse', async () => {
    await machine.deploy(await machine.release(1), { customers });
    await machine.behave(idOf(1), { refuses: 'auditor' });
    expect(await machine.deploy(await machine.release(2), { promote: false, customers })).toMatchObject({
      promoted: false,
    });
  });
});

test('a dry run says every step and changes nothing, before the upload and after it', async () => {
  await machine.deploy(await machine.release(1));
  const before = await snapshot(machine.layout);
  const changes = { customers: NEW_CUSTOMERS };
  const early = await machine.activate(idOf(2), changes, { dryRun: true });
  expect(await snapshot(machine.layout)).toEqual(before);
  const planned = ['customers', 'migrate', 'hold', 'link', 'start', 'gate', 'flip', 'verify'].map(s => `${s} planned`);
  expect(early.steps).toEqual(['preflight done', 'check planned', ...planned, 'watch skipped']);
  const id = await machine.release(2);
  const there = await snapshot(machine.layout);
  const late = await machine.activate(id, changes, { dryRun: true });
  expect(late.steps).toEqual(['preflight done', 'check done', ...planned, 'watch skipped']);
  expect(late.answer).toMatchObject({ live: 'green', release: id });
  expect(await snapshot(machine.layout)).toEqual(there);
});

test('the files that hold secrets are readable for nobody else', async () => {
  await machine.deploy(await machine.release(1), { customers: NEW_CUSTOMERS });
  for (const file of [machine.layout.customers, machine.layout.history]) {
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  }
});

test('a folder without a state is no machine, and says so', async () => {
  await rm(join(machine.layout.home, 'state'), { recursive: true });
  const { refusal, exit } = await machine.activate(idOf(1));
  expect([exit, refusal?.message]).toEqual([1, expect.stringContaining('`frame provision` makes it')]);
});

describe('a migration', () => {
  test('that fails leaves everything as it was, and its words hide the password', async () => {
    await machine.deploy(await machine.release(1));
    const told = await machine.activate(await machine.release(2, { migrate: 1 }), { customers: NEW_CUSTOMERS });
    expect(told).toMatchObject({ exit: 1, refusal: { code: 'deploy/failed' } });
    expect(told.refusal?.message).toContain('no connection to [REDACTED]');
    expect(JSON.stringify(told.heard)).not.toContain(PASSWORD);
    expect(await textOf(machine.layout.history)).not.toContain(PASSWORD);
    expect(await textOf(machine.layout.customers)).toBe(CUSTOMERS);
    expect(await machine.linked('green')).toBeUndefined();
    expect(await machine.serving()).toBe(idOf(1));
  });

  test('that takes too long is ended; invariant 38: no secret stands in its command line', async () => {
    const id = await machine.release(1, { migrate: 'hangs' });
    const limits = { ...LIMITS, migrateSeconds: 3 };
    const agent = machine.start('activate', { id, promote: true, customers: CUSTOMERS, limits });
    const commands = async () => (await promisify(execFile)('ps', ['-ww', '-eo', 'command'])).stdout;
    // By its whole path: other tests migrate releases of this name.
    const migration = `${machine.layout.release(id)}/src/main.ts migrate`;
    let seen = '';
    await eventually(async () => {
      seen = await commands();
      return seen.includes(migration);
    });
    expect(seen).not.toContain(PASSWORD);
    expect((await agent.told).refusal?.message).toContain('did not come to its end');
    expect(await commands()).not.toContain(migration);
  });

  test('that meets another one says so and asks for patience', async () => {
    const { refusal, exit } = await machine.activate(await machine.release(1, { migrate: 75 }));
    expect(exit).toBe(75);
    expect(refusal).toMatchObject({ code: 'deploy/locked', hint: 'Try again when it is done.' });
  });
});

describe('invariant 16: before the new process starts, the old one is gone,', () => {
  test('also when it does not listen to SIGTERM', async () => {
    await machine.deploy(await machine.release(1, { stubborn: true }));
    await machine.deploy(await machine.release(2));
    const old = await lifeOf(machine.supervisor.pid('blue'));
    await machine.deploy(await machine.release(3), { limits: { ...LIMITS, stopSeconds: 1 } });
    expect(old && (await isAlive(old))).toBe(false);
    expect(await machine.serving()).toBe(idOf(3));
  });

  test('or nothing is started at all: the port is not ours', async () => {
    await machine.deploy(await machine.release(1));
    const stranger = createServer((_, response) => response.end()).listen(machine.ports.green, '127.0.0.1');
    await once(stranger, 'listening');
    const { refusal, exit } = await machine.activate(await machine.release(2));
    stranger.close();
    expect(exit).toBe(1);
    expect(refusal?.message).toBe(
      `The slot green has ended, but another process still listens on its port ${machine.ports.green}.`,
    );
    expect(await machine.linked('green')).toBeUndefined();
  });

  test('and a process that only has the number of the old one is left alone', async () => {
    await machine.supervisor.stop();
    const id = await machine.release(1);
    await writeFile(machine.layout.slot('blue').pid, `${process.pid}\n`);
    const { refusal } = await machine.activate(id, { limits: { ...LIMITS, gate: { answers: 1, seconds: 1 } } });
    expect(refusal?.message).toMatch(/^Nothing runs the slot blue/);
  });
});

test('a slot that waits is not ended once more', async () => {
  await machine.activate(await machine.release(1, { crash: 1 }), {
    limits: { ...LIMITS, gate: { answers: 1, seconds: 1 } },
  });
  const { pid, hold } = machine.layout.slot('blue');
  // Whoever was starting while the slot was held may wait, and still have begun before; the one behind it has not.
  const began = machine.supervisor.starts('blue');
  const runner = await lifeOf(machine.supervisor.pid('blue'));
  if (runner) signal(runner, 'SIGKILL');
  await eventually(() => machine.supervisor.starts('blue') > began);
  await eventually(async () => Number(await textOf(pid)) === machine.supervisor.pid('blue'));
  expect((await stat(pid)).mtimeMs).toBeGreaterThan((await stat(hold)).mtimeMs);
  const starts = machine.supervisor.starts('blue');
  const told = await machine.activate(await machine.release(2));
  expect(told.exit).toBe(0);
  expect(machine.supervisor.starts('blue')).toBe(starts);
});

test('a folder where a release should be is no release', async () => {
  await mkdir(machine.layout.release(idOf(1)));
  expect((await machine.activate(idOf(1))).refusal?.message).toContain('is not on this machine');
});
