import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Inspection } from '../../../src/operator/agent/protocol.ts';
import { CUSTOMERS, eventually, idOf, LIMITS, type Machine, makeMachine, PASSWORD, snapshot } from './fixture.ts';

let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
});
afterEach(() => machine[Symbol.asyncDispose]());

async function inspect(): Promise<Inspection> {
  const { answer, refusal } = await machine.ask('inspect', {});
  if (!answer) throw new Error(refusal?.message);
  return answer;
}

describe('invariant 30: an inspection equals reality', () => {
  test('after two deploys', async () => {
    await machine.deploy(await machine.release(1));
    await machine.deploy(await machine.release(2));
    await machine.release(3);
    const found = await inspect();
    expect(found).toMatchObject({
      host: { customer: 'axe', ports: machine.ports },
      platform: `${process.platform}-${process.arch}`,
      live: 'green',
      releases: [1, 2, 3].map(idOf),
      proxy: { status: 200, slot: 'green', release: idOf(2) },
      history: await machine.history(),
      envNames: ['AXE_ENTRA_CLIENT_SECRET', 'FRAME_CUSTOMER', 'FRAME_DATABASE_URL'],
    });
    for (const [slot, number] of [['blue', 1] as const, ['green', 2] as const]) {
      const { pid, ...state } = found.slots[slot];
      const body = expect.objectContaining({ slot, release: idOf(number) });
      expect(state).toEqual({ release: idOf(number), held: false, ready: { status: 200, body } });
      expect(pid).toBe(machine.supervisor.pid(slot));
      const { stdout } = await promisify(execFile)('ps', ['-ww', '-o', 'command=', '-p', `${pid}`]);
      expect(stdout).toContain(`${idOf(number)}/src/main.ts serve`);
    }
    expect(found.files.customers).toBe(createHash('sha256').update(CUSTOMERS).digest('hex'));
    expect(found.files).toMatchObject({ 'run-slot': expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(found.files.caddyfile).toBeUndefined();
    expect(found.disk.freeBytes).toBeGreaterThan(0);
    expect(found.disk.totalBytes).toBeGreaterThan(found.disk.freeBytes);
    expect(found.lock).toBeUndefined();
    expect(JSON.stringify(found)).not.toContain(PASSWORD);
  });

  test('before the first deploy', async () => {
    const found = await inspect();
    expect(found.live).toBeUndefined();
    expect(found.slots.green).toMatchObject({ held: false, pid: machine.supervisor.pid('green') });
    expect(found).toMatchObject({ releases: [], history: [], proxy: { status: 503 } });
  });

  test('when nothing runs', async () => {
    await machine.deploy(await machine.release(1));
    await Promise.all([machine.supervisor.stop(), machine.proxy.stop()]);
    const found = await inspect();
    const log = [`starting ${idOf(1)} in blue with [REDACTED]`];
    expect(found.slots.blue).toEqual({ release: idOf(1), held: false, log });
    expect(found.proxy).toBeUndefined();
    expect(found.live).toBe('blue');
  });

  test('invariant 13: when the idle slot is dead, the live one is well', async () => {
    await machine.deploy(await machine.release(1));
    const limits = { ...LIMITS, gate: { answers: 1, seconds: 1 } };
    await machine.activate(await machine.release(2, { crash: 1 }), { limits });
    const { slots, proxy } = await inspect();
    expect(slots.green).toMatchObject({ release: idOf(2), held: true });
    expect(slots.green.ready).toBeUndefined();
    expect(slots.blue.ready).toMatchObject({ status: 200 });
    expect(proxy).toEqual({ status: 200, slot: 'blue', release: idOf(1) });
  });

  test('while somebody works, and after somebody died', async () => {
    const id = await machine.release(1, { ready: 503 });
    const agent = machine.start('activate', { id, promote: true, customers: CUSTOMERS, limits: LIMITS });
    await agent.begins('gate');
    expect((await inspect()).lock).toMatchObject({ by: 'anna@laptop', verb: 'deploy', alive: true });
    agent.child.kill('SIGKILL');
    await agent.told;
    expect((await inspect()).lock).toMatchObject({ by: 'anna@laptop', verb: 'deploy', alive: false });
  });

  test('with a link that leads nowhere', async () => {
    await machine.deploy(await machine.release(1));
    for (const target of ['../slots/purple', '../../etc', '/']) {
      await rm(machine.layout.live, { force: true });
      await symlink(target, machine.layout.live);
      expect((await inspect()).live).toBeUndefined();
    }
  });
});

test('it changes nothing', async () => {
  await machine.deploy(await machine.release(1));
  const before = await snapshot(machine.layout);
  await inspect();
  expect(await snapshot(machine.layout)).toEqual(before);
});

test('whoever listens and says nothing does not keep it', async () => {
  await machine.supervisor.stop();
  const mute = createServer(() => {}).listen(machine.ports.blue, '127.0.0.1');
  await once(mute, 'listening');
  await machine.proxy.stop();
  const proxy = createServer(() => {}).listen(machine.ports.proxy, '127.0.0.1');
  await once(proxy, 'listening');
  const found = await inspect();
  expect(found.slots.blue.ready).toBeUndefined();
  expect(found.proxy).toEqual({ status: 0 });
  mute.close();
  proxy.close();
});

test('a machine that was never prepared says so', async () => {
  await rm(machine.layout.host);
  const { refusal, exit } = await machine.ask('inspect', {});
  expect([exit, refusal?.message]).toEqual([2, 'This machine is not prepared: state/host.json is missing.']);
});

test('a line of history that was cut off by a power failure spoils neither those before nor those after', async () => {
  await machine.deploy(await machine.release(1));
  const { history } = machine.layout;
  await writeFile(history, '{"at":"2026-', { flag: 'a' });
  await machine.deploy(await machine.release(2));
  expect(await machine.story()).toEqual(['ok - → 1', 'ok 1 → 2']);
});

test('lines of history that are none of ours are passed over', async () => {
  await machine.deploy(await machine.release(1));
  await writeFile(machine.layout.history, 'null\n[]\n12\n{"at":"x"}\n{"at":1,"by":2}\n', { flag: 'a' });
  await machine.deploy(await machine.release(2));
  expect(await machine.story()).toEqual(['ok - → 1', 'ok 1 → 2']);
  expect((await machine.ask('rollback', { limits: LIMITS })).answer).toMatchObject({ release: idOf(1) });
});

test('of a slot that shall run and is not ready, the last lines of its log are shown, without secrets', async () => {
  await machine.deploy(await machine.release(1));
  expect((await inspect()).slots.blue.log).toBeUndefined();
  await machine.behave(idOf(1), { ready: 503 });
  expect((await inspect()).slots.blue.log).toEqual([`starting ${idOf(1)} in blue with [REDACTED]`]);
});

test('a process that has the number of a slot by chance is not taken for it', async () => {
  await machine.supervisor.stop();
  await writeFile(machine.layout.slot('blue').pid, `${process.pid}\n`);
  await writeFile(join(machine.layout.slot('green').folder, 'pid'), 'x');
  await eventually(async () => (await inspect()).slots.blue.pid === undefined);
  expect((await inspect()).slots.green.pid).toBeUndefined();
});
