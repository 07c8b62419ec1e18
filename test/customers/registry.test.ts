import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Customers } from '../../src/customers/customer.ts';
import { openRegistry, type Registry, type RegistryOptions } from '../../src/customers/registry.ts';
import { WrongConfiguration } from '../../src/errors.ts';
import type { Observation } from '../../src/observe.ts';
import { changed, ROLES, TWO_CUSTOMERS } from './fixture.ts';

const NEVER_POLLS = 3_600_000;
const RENAMED = changed('name: AXE LLC\n', 'name: AXE Inc\n');

let folder: string;
let file: string;
let registry: Registry | undefined;
let observed: ReturnType<typeof collect>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frame-registry-'));
  file = join(folder, 'customers.yaml');
  observed = collect();
  await writeFile(file, TWO_CUSTOMERS);
});

afterEach(async () => {
  registry?.close();
  registry = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function open(options: Partial<RegistryOptions> = {}): Promise<Registry> {
  registry = await openRegistry({
    file,
    roles: ROLES,
    env: {},
    observe: observed.observe,
    pollMilliseconds: NEVER_POLLS,
    settleMilliseconds: 10,
    ...options,
  });
  return registry;
}

/** What was observed, and a way to wait for the next that was not asked for yet. */
function collect() {
  const all: Observation[] = [];
  const waiting: ((observation: Observation) => void)[] = [];
  let taken = 0;
  return {
    all,
    observe(observation: Observation): void {
      all.push(observation);
      const first = waiting.shift();
      if (!first) return;
      taken += 1;
      first(observation);
    },
    next(): Promise<Observation> {
      const observation = all[taken];
      if (!observation) return new Promise(resolve => waiting.push(resolve));
      taken += 1;
      return Promise.resolve(observation);
    },
  };
}

/** Beside it and renamed: a file that is written in place is empty first, and may be so for as long as it must rest. */
async function save(text: string | Uint8Array, as = file): Promise<void> {
  const draft = `${as}.swp`;
  await writeFile(draft, text);
  await rename(draft, as);
}

const nameOfAxe = (customers: Customers | undefined) => customers?.byId('axe')?.name;

test('F9: a file that is wrong from the start is not opened, and every mistake is told', async () => {
  await save(changed('role: admin', 'role: amdin', changed('    host:', '    hots:')));
  const failure = await open().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(WrongConfiguration);
  expect(failure).toMatchObject({
    mistakes: [
      { file, line: 5 },
      { file, line: 16 },
    ],
  });
});

test('a file that is missing from the start is not opened', async () => {
  await rm(file);
  await expect(open()).rejects.toThrow('there is no such file');
});

test('a change is taken up by itself, as a new value, and told', async () => {
  const changes: Customers[] = [];
  const { current } = await open({ onChange: customers => changes.push(customers) });
  const before = current();
  await save(RENAMED);
  expect(await observed.next()).toEqual({ kind: 'customers-reloaded', customers: 2 });
  expect(nameOfAxe(current())).toBe('AXE Inc');
  expect(nameOfAxe(before)).toBe('AXE LLC');
  expect(changes).toEqual([current()]);
});

test.each([
  ['broken', TWO_CUSTOMERS.replace('access:', 'access')],
  ['emptied', ''],
  ['cut off', TWO_CUSTOMERS.slice(0, 800)],
  ['all comments', '# customers\n'],
  ['without customers', 'customers: {}\n'],
  ['not text', Buffer.from([0x63, 0x3a, 0xff, 0xfe])],
  ['wrong in one customer only', changed('role: admin', 'role: amdin', RENAMED)],
])('F9: a file that is %s changes nothing; restored, it counts again', async (_, wrong) => {
  const { current } = await open();
  const before = current();
  await save(wrong);
  expect(await observed.next()).toMatchObject({ kind: 'customers-refused', mistakes: [{ file }] });
  expect(current()).toBe(before);
  await save(TWO_CUSTOMERS);
  expect(await observed.next()).toEqual({ kind: 'customers-reloaded', customers: 2 });
  expect(current().all).toEqual(before.all);
});

test('F9: a file that is removed changes nothing; written anew, it counts again', async () => {
  const { current } = await open();
  await rm(file);
  expect(await observed.next()).toMatchObject({ mistakes: [{ file, sentence: 'there is no such file' }] });
  expect(nameOfAxe(current())).toBe('AXE LLC');
  await save(RENAMED);
  expect(await observed.next()).toMatchObject({ kind: 'customers-reloaded' });
  expect(nameOfAxe(current())).toBe('AXE Inc');
});

test('an atomic rename is noticed, and so is the one after it', async () => {
  const { current } = await open();
  for (const name of ['AXE One', 'AXE Two']) {
    await save(changed('name: AXE LLC\n', `name: ${name}\n`));
    expect(await observed.next()).toMatchObject({ kind: 'customers-reloaded' });
    expect(nameOfAxe(current())).toBe(name);
  }
});

test('two quick writes end with the second', async () => {
  const { current, reload } = await open();
  await writeFile(file, RENAMED);
  await writeFile(file, changed('name: AXE LLC\n', 'name: AXE AG\n'));
  await reload();
  expect(nameOfAxe(current())).toBe('AXE AG');
});

test('F9: a file that is still being written is not believed', async () => {
  const { current } = await open({ settleMilliseconds: 1000 });
  const half = RENAMED.slice(0, RENAMED.indexOf('  nordwind:'));
  await writeFile(file, half);
  await writeFile(file, RENAMED);
  expect(await observed.next()).toEqual({ kind: 'customers-reloaded', customers: 2 });
  expect(current().all.length).toBe(2);
});

test('other files in the folder are no concern', async () => {
  const { reload } = await open();
  await writeFile(join(folder, 'customers.yaml.bak'), 'customers: {}');
  await reload();
  expect(observed.all).toEqual([{ kind: 'customers-reloaded', customers: 2 }]);
});

test('reload reads at once, never rejects, and answers even when nothing has changed', async () => {
  const { current, reload } = await open();
  await reload();
  expect(observed.all).toEqual([{ kind: 'customers-reloaded', customers: 2 }]);
  await rm(folder, { recursive: true });
  await reload();
  expect(observed.all.at(-1)).toMatchObject({ kind: 'customers-refused' });
  expect(nameOfAxe(current())).toBe('AXE LLC');
});

test('reloads come one after the other', async () => {
  const { current, reload } = await open();
  await save(RENAMED);
  await Promise.all([reload(), reload(), reload()]);
  expect(nameOfAxe(current())).toBe('AXE Inc');
});

test('what the folder watch cannot see, a look now and then does', async () => {
  const elsewhere = await mkdtemp(join(tmpdir(), 'frame-elsewhere-'));
  const target = join(elsewhere, 'the-real-one.yaml');
  await rename(file, target);
  await symlink(target, file);
  const { current } = await open({ pollMilliseconds: 20 });
  await save(RENAMED, target);
  expect(await observed.next()).toMatchObject({ kind: 'customers-reloaded' });
  expect(nameOfAxe(current())).toBe('AXE Inc');
  await rm(elsewhere, { recursive: true });
});

test('a listener that throws does not stop the next change', async () => {
  let calls = 0;
  const { current, reload } = await open({
    onChange() {
      calls += 1;
      throw new Error('not my day');
    },
  });
  await reload();
  expect(observed.all.map(({ kind }) => kind)).toEqual(['customers-reloaded', 'crash-averted']);
  await save(RENAMED);
  await reload();
  expect(nameOfAxe(current())).toBe('AXE Inc');
  expect(calls).toBeGreaterThan(1);
});

test('closed, it keeps what it has and looks no more', async () => {
  const { current, reload, close } = await open({ pollMilliseconds: 5 });
  close();
  await save(RENAMED);
  await reload();
  expect(observed.all).toEqual([]);
  expect(nameOfAxe(current())).toBe('AXE LLC');
});
