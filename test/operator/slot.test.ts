import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { idOf, textOf } from './agent/fixture.ts';
import { everythingOn, type Fleet, makeFleet } from './remote/fleet.ts';

/** Axe serves its second release, nordwind has none yet, the machine of vacant is away. */
let fleet: Fleet;
beforeAll(async () => {
  fleet = await makeFleet(['axe', 'nordwind'], ['vacant']);
  await fleet.commit(1);
  await fleet.frame('deploy axe');
  await fleet.commit(2);
  await fleet.frame('deploy axe');
}, 180_000);
afterAll(() => fleet[Symbol.asyncDispose]());

describe('slot', { timeout: 120_000 }, () => {
  test('list: all on one screen, and one that is away hides nobody', async () => {
    const { exit, out, err } = await fleet.frame('slot list');
    expect(exit).toBe(2);
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^customer +slot +release +state$/),
      expect.stringMatching(new RegExp(`^axe +blue +${idOf(1)} +ready, pid \\d+$`)),
      expect.stringMatching(new RegExp(`^ {10}green \\* +${idOf(2)} +ready, pid \\d+$`)),
      expect.stringMatching(/^nordwind +blue +empty +waits for its first release$/),
      expect.stringMatching(/^ {10}green +empty +waits for its first release$/),
      expect.stringMatching(/^vacant {4,}unreachable: vacant-macmini cannot be reached/),
    ]);
    expect(err).toMatch(/^vacant: unreachable: .+\n {2}Is the machine on/);
  });

  test('list of some, as JSON', async () => {
    const { exit, out, err } = await fleet.frame('slot list axe vacant --json');
    expect(exit).toBe(2);
    expect(err).not.toBe('');
    expect(JSON.parse(out)).toMatchObject([
      {
        customer: 'axe',
        result: 'ok',
        found: { live: 'green', slots: { blue: { release: idOf(1) }, green: { release: idOf(2) } } },
      },
      { customer: 'vacant', result: 'unreachable', failure: { code: 'deploy/unreachable' } },
    ]);
  });

  test('status: one machine in detail, with what was done there', async () => {
    const { exit, out } = await fleet.frame('slot status axe');
    expect(exit).toBe(0);
    expect(out).toMatch(new RegExp(`^live {6}green: ${idOf(2)}$`, 'm'));
    expect(out).toMatch(new RegExp(`^proxy {5}port \\d+, 200 from green, ${idOf(2)}$`, 'm'));
    expect(out).toMatch(/^disk {6}\S+ GB free of \S+ GB$/m);
    expect(out).toMatch(/^lock {6}free$/m);
    expect(out).toMatch(new RegExp(`^ {2}\\S+Z {2}\\S+@\\S+ {2}deploy {2}ok {2}.+ m?s +${idOf(1)} → ${idOf(2)}$`, 'm'));
  });

  test('a slot that answers and could not write down its process is not called down', async () => {
    const { pid } = fleet.machine('axe').layout.slot('blue');
    const before = await textOf(pid);
    await writeFile(pid, '');
    const { out } = await fleet.frame('slot list axe');
    await writeFile(pid, before);
    expect(out).toMatch(new RegExp(`^axe +blue +${idOf(1)} +ready, of no known process$`, 'm'));
  });

  test('a new machine, where both slots are held, waits for its first release', async () => {
    const { hold } = fleet.machine('nordwind').layout.slot('blue');
    await writeFile(hold, '');
    const { exit, out } = await fleet.frame('slot list nordwind');
    await rm(hold);
    expect([exit, out]).toEqual([0, expect.stringMatching(/blue +empty +waits for its first release/)]);
  });

  test('cleanup: what no slot holds goes, but for the last; a dry run only says so', async () => {
    const machine = fleet.machine('axe');
    for (const number of [3, 4, 5, 6, 7]) await oldRelease(fleet, number);
    const before = await everythingOn(machine);
    const dry = await fleet.frame('slot cleanup axe --dry-run');
    expect(dry.exit).toBe(0);
    expect(dry.out).toMatch(new RegExp(`^axe: would remove releases/${idOf(3)}, .*; 2 releases stay\\.$`));
    expect(await everythingOn(machine)).toEqual(before);

    const { exit, out } = await fleet.frame('slot cleanup axe --json');
    expect(exit).toBe(0);
    const [cleaned] = JSON.parse(out);
    expect(cleaned).toMatchObject({ customer: 'axe', result: 'cleaned', kept: [idOf(1), idOf(2)] });
    expect(cleaned.removed).toContain(`releases/${idOf(7)}`);
    expect(await machine.serving()).toBe(idOf(2));
    expect(await fleet.frame('slot cleanup axe')).toMatchObject({
      exit: 0,
      out: 'axe: nothing to remove; 2 releases stay.',
    });
  });

  test.each([
    ['slot', 'A word is missing.'],
    ['slot lst', '`slot lst` is nothing that can be done; did you mean `list`?'],
    ['slot axe', '`slot axe` is nothing that can be done.'],
    ['slot list --force', '`slot list` changes nothing: it takes neither --force nor --dry-run.'],
    ['slot status ax', 'customers.yaml has no customer `ax`; did you mean `axe`?'],
  ])('wrong usage: %s', async (line, sentence) => {
    const { exit, out, err } = await fleet.frame(line);
    expect([exit, out]).toEqual([2, '']);
    expect(err).toContain(`${sentence}\n\nUsage: frame slot`);
  });
});

/** One that was brought here long ago, and never used. */
async function oldRelease(fleet: Fleet, number: number): Promise<void> {
  const machine = fleet.machine('axe');
  const folder = machine.layout.release(await machine.release(number));
  await mkdir(join(folder, 'empty'));
  await utimes(folder, new Date(0), new Date(0));
}
