import { rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { CUSTOMERS, idOf, LIMITS, type Machine, makeMachine, snapshot, textOf } from './fixture.ts';

/** One machine for all: a refusal changes nothing. What a test breaks itself is mended behind it. */
let machine: Machine;
let whole: Record<'host' | 'env', string>;
let number = 1;
beforeAll(async () => {
  machine = await makeMachine();
  await machine.deploy(await machine.release(number, { breaking: 4 }));
  whole = { host: await textOf(machine.layout.host), env: await textOf(machine.layout.env) };
});
afterEach(async () => {
  for (const name of ['host', 'env'] as const) await writeFile(machine.layout[name], whole[name]);
});
afterAll(() => machine[Symbol.asyncDispose]());

const fresh = (breaking = 4) => machine.release(++number, { breaking });

async function expectRefused(
  id: string,
  message: RegExp | string,
  changes: Parameters<Machine['activate']>[1] = {},
): Promise<void> {
  const { 'state/history.ndjson': _, ...before } = await snapshot(machine.layout);
  const told = await machine.activate(id, changes);
  expect(told.refusal).toMatchObject({ code: 'deploy/refused', exit: 2, message: expect.stringMatching(message) });
  expect(told.exit).toBe(2);
  const { 'state/history.ndjson': __, ...after } = await snapshot(machine.layout);
  expect(after).toEqual(before);
  expect((await machine.history()).at(-1)).toMatchObject({ result: 'refused' });
}

test.each(['20261120T100999Z-0000999', '../../etc', '', '.', 'x\n', '$(reboot)', `${idOf(1)}.partial`])(
  'a release that is not here: %j',
  id => expectRefused(id, 'is not on this machine'),
);

test('a release whose folder says that it is another one', async () => {
  await symlink(await fresh(), machine.layout.release(idOf(500)));
  await expectRefused(idOf(500), 'is not on this machine');
});

test('a release that is not whole', async () => {
  const id = await fresh();
  await rm(join(machine.layout.release(id), 'src/main.ts'));
  await expectRefused(id, 'src/main.ts is missing');
});

test('a release for another kind of machine', async () => {
  const id = await fresh();
  const file = join(machine.layout.release(id), 'release.json');
  await writeFile(file, (await textOf(file)).replace(`${process.platform}-`, 'plan9-'));
  await expectRefused(id, 'is for plan9-');
});

test('on a disk that is too full', async () => {
  const limits = { ...LIMITS, minFreeMegabytes: 1e12 };
  await expectRefused(await fresh(), /^Only \d+ MB are free/, { limits });
});

test.each(['env', 'host'] as const)('on a machine that was never prepared: without %s', async name => {
  const id = await fresh();
  await rm(machine.layout[name]);
  await expectRefused(id, /^This machine is not prepared: (shared\/env|state\/host\.json) is missing\.$/);
});

test.each([
  '',
  'null',
  '[]',
  '{"customer":',
  '{"customer":"axe"}',
  '{"customer":"axe","supervisor":"none","ports":{}}',
])('on a machine of which %j is all that is written down', async text => {
  const id = await fresh();
  await writeFile(machine.layout.host, text);
  await expectRefused(id, 'state/host.json is not what `frame provision` wrote there.');
});

test.each([
  ['no database', 'FRAME_CUSTOMER=axe\n', 'FRAME_DATABASE_URL'],
  ['another customer', 'FRAME_CUSTOMER=nordwind\nFRAME_DATABASE_URL=postgres://x\n', 'FRAME_CUSTOMER=axe'],
  ['nobody', 'FRAME_DATABASE_URL=postgres://x\n', 'FRAME_CUSTOMER=axe'],
])('on a machine whose shared/env names %s', async (_, env, lacking) => {
  const id = await fresh();
  await writeFile(machine.layout.env, env);
  await expectRefused(id, `shared/env on this machine lacks ${lacking}.`);
  // Neither may a slot be started with it that has to go back.
  expect((await machine.ask('rollback', { to: id, limits: LIMITS })).refusal?.message).toContain(lacking);
});

test('a customers.yaml that the new release does not accept, with every mistake', async () => {
  const customers = `${CUSTOMERS}broken\n`;
  await expectRefused(await fresh(), /\ncustomers\.yaml:6:1 {2}this line is broken$/, { customers });
});

test('invariant 26: a release that lacks a breaking migration of the database', async () => {
  await expectRefused(await fresh(3), 'has the breaking migration 4');
});
