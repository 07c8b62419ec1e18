import { rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually, idOf, PASSWORD, startTraffic, textOf } from './agent/fixture.ts';
import {
  customersYaml,
  deployYaml,
  everythingOn,
  type Fleet,
  freeze,
  makeFleet,
  thaw,
  untilGate,
} from './remote/fleet.ts';

/** Real ssh to real machines with real agents, slots and proxies; only the releases are tiny. */
let fleet: Fleet;
afterEach(() => fleet[Symbol.asyncDispose]());

/** Step and how it ended, of the lines on standard error. */
function stepsIn(err: string, customer = 'axe'): string[] {
  const lines = err.matchAll(new RegExp(`^${customer} +([a-z]+) +(\\S+)`, 'gm'));
  return [...lines].map(([, step, took = '']) => (/^\d/.test(took) ? `${step}` : `${step} ${took}`));
}

describe('one customer', { timeout: 120_000 }, () => {
  beforeEach(async () => {
    fleet = await makeFleet(['axe']);
  });

  test('a release is built, sent, proven and live; the next one comes into the other slot', async () => {
    await fleet.write('customers.yaml', `${await textOf(join(fleet.folder, 'customers.yaml'))}\n# of all companies\n`);
    await fleet.commit(1);
    const first = await fleet.frame('deploy axe');
    expect(first).toMatchObject({ exit: 0, out: `axe: ${idOf(1)} is live on blue.` });
    expect(stepsIn(first.err)).toEqual([
      ...['connect', 'build', 'upload', 'preflight', 'check', 'customers', 'migrate', 'hold', 'link', 'start'],
      ...['gate', 'flip', 'verify', 'watch skipped', 'settle'],
    ]);
    await fleet.commit(2);
    const second = await fleet.frame('deploy axe');
    expect(second).toMatchObject({ exit: 0, out: `axe: ${idOf(2)} is live on green; before: ${idOf(1)} on blue.` });
    const machine = fleet.machine('axe');
    expect(await machine.serving()).toBe(idOf(2));
    expect(await machine.history()).toMatchObject(Array(2).fill({ by: expect.stringMatching(/^.+@.+$/) }));
    const text = await textOf(machine.layout.customers);
    expect(text).toMatch(/client_secret: \$\{AXE_ENTRA_CLIENT_SECRET\}/);
    expect(text).not.toContain('#');
  });

  test('--json: one document, with every step; the lines stay on standard error', async () => {
    await fleet.commit(1);
    const { exit, out, err } = await fleet.frame('deploy axe --json --no-promote');
    expect(exit).toBe(0);
    expect(stepsIn(err)).toContain('gate');
    expect(JSON.parse(out)).toEqual({
      release: idOf(1),
      commit: '1'.padStart(40, '0'),
      customers: [
        {
          customer: 'axe',
          result: 'staged',
          exit: 0,
          ms: expect.any(Number),
          live: 'blue',
          release: idOf(1),
          promoted: false,
          steps: expect.arrayContaining([
            { step: 'gate', state: 'done', ms: expect.any(Number), note: expect.any(String) },
          ]),
        },
      ],
    });
    expect(await fleet.machine('axe').live()).toBeUndefined();
  });

  test('--dry-run says every step and leaves the machine as it was', async () => {
    await fleet.commit(1);
    await fleet.frame('deploy axe');
    await fleet.commit(2);
    const before = await everythingOn(fleet.machine('axe'));
    const { exit, out, err } = await fleet.frame('deploy axe --dry-run');
    expect([exit, out]).toEqual([0, 'axe: nothing was changed.']);
    expect(stepsIn(err)).toEqual(
      expect.arrayContaining(['build planned', 'upload planned', 'migrate planned', 'gate planned', 'flip planned']),
    );
    expect(await everythingOn(fleet.machine('axe'))).toEqual(before);
  });

  test('invariant 8: a release that never gets ready is 20, shows its log, and nobody notices', async () => {
    await fleet.commit(1);
    await fleet.frame('deploy axe');
    await using traffic = startTraffic(fleet.machine('axe'));
    await fleet.commit(2, { crash: 3 });
    const { exit, out, err } = await fleet.frame('deploy axe');
    expect([exit, out]).toEqual([20, '']);
    expect(stepsIn(err)).toContain('gate failed');
    expect(err).toMatch(
      /^axe {2}the last lines of the log of green:\n( {2}\| .*\n)* {2}\| Error: something is missing$/m,
    );
    expect(err).toMatch(/^axe: gate failed: .+\n {2}.*Traffic never moved/m);
    expect(await fleet.machine('axe').serving()).toBe(idOf(1));
    expect(traffic.failures).toEqual([]);
  });

  test('invariant 10: one that is worse once it serves is 21, and the one before serves again', async () => {
    await fleet.commit(1);
    await fleet.frame('deploy axe');
    // It is waited for as long as that, every time.
    await fleet.write('config/deploy.yaml', deployYaml(join(fleet.folder, 'homes'), 'verify: { seconds: 1 }\n'));
    await fleet.commit(2, { open: 200 });
    const { exit, err } = await fleet.frame('deploy axe --json');
    expect(exit).toBe(21);
    expect(err).toMatch(/^axe: reverted: /m);
    expect(await fleet.machine('axe').serving()).toBe(idOf(1));
    expect(await fleet.machine('axe').story()).toEqual(['ok - → 1', 'reverted 1 → 2']);
  });

  test('invariant 38: no secret of the machine comes here, or into its history', async () => {
    await fleet.commit(1, { migrate: 1 });
    const { exit, out, err } = await fleet.frame('deploy axe');
    await fleet.commit(2, { crash: 1 });
    const second = await fleet.frame('deploy axe --json');
    expect([exit, second.exit]).toEqual([1, 20]);
    const history = await textOf(fleet.machine('axe').layout.history);
    for (const said of [out, err, second.out, second.err, history]) {
      for (const secret of [PASSWORD, decodeURIComponent(PASSWORD), 's3cret-of-axe'])
        expect(said).not.toContain(secret);
    }
  });

  test('invariants 17 and 18: where somebody works it is 75, naming whom; --force takes the lock', async () => {
    const machine = fleet.machine('axe');
    const holder = machine.start('activate', {
      id: await machine.release(7, { migrate: 'hangs' }),
      promote: true,
      customers: await textOf(machine.layout.customers),
      limits: { ...LIMITS_OF_HOLDER },
    });
    await holder.begins('migrate');
    await fleet.commit(1);
    const refused = await fleet.frame('deploy axe');
    expect(refused.exit).toBe(75);
    expect(refused.err).toMatch(/^axe: locked: anna@laptop holds the lock of this machine: `deploy`, for \d+ s/m);

    const forced = await fleet.frame('deploy axe --force');
    expect(forced).toMatchObject({ exit: 0, out: `axe: ${idOf(1)} is live on blue.` });
    expect(forced.err).toMatch(/^axe {2}warning: .*deploy.* of anna@laptop/m);
    holder.child.kill('SIGKILL');
    await holder.told;
  });

  test('invariants 19, 20, 22 and 23: a lost connection is not a failed deploy, and the machine goes on', async () => {
    await fleet.write('config/deploy.yaml', deployYaml(join(fleet.folder, 'homes'), 'gate: { seconds: 90 }\n'));
    const id = await fleet.commit(1);
    const machine = fleet.machine('axe');
    await freeze(machine);
    const deploy = fleet.frame('deploy axe');
    await untilGate(machine);
    await fleet.sshd.drop();
    const { exit, err } = await deploy;
    expect(exit).toBe(2);
    expect(err).toMatch(/^axe: unreachable: .+\n {2}The machine brings this to its end by itself\./m);
    expect(err).toContain('`frame slot status axe` says it');

    await thaw(machine);
    await eventually(async () => (await machine.serving()) === id, 60_000);
    const again = await fleet.frame('deploy axe');
    expect(again).toMatchObject({ exit: 0, out: `axe: ${id} is live on blue.` });
    // Invariant 22: the same release a second time is neither sent nor staged.
    expect(again.err).toMatch(/^axe {2}upload .* it is there$/m);
    expect(stepsIn(again.err)).toContain('stage skipped');
  });

  test('a slip in `host` sends nothing to another company’s machine', async () => {
    await fleet.commit(1);
    const { layout, ports } = fleet.machine('axe');
    await writeFile(layout.host, JSON.stringify({ customer: 'nordwind', ports, supervisor: 'none' }));
    const before = await everythingOn(fleet.machine('axe'));
    const { exit, err } = await fleet.frame('deploy axe');
    expect(exit).toBe(2);
    expect(err).toContain('axe: refused: The machine axe-macmini was provisioned for `nordwind`, not for `axe`.');
    expect(await everythingOn(fleet.machine('axe'))).toEqual(before);
  });

  test('a machine that was never provisioned is told as that', async () => {
    await fleet.commit(1);
    await unlink(join(fleet.folder, 'homes/axe'));
    const { exit, err } = await fleet.frame('deploy axe');
    expect(exit).toBe(2);
    expect(err).toMatch(/^axe: refused: .+\n {2}.*frame provision axe/m);
  });

  test('a build that fails is 1, and the machine hears nothing of it', async () => {
    const id = await fleet.commit(1);
    await rm(join(fleet.folder, 'releases', id, 'release.json'));
    const { exit, err } = await fleet.frame('deploy axe');
    expect(exit).toBe(1);
    expect(stepsIn(err)).toEqual(['connect', 'build failed']);
    expect(await fleet.machine('axe').history()).toEqual([]);
  });

  describe('wrong usage and configuration: 2, before anything is begun', () => {
    test.each([
      ['deploy', 'Name a customer, or say --all.'],
      ['deploy axe --all', 'Name customers, or say --all: not both.'],
      ['deploy ax', 'customers.yaml has no customer `ax`; did you mean `axe`?'],
      ['deploy axe constructor', 'customers.yaml has no customer `constructor`.'],
      ['deploy axe --ref 8', 'There is no branch, tag or commit `8`.'],
      ['deploy axe --ref', "Option '--ref <value>' argument missing"],
      ['deploy axe --dryrun', "Unknown option '--dryrun'; did you mean `--dry-run`?"],
    ])('%s', async (line, sentence) => {
      await fleet.commit(1);
      const { exit, out, err } = await fleet.frame(line);
      expect([exit, out]).toEqual([2, '']);
      expect(err).toContain(sentence);
      expect(await fleet.machine('axe').history()).toEqual([]);
    });

    test('with --json, a commit that is not there is a document too', async () => {
      await fleet.commit(1);
      const { exit, out, err } = await fleet.frame('deploy axe --ref 8 --json');
      expect(exit).toBe(2);
      expect(err).toContain('There is no branch, tag or commit `8`.');
      expect(JSON.parse(out)).toEqual({
        release: null,
        commit: null,
        failure: { code: 'deploy/refused', message: 'There is no branch, tag or commit `8`.' },
        customers: [{ customer: 'axe', result: 'untouched', exit: 0, ms: 0, steps: [] }],
      });
    });

    test('a customer that --customer leaves out', async () => {
      await fleet.write('customers.yaml', customersYaml(['axe', 'nordwind']));
      for (const line of ['deploy axe --customer nordwind', 'rollback axe --customer nordwind']) {
        const { exit, err } = await fleet.frame(line);
        expect(exit).toBe(2);
        expect(err).toContain('`axe` was named, but --customer or FRAME_CUSTOMER says `nordwind`.');
      }
    });

    test('a customer without a host', async () => {
      await fleet.write(
        'customers.yaml',
        (await textOf(join(fleet.folder, 'customers.yaml'))).replace(/ +host:.*\n/, ''),
      );
      for (const [line, sentence] of [
        ['deploy axe', '`axe` has no `host` in customers.yaml: add the ssh destination of its machine.'],
        ['deploy --all', 'No customer has a `host` in customers.yaml, so there is no machine to speak to.'],
      ] as const) {
        const { exit, err } = await fleet.frame(line);
        expect(exit).toBe(2);
        expect(err).toContain(sentence);
      }
    });

    test('mistakes in the files', async () => {
      await fleet.write('config/deploy.yaml', 'home: ~/frame\nwatch: { second: 1 }\n');
      const { exit, err } = await fleet.frame('deploy axe');
      expect(exit).toBe(2);
      expect(err).toMatch(/^config\/deploy\.yaml:1:7 .*\nconfig\/deploy\.yaml:2:10 {2}unknown key `second`/);
    });
  });
});

