import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually, idOf, type Machine } from './agent/fixture.ts';
import { deployYaml, type Fleet, freeze, makeFleet, thaw, untilGate } from './remote/fleet.ts';

/** The laptop's side as a process of its own, which leaves in the middle. */
let fleet: Fleet;
let machine: Machine;
beforeEach(async () => {
  fleet = await makeFleet(['axe']);
  machine = fleet.machine('axe');
  await fleet.write('config/deploy.yaml', deployYaml(join(fleet.folder, 'homes'), 'gate: { seconds: 90 }\n'));
});
afterEach(() => fleet[Symbol.asyncDispose]());

function deploy() {
  const program = join(import.meta.dirname, 'remote/frame-tiny.ts');
  const child = spawn(process.execPath, [program, join(fleet.folder, 'releases'), 'deploy', 'axe'], {
    cwd: fleet.folder,
    env: { PATH: process.env.PATH, ...fleet.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let err = '';
  child.stderr.setEncoding('utf8').on('data', text => {
    err += text;
  });
  return { child, closed: once(child, 'close'), err: () => err };
}

describe('whoever leaves in the middle', { timeout: 120_000 }, () => {
  test('with Ctrl-C: hears that the machine goes on by itself, and it does', async () => {
    await fleet.commit(1);
    await freeze(machine);
    const { child, closed, err } = deploy();
    await untilGate(machine);
    child.kill('SIGINT');
    expect((await closed)[0]).toBe(130);
    expect(err()).toMatch(
      /\nLeft\. axe brings this to its end by itself: `frame slot status axe` says what came of it\.\n$/,
    );

    await thaw(machine);
    await eventually(async () => (await machine.serving()) === idOf(1), 60_000);
    await eventually(async () => (await machine.story()).length === 1);
    expect(await machine.story()).toEqual(['ok - → 1']);
  });

  test('invariant 19: killed: the same command again finds somebody at work, and then that it is done', async () => {
    await fleet.commit(1);
    await freeze(machine);
    const { child, closed } = deploy();
    await untilGate(machine);
    child.kill('SIGKILL');
    await closed;
    expect(await fleet.frame('deploy axe')).toMatchObject({ exit: 75, err: expect.stringContaining('axe: locked: ') });
    const status = await fleet.frame('slot status axe');
    expect(status.out).toMatch(/^lock {6}deploy of \S+@\S+, \d+ s$/m);

    await thaw(machine);
    await eventually(async () => (await machine.story()).includes('ok - → 1'), 60_000);
    expect(await fleet.frame('deploy axe')).toMatchObject({ exit: 0, out: `axe: ${idOf(1)} is live on blue.` });
  });

  test('before anything is changing: nothing is, and nothing is begun any more', async () => {
    await fleet.commit(1);
    const { child, closed, err } = deploy();
    // The agent that the laptop brings along.
    await eventually(() => existsSync(machine.layout.agents), 30_000);
    child.kill('SIGINT');
    expect((await closed)[0]).toBe(130);
    expect(err()).toContain('Left. No machine was changing; the same command again goes on from here.');
    expect(err()).not.toContain('flip');
    expect(await machine.live()).toBeUndefined();
    expect(await machine.history()).toEqual([]);
  });
});
