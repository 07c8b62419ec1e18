import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wishFor } from '../../src/operator/provision/wish.ts';
import { chooseCustomers, openDesk } from '../../src/operator/remote/whom.ts';
import { idOf, textOf } from './agent/fixture.ts';
import { everythingOn, type Fleet, makeFleet } from './remote/fleet.ts';

/** A machine that was provisioned and deployed to, as it should be. The tests make it drift, one after the other. */
let fleet: Fleet;
beforeAll(async () => {
  fleet = await makeFleet(['axe'], ['vacant']);
  await provision();
  await fleet.commit(1);
  await fleet.frame('deploy axe');
}, 120_000);
afterAll(() => fleet[Symbol.asyncDispose]());

/** What is said besides what is only worth knowing: on a test's machine much is. */
async function drifts(line = 'status axe'): Promise<{ exit: number; lines: string[] }> {
  const { exit, out } = await fleet.frame(line);
  const lines = out.split('\n');
  return { exit, lines: lines.filter((text, i) => /^ {2}\S/.test(text) && !text.startsWith('  note: ') && i > 0) };
}

describe('status', { timeout: 120_000 }, () => {
  test('no difference is 0, and looking changes nothing', async () => {
    const before = await everythingOn(fleet.machine('axe'));
    const { exit, out, err } = await fleet.frame('status axe');
    expect([exit, err]).toEqual([0, '']);
    expect(out).toMatch(/^axe: everything is as it should be\.$/m);
    expect(await everythingOn(fleet.machine('axe'))).toEqual(before);
  });

  test('git went on', async () => {
    await fleet.commit(2);
    expect(await drifts()).toEqual({
      exit: 1,
      lines: [`  Release ${idOf(1)} is live, but HEAD is ${idOf(2)}.`],
    });
    expect(await drifts('status axe --ref 1')).toEqual({ exit: 0, lines: [] });
    await fleet.frame('deploy axe --no-promote');
    expect((await fleet.frame('status axe')).out).toContain(
      `  Release ${idOf(1)} is live, but HEAD is ${idOf(2)}, which waits in green.\n      frame promote axe\n`,
    );
    await fleet.frame('promote axe');
    expect((await fleet.frame('status axe')).out).toContain(
      `  note: blue, the other slot, holds release ${idOf(1)}, which served before.\n      frame rollback axe`,
    );
  });

  test('customers.yaml was changed here, a file there', async () => {
    const file = join(fleet.folder, 'customers.yaml');
    const text = await textOf(file);
    const { caddyfile } = fleet.machine('axe').layout;
    const before = await textOf(caddyfile);
    await writeFile(file, text.replace('name: axe', 'name: AXE LLC'));
    await appendFile(caddyfile, '# by hand\n');
    const { exit, out } = await fleet.frame('status axe --json');
    expect(exit).toBe(1);
    const { result, drifts: found } = JSON.parse(out);
    expect(result).toBe('drift');
    expect(found.filter(({ kind }: { kind: string }) => kind === 'drift')).toEqual([
      {
        kind: 'drift',
        about: 'customers',
        sentence: "This customer's part of customers.yaml is another one there than here.",
        mend: ['frame deploy axe'],
      },
      {
        kind: 'drift',
        about: 'machine',
        sentence: 'proxy/Caddyfile is not as it should be; it would be changed.',
        mend: ['frame provision axe'],
      },
    ]);
    await writeFile(file, text);
    await writeFile(caddyfile, before);
    expect(await drifts()).toEqual({ exit: 0, lines: [] });
  });

  test('the other slot fell ill', async () => {
    const machine = fleet.machine('axe');
    await machine.behave(idOf(1), { ready: 503 });
    const { exit, lines } = await drifts();
    await machine.behave(idOf(1), {});
    expect({ exit, lines }).toEqual({
      exit: 1,
      lines: ['  blue, the other slot, answers 503 when asked whether it is ready.'],
    });
  });

  test('the history of the machine cannot write on this terminal', async () => {
    const evil = { at: '\x1b[2J', by: '\u202eanna', verb: 'deploy\r', result: 'interrupted', ms: 1 };
    await appendFile(fleet.machine('axe').layout.history, `${JSON.stringify(evil)}\n`);
    const { out } = await fleet.frame('status axe');
    expect(out).toContain('by \\u{202e}anna at \\x1b[2J, was interrupted.');
    for (const line of ['slot status axe', 'slot list', 'status axe --json', 'slot status axe --json']) {
      expect((await fleet.frame(line)).out).toMatch(/^[^\p{Cc}\p{Cf}]+$/mu);
    }
  });

  test('it is away: 2, and that is no difference', async () => {
    const { exit, out, err } = await fleet.frame('status vacant --json');
    expect(exit).toBe(2);
    expect(JSON.parse(out)).toMatchObject({ customer: 'vacant', result: 'unreachable' });
    expect(err).toMatch(/^vacant: unreachable: /);
  });

  test.each([
    ['status', 'A word is missing: <customer>.'],
    ['status ax', 'did you mean `axe`?'],
    ['status axe vacant', '`vacant` is one word too many.'],
    ['status axe --ref 9', 'axe: refused: There is no branch, tag or commit `9`.'],
    ['status axe --force', "Unknown option '--force'"],
  ])('wrong usage: %s', async (line, sentence) => {
    const { exit, out, err } = await fleet.frame(line);
    expect([exit, out]).toEqual([2, '']);
    expect(err).toContain(sentence);
  });
});

/** As `frame provision` asks for it; nobody looks for Postgres at the port of a test. */
async function provision(): Promise<void> {
  const io = {
    env: fleet.env,
    cwd: fleet.folder,
    out() {},
    err() {},
    status() {},
    stdin: Readable.from([]),
    isTerminal: false,
  };
  const desk = await openDesk(io, {});
  const [axe] = chooseCustomers(desk, ['axe']);
  if (!axe) throw new Error('There is no axe.');
  const { request } = await wishFor(axe, desk, { restartProxy: false, supervisor: 'none' }, {});
  const { refusal } = await fleet.machine('axe').ask('provision', request);
  if (refusal) throw new Error(refusal.message);
}