describe('--all', { timeout: 120_000 }, () => {
  beforeEach(async () => {
    fleet = await makeFleet(['axe', 'nordwind', 'studio'], ['vacant']);
    await fleet.write('config/deploy.yaml', deployYaml(join(fleet.folder, 'homes'), 'canary: nordwind\n'));
  });

  test('the canary goes first and alone; what fails afterwards ends it, and the table says how everybody is', async () => {
    await fleet.write('customers.yaml', customersYaml(['axe', 'nordwind', 'studio', 'vacant'], ['newcomer']));
    await fleet.commit(1);
    const { exit, out, err } = await fleet.frame('deploy --all');
    expect(exit).toBe(2);
    expect(err).toContain('Left out, for want of a host in customers.yaml: newcomer.');
    const begun = [...err.matchAll(/^(\w+) +connect/gm)].map(([, customer]) => customer);
    expect(begun[0]).toBe('nordwind');
    expect(err.indexOf('nordwind  settle')).toBeLessThan(err.indexOf('axe       connect'));
    expect(err).toMatch(/^vacant: unreachable: vacant-macmini cannot be reached/m);
    expect(out.split('\n')).toEqual([
      expect.stringMatching(/^customer {2}result {7}serves +took$/),
      expect.stringMatching(new RegExp(`^nordwind {2}live {9}${idOf(1)} on blue +[\\d.]+ m?s$`)),
      expect.stringMatching(/^axe {7}live /),
      expect.stringMatching(/^studio {4}live /),
      expect.stringMatching(/^vacant {4}unreachable {3,}[\d.]+ m?s$/),
    ]);
  });

  test('invariant 28: when the canary fails, nobody else is touched, and that is said', async () => {
    await fleet.commit(1, { crash: 1 });
    const { exit, out, err } = await fleet.frame('deploy --all --json');
    expect(exit).toBe(20);
    expect(err).toContain('Nothing was begun at axe, studio, and vacant.');
    expect(JSON.parse(out).customers).toMatchObject([
      { customer: 'nordwind', result: 'gate-failed', exit: 20, failure: { code: 'deploy/gate-failed' } },
      { customer: 'axe', result: 'untouched', steps: [] },
      { customer: 'studio', result: 'untouched', steps: [] },
      { customer: 'vacant', result: 'untouched', steps: [] },
    ]);
    for (const other of ['axe', 'studio']) expect(await fleet.machine(other).history()).toEqual([]);
  });
});

const LIMITS_OF_HOLDER = {
  gate: { answers: 1, seconds: 5 },
  stopSeconds: 5,
  migrateSeconds: 60,
  verify: { answers: 1, seconds: 5 },
  watch: { seconds: 0, errorPoints: 2, latencyFactor: 3, minRequests: 20 },
  minFreeMegabytes: 1,
};
