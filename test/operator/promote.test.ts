import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { idOf } from './agent/fixture.ts';
import { deployYaml, everythingOn, type Fleet, makeFleet } from './remote/fleet.ts';

let fleet: Fleet;
beforeEach(async () => {
  fleet = await makeFleet(['axe'], ['vacant']);
});
afterEach(() => fleet[Symbol.asyncDispose]());

describe('promote and rollback', { timeout: 180_000 }, () => {
  test('what was staged takes over; back; and forward again', async () => {
    await fleet.commit(1);
    await fleet.frame('deploy axe');
    await fleet.commit(2);
    const staged = await fleet.frame('deploy axe --no-promote');
    const waits = `axe: ${idOf(2)} waits, proven, while ${idOf(1)} serves on blue. \`frame promote axe\` lets it take over.`;
    expect(staged).toMatchObject({ exit: 0, out: waits });
    const machine = fleet.machine('axe');
    expect(await machine.serving()).toBe(idOf(1));

    const before = await everythingOn(machine);
    const dry = await fleet.frame('promote axe --dry-run');
    expect(dry).toMatchObject({ exit: 0, out: 'axe: nothing was changed.' });
    expect(dry.err).toMatch(/^axe {2}flip +planned {2}blue → green$/m);
    expect(await everythingOn(machine)).toEqual(before);

    const promoted = await fleet.frame('promote axe');
    expect(promoted).toMatchObject({ exit: 0, out: `axe: ${idOf(2)} is live on green; before: ${idOf(1)} on blue.` });
    expect(promoted.err).not.toMatch(/goes back/);
    const again = await fleet.frame('promote axe --dry-run');
    expect(again.err).toContain(`blue holds ${idOf(1)}, which served before: this goes back to it.`);
    const back = await fleet.frame('rollback axe --json');
    expect(JSON.parse(back.out)).toMatchObject({
      customer: 'axe',
      result: 'live',
      exit: 0,
      live: 'blue',
      release: idOf(1),
      previous: { slot: 'green', release: idOf(2) },
    });
    // Invariant 25: it was warm, so nothing was staged.
    expect(back.err).not.toMatch(/^axe {2}(hold|link|start) /m);
    expect(await fleet.frame('rollback axe')).toMatchObject({
      exit: 0,
      out: expect.stringContaining(`${idOf(2)} is live`),
    });
    expect(await machine.serving()).toBe(idOf(2));
    expect(await machine.story()).toEqual(['ok - → 1', 'staged 1 → 2', 'ok 1 → 2', 'ok 2 → 1', 'ok 1 → 2']);
  });

  test('what waits and has fallen ill is not promoted: 20', async () => {
    await fleet.commit(1);
    await fleet.frame('deploy axe');
    const second = await fleet.commit(2);
    await fleet.frame('deploy axe --no-promote');
    await fleet.machine('axe').behave(second, { ready: 503 });
    await fleet.write('config/deploy.yaml', deployYaml(join(fleet.folder, 'homes'), 'gate: { seconds: 1 }\n'));
    const { exit, out, err } = await fleet.frame('promote axe');
    expect([exit, out]).toEqual([20, '']);
    expect(err).toMatch(/^axe: gate failed: /m);
    expect(await fleet.machine('axe').serving()).toBe(idOf(1));
  });

  test('there is nothing to promote, and nothing to go back to: 2', async () => {
    await fleet.commit(1);
    const early = await fleet.frame('promote axe');
    expect(early.exit).toBe(2);
    expect(early.err).toMatch(/^axe: refused: There is nothing to promote in blue/m);
    await fleet.frame('deploy axe');
    const back = await fleet.frame('rollback axe');
    expect(back.exit).toBe(2);
    expect(back.err).toMatch(/^axe: refused: The history knows no release before/m);
    const astray = await fleet.frame('rollback axe --to 20200101T000000Z-0000000');
    expect(astray.exit).toBe(2);
    expect(astray.err).toMatch(/^axe: refused: /m);
  });

  test('a machine that is not there is unreachable, and nothing else is said of it', async () => {
    for (const line of ['promote vacant --json', 'rollback vacant --json']) {
      const { exit, out, err } = await fleet.frame(line);
      expect(exit).toBe(2);
      expect(JSON.parse(out)).toMatchObject({ result: 'unreachable', failure: { code: 'deploy/unreachable' } });
      expect(err).toMatch(/^vacant: unreachable: vacant-macmini cannot be reached: .+\n {2}Is the machine on/m);
    }
  });

  test.each([
    ['promote', 'A word is missing: <customer>.'],
    ['promote axe axe', '`axe` is one word too many.'],
    ['promote ax', 'customers.yaml has no customer `ax`; did you mean `axe`?'],
    ['promote axe --to x', "Unknown option '--to'"],
    ['rollback', 'A word is missing: <customer>.'],
    ['rollback axe --too x', "Unknown option '--too'; did you mean `--to`?"],
    ['rollback axe --to', "Option '--to <value>' argument missing"],
  ])('wrong usage: %s', async (line, sentence) => {
    const { exit, out, err } = await fleet.frame(line);
    expect([exit, out]).toEqual([2, '']);
    expect(err).toContain(`${sentence}`);
    expect(err).toContain('\n\nUsage: frame ');
  });
});
