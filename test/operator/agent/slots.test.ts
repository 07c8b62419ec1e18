import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Layout, layoutOf, SLOTS } from '../../../src/operator/agent/layout.ts';
import { flip, hold, letGo, liveSlot, releaseOf, relink } from '../../../src/operator/agent/slots.ts';
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
