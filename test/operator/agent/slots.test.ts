import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readlink, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Layout, layoutOf, SLOTS } from '../../../src/operator/agent/layout.ts';
import { flip, hold, letGo, liveSlot, releaseOf, relink, runnerOf } from '../../../src/operator/agent/slots.ts';
import { freePorts } from '../../support/frame-process.ts';

let layout: Layout;
beforeEach(async () => {
  layout = layoutOf(await mkdtemp(join(tmpdir(), 'frame-slots-')));
  await mkdir(join(layout.home, 'state'));
  for (const slot of SLOTS) {
    await mkdir(layout.slot(slot).folder, { recursive: true });
    await writeFile(layout.slot(slot).marker, slot);
  }
});
afterEach(() => rm(layout.home, { recursive: true, force: true }));

test('invariant 5: whoever looks during a thousand flips sees one slot or the other, also when flippers are killed', {
  timeout: 120_000,
}, async () => {
  await flip(layout, 'blue');
  const seen = new Set<string>();
  let isOver = false;
  const reader = (async () => {
    while (!isOver) seen.add(await readlink(layout.live).catch(thrown => String(thrown)));
  })();
  for (let round = 0; round < 4; round += 1) {
    const flipper = spawn(process.execPath, [join(import.meta.dirname, 'flipper.ts'), layout.home]);
    let flips = 0;
    while (flips < 250)
      flips = Number(
        String((await once(flipper.stdout, 'data'))[0])
          .trim()
          .split('\n')
          .at(-1),
      );
    flipper.kill('SIGKILL');
    await once(flipper, 'exit');
    expect(await liveSlot(layout)).toBeDefined();
  }
  isOver = true;
  await reader;
  expect([...seen].sort()).toEqual(['../slots/blue', '../slots/green']);
  // What a killed one left lying about is in nobody's way.
  await flip(layout, 'green');
  expect(await liveSlot(layout)).toBe('green');
});

test('no flip at all is no live slot', async () => {
  await flip(layout, 'blue');
  await flip(layout, undefined);
  expect(await liveSlot(layout)).toBeUndefined();
  await flip(layout, undefined);
});

describe('invariant 15: the release of a slot is changed', () => {
  test('only while the slot is held', async () => {
    await expect(relink(layout, 'blue', 'r1')).rejects.toThrow('blue is not held');
    await hold(layout, 'blue', await freePorts(), 1);
    await relink(layout, 'blue', 'r1');
    expect(await readlink(layout.slot('blue').release)).toBe('../../releases/r1');
    expect(await releaseOf(layout, 'blue')).toBe('r1');
    await letGo(layout, 'blue');
    await expect(relink(layout, 'blue', 'r2')).rejects.toThrow('blue is not held');
  });

  test('never while it serves', async () => {
    await hold(layout, 'blue', await freePorts(), 1);
    await flip(layout, 'blue');
    await expect(relink(layout, 'blue', 'r1')).rejects.toThrow('blue serves');
    expect(await releaseOf(layout, 'blue')).toBeUndefined();
  });

  test('also when somebody was killed in the middle of it', async () => {
    await hold(layout, 'blue', await freePorts(), 1);
    await symlink('nonsense', `${layout.slot('blue').release}.new`);
    await relink(layout, 'blue', 'r1');
    expect(await releaseOf(layout, 'blue')).toBe('r1');
  });
});

describe('the slot that serves', () => {
  test.each([
    ['with a slash at its end', () => '../slots/blue/'],
    ['by the whole path', () => layout.slot('blue').folder],
    ['in a roundabout way', () => '../state/../slots/./blue'],
  ])('is told however the link is written: %s', async (_, target) => {
    await symlink(target(), layout.live);
    expect(await liveSlot(layout)).toBe('blue');
  });

  test('is told when the home is a link, too', async () => {
    const home = `${layout.home}-link`;
    await symlink(layout.home, home);
    onTestFinished(() => rm(home));
    await flip(layout, 'green');
    expect(await liveSlot(layoutOf(home))).toBe('green');
  });

  test('is none when the link leads nowhere', async () => {
    await symlink('../slots/yellow', layout.live);
    expect(await liveSlot(layout)).toBeUndefined();
  });

  test.each([
    ['leads to no slot', () => symlink('../slots', layout.live)],
    ['leads to itself', () => symlink('live', layout.live)],
    ['is a folder', () => mkdir(layout.live)],
    ['is a file', () => writeFile(layout.live, 'blue')],
  ])('is not guessed when the link %s', async (_, put) => {
    await put();
    await expect(liveSlot(layout)).rejects.toMatchObject({ refusal: { code: 'deploy/refused', exit: 2 } });
    await expect(hold(layout, 'blue', await freePorts(), 1)).rejects.toThrow('state/live');
  });

  test('invariant 15: is never held', async () => {
    await symlink('../slots/blue/', layout.live);
    await expect(hold(layout, 'blue', await freePorts(), 1)).rejects.toThrow('blue serves');
    await hold(layout, 'green', await freePorts(), 1);
  });

  test('a release that is no link is not taken for none', async () => {
    await mkdir(layout.slot('blue').release);
    await expect(releaseOf(layout, 'blue')).rejects.toMatchObject({ refusal: { exit: 2 } });
  });
});

describe('a number that both slots have written down', () => {
  /** A process that looks like the gateway of this release. */
  async function startGateway(release: string) {
    const file = join(layout.release(release), 'src/main.ts');
    await mkdir(join(layout.release(release), 'src'), { recursive: true });
    await writeFile(file, 'console.log(1); setInterval(() => {}, 1000);');
    const child = spawn(process.execPath, [file, 'serve']);
    onTestFinished(() => void child.kill('SIGKILL'));
    // When it is spawned, its command line may still be empty.
    await once(child.stdout, 'data');
    return child;
  }

  /** After the machine was started again, blue's gateway got the number that green's had before. */
  async function writePid(pid: number | undefined): Promise<void> {
    await writeFile(layout.slot('green').pid, `${pid}\n`);
    await utimes(layout.slot('green').pid, 1, 1);
    await writeFile(layout.slot('blue').pid, `${pid}\n`);
  }

  test.each([
    ['runs another release', 'r2'],
    ['runs the same release, which began later', 'r1'],
  ])('is that of the slot that %s: to hold the other one does not end it', async (_, other) => {
    await symlink('../../releases/r1', layout.slot('blue').release);
    await symlink(`../../releases/${other}`, layout.slot('green').release);
    const { pid } = await startGateway('r1');
    await writePid(pid);
    expect(await runnerOf(layout, 'blue')).toMatchObject({ pid });
    expect(await runnerOf(layout, 'green')).toBeUndefined();
    await hold(layout, 'green', await freePorts(), 1);
    expect(await runnerOf(layout, 'blue')).toMatchObject({ pid });
  });

  test('is that of run-slot, which names its slot', async () => {
    await mkdir(join(layout.home, 'bin'));
    await writeFile(layout.runSlot, 'echo 1; while :; do sleep 1; done');
    const child = spawn('sh', [layout.runSlot, 'green', '1']);
    onTestFinished(() => void child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    await writePid(child.pid);
    expect(await runnerOf(layout, 'green')).toMatchObject({ pid: child.pid });
    expect(await runnerOf(layout, 'blue')).toBeUndefined();
  });
});
