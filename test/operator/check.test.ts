import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createCheckCommand } from '../../src/operator/commands/check.ts';
import { changed } from '../customers/fixture.ts';
import { makeFolder, run, TOOLS } from './fixture.ts';

const check = createCheckCommand(new Set(TOOLS.map(({ name }) => name)));

test('all is right: one line', async () => {
  await using folder = await makeFolder();
  expect(await run(check, folder.path)).toEqual({ exit: 0, out: 'ok: 2 customers, 3 entities, 4 roles', err: '' });
  expect(await run(check, folder.path, '', { FRAME_CUSTOMER: 'axe' })).toMatchObject({ exit: 0 });
});

test('all is right, as JSON', async () => {
  await using folder = await makeFolder();
  const { exit, out } = await run(check, folder.path, '--json');
  expect(exit).toBe(0);
  expect(JSON.parse(out)).toEqual({ ok: true, customers: 2, entities: 3, roles: 4, mistakes: [] });
});

test('every mistake of every place, with where it stands', async () => {
  await using folder = await makeFolder();
  await writeFile(
    join(folder.path, 'customers.yaml'),
    changed('role: admin', 'role: amdin', changed('    host:', '    hots:')),
  );
  await writeFile(join(folder.path, 'config/gateway.yaml'), 'http:\n  drain_second: 5\n');
  await writeFile(join(folder.path, 'config/deploy.yaml'), 'watch:\n  second: 5\n');
  const { exit, out, err } = await run(check, folder.path, '--slot red', { FRAME_LISTEN: 'x' });
  expect({ exit, err }).toEqual({ exit: 2, err: '' });
  expect(out.split('\n')).toEqual([
    'FRAME_LISTEN  write host:port, such as 127.0.0.1:3710',
    '--slot  write blue or green',
    'config/gateway.yaml:2:3  unknown key `drain_second`; did you mean `drain_seconds`?',
    'customers.yaml:5:5  unknown key `hots`; did you mean `host`?',
    'customers.yaml:16:37  config/roles.yaml has no role `amdin`; did you mean `admin`?',
    'config/deploy.yaml:2:3  unknown key `second`; did you mean `seconds`?',
  ]);
});

test('a canary that customers.yaml lacks; and a machine has no deploy.yaml at all', async () => {
  await using folder = await makeFolder();
  const file = join(folder.path, 'config/deploy.yaml');
  await writeFile(file, 'canary: nordwint\n');
  const sentence = 'config/deploy.yaml:1:9  customers.yaml has no customer `nordwint`; did you mean `nordwind`?';
  expect(await run(check, folder.path)).toMatchObject({ exit: 2, out: sentence });
  await rm(file);
  expect(await run(check, folder.path)).toMatchObject({ exit: 0 });
});

test('mistakes as JSON', async () => {
  await using folder = await makeFolder();
  await writeFile(join(folder.path, 'customers.yaml'), '');
  const { exit, out, err } = await run(check, folder.path, '--json');
  expect({ exit, err }).toEqual({ exit: 2, err: '' });
  expect(JSON.parse(out)).toEqual({
    ok: false,
    mistakes: [{ file: 'customers.yaml', line: 1, column: 1, sentence: 'the file is empty' }],
  });
});

test('roles that cannot be read do not make every rule a mistake', async () => {
  await using folder = await makeFolder();
  await rm(join(folder.path, 'config/roles.yaml'));
  expect(await run(check, folder.path)).toMatchObject({ exit: 2, out: 'config/roles.yaml  there is no such file' });
});

test('a role with a tool that does not exist', async () => {
  await using folder = await makeFolder();
  const file = join(folder.path, 'config/roles.yaml');
  await writeFile(file, (await readFile(file, 'utf8')).replace('- plan_change', '- plan_chang'));
  expect((await run(check, folder.path)).out).toMatch(/^config\/roles\.yaml:\d+:9 {2}there is no tool `plan_chang`/);
});

test('a pin to a customer that is not there', async () => {
  await using folder = await makeFolder();
  const sentence = 'FRAME_CUSTOMER  customers.yaml has no customer `ax`; did you mean `axe`?';
  expect(await run(check, folder.path, '', { FRAME_CUSTOMER: 'ax' })).toMatchObject({ exit: 2, out: sentence });
});

test('files elsewhere are read by flag and by variable', async () => {
  await using folder = await makeFolder();
  await using elsewhere = await makeFolder();
  await rm(join(folder.path, 'customers.yaml'));
  expect(await run(check, folder.path)).toMatchObject({ exit: 2, out: 'customers.yaml  there is no such file' });
  const file = join(elsewhere.path, 'customers.yaml');
  expect(await run(check, folder.path, `--customers ${file}`)).toMatchObject({ exit: 0 });
  expect(await run(check, folder.path, '', { FRAME_CUSTOMERS: file, FRAME_CONFIG: 'config' })).toMatchObject({
    exit: 0,
  });
});
