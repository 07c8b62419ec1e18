import { existsSync } from 'node:fs';
import { mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { idOf, type Machine, makeMachine, snapshot } from './fixture.ts';

let machine: Machine;
beforeEach(async () => {
  machine = await makeMachine();
});
afterEach(() => machine[Symbol.asyncDispose]());

async function deploy(...numbers: number[]): Promise<void> {
  for (const number of numbers) await machine.deploy(await machine.release(number));
}

/** Nothing that was touched in the last hour is taken for rubbish. */
async function age(...path: string[]): Promise<void> {
  await utimes(join(machine.layout.home, ...path), 1000, 1000);
}

const releases = async () => (await readdir(machine.layout.releases)).sort();

describe('invariant 27: cleaning up', () => {
  test('leaves both slots and the last ones in the order of history', async () => {
    await deploy(5, 4, 3, 2, 1);
    for (const number of [1, 2, 3, 4, 5]) await age('releases', idOf(number));
    const told = await machine.ask('cleanup', { keep: 2 });
    expect(told.answer).toEqual({
      removed: [`releases/${idOf(5)}`],
      kept: [idOf(1), idOf(2), idOf(3), idOf(4)],
    });
    expect(await releases()).toEqual([1, 2, 3, 4].map(idOf));
    expect((await machine.ask('cleanup', { keep: 0 })).answer?.kept).toEqual([idOf(1), idOf(2)]);
    expect(await machine.serving()).toBe(idOf(1));
    expect((await machine.history()).at(-1)).toMatchObject({ verb: 'cleanup', result: 'ok', live: idOf(1) });
  });

  test('leaves a release that was uploaded yesterday, and takes one that nobody ever activated', async () => {
    await deploy(1);
    const [young, old] = [await machine.release(2), await machine.release(3)];
    await age('releases', old);
    const yesterday = Date.now() / 1000 - 86_400;
    await utimes(machine.layout.release(young), yesterday, yesterday);
    expect((await machine.ask('cleanup', { keep: 0 })).answer).toEqual({
      removed: [`releases/${old}`],
      kept: [idOf(1), young],
    });
  });

  test('removes uploads that were given up, whatever they are called, and those only', async () => {
    await deploy(1);
    const { layout } = machine;
    const names = ['old.partial', '$(touch gone).partial', '-rf .partial', "it's\n.partial"];
    for (const name of [...names, 'young.partial', 'somebody else', 'a.partial.txt']) {
      await mkdir(join(layout.releases, name, 'deep'), { recursive: true });
      await writeFile(join(layout.releases, name, 'deep/file'), '');
    }
    for (const name of [...names, 'somebody else', 'a.partial.txt']) await age('releases', name);
    const { answer } = await machine.ask('cleanup', { keep: 3 });
    expect(answer?.removed.sort()).toEqual(names.map(name => `releases/${name}`).sort());
    expect(await releases()).toEqual([idOf(1), 'a.partial.txt', 'somebody else', 'young.partial'].sort());
  });

  test('never follows a link', async () => {
    await deploy(1);
    const { layout } = machine;
    const outside = join(layout.home, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'release.json'), JSON.stringify({ release: idOf(7) }));
    await symlink(outside, layout.release(idOf(7)));
    await mkdir(join(layout.releases, 'x.partial'));
    await symlink(outside, join(layout.releases, 'x.partial/link'));
    await age('releases', 'x.partial');
    await machine.ask('cleanup', { keep: 0 });
    expect(existsSync(join(outside, 'release.json'))).toBe(true);
    expect(await releases()).toEqual([idOf(1), idOf(7)]);
  });

  test('keeps the newest three agents, and what is not of the kind', async () => {
    const { agents } = machine.layout;
    for (const [index, name] of ['aa', 'bb', 'cc', 'dd', 'ee', 'notes', 'ff.123-4', 'ab.9'].entries()) {
      await mkdir(join(agents, name), { recursive: true });
      await utimes(join(agents, name), 1000 + index, 1000 + index);
    }
    await mkdir(join(agents, 'ff.young'));
    const { answer } = await machine.ask('cleanup', { keep: 3 });
    expect(answer?.removed.sort()).toEqual(['agent/aa', 'agent/ab.9', 'agent/bb', 'agent/ff.123-4']);
  });

  test('in a dry run says what would go', async () => {
    await deploy(1, 2, 3);
    const before = await snapshot(machine.layout);
    const told = await machine.ask('cleanup', { keep: 0 }, { dryRun: true });
    expect(told.answer?.removed).toEqual([`releases/${idOf(1)}`]);
    expect(told.steps).toEqual(['remove planned']);
    expect(await snapshot(machine.layout)).toEqual(before);
  });

  test.each(['just', 'long ago'])('takes a release whose removal was begun %s and not ended', async when => {
    await deploy(1, 2, 3);
    const half = `${idOf(1)}.removed.partial`;
    await mkdir(join(machine.layout.releases, half, 'src'), { recursive: true });
    if (when === 'long ago') await age('releases', half);
    const { answer } = await machine.ask('cleanup', { keep: 0 });
    expect(answer?.removed).toContain(`releases/${idOf(1)}`);
    expect(await releases()).toEqual([idOf(2), idOf(3)]);
  });

  test('that was killed in the middle leaves no half release, and the next one takes the rest', async () => {
    await deploy(1, 2, 3);
    await machine.ask('cleanup', { keep: 0 }, { killAt: 'remove done' });
    const half = `${idOf(4)}.removed.partial`;
    await mkdir(join(machine.layout.releases, half, 'src'), { recursive: true });
    await age('releases', half);
    expect((await machine.ask('cleanup', { keep: 0 })).answer?.removed).toEqual([`releases/${half}`]);
    expect(await releases()).toEqual([idOf(2), idOf(3)]);
  });
});
