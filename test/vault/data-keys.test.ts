import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CONTROL_LOGIN, type Place } from '../../src/database/place.ts';
import { WrongConfiguration } from '../../src/errors.ts';
import type { Observation } from '../../src/observe.ts';
import { checkDataKeys } from '../../src/vault/check-data-keys.ts';
import { onControl, readDataKeys, type StoredKey, setKeyState } from '../../src/vault/data-key-table.ts';
import { createDataKeys, type DataKeyLimits } from '../../src/vault/data-keys.ts';
import { keyFileOf, makeNextEntityKey } from '../../src/vault/entity-key.ts';
import { type KeyStore, makeDataKeys, replaceCellKey, requireEntityKey } from '../../src/vault/make-data-keys.ts';
import type { KeyPlace } from '../../src/vault/place-keys.ts';
import { rotateEntityKey } from '../../src/vault/rotate-entity-key.ts';
import { announceKeys, shareDataKeys } from '../../src/vault/share-data-keys.ts';
import { shredEntity } from '../../src/vault/shred.ts';
import { openTestPlace, type TestPlace } from '../tables/test-place.ts';

let home: TestPlace;
let place: Place;
let store: KeyStore;
let file: string;

beforeAll(async () => {
  home = await openTestPlace();
  ({ place } = home);
});
afterAll(() => home?.remove());

/** Each test finds the place with fresh keys in a folder of its own. */
beforeEach(async () => {
  await control('delete from frame.data_keys');
  await control('delete from frame.shredded_entities');
  store = { pools: home.pools, folder: await mkdtemp(join(tmpdir(), 'frame-keys-')) };
  file = keyFileOf(store.folder, place);
  await makeDataKeys(store, [place]);
  return () => rm(store.folder, { recursive: true, force: true });
});

async function control(text: string, params: unknown[] = []) {
  const owner = await home.postgres.server.connectAsOwner('frame_control');
  return await owner.query(text, params).finally(() => owner.close());
}

const CELL = { tableId: randomUUID(), columnId: randomUUID(), rowId: randomUUID() };
const LIMITS: DataKeyLimits = { liveMs: 10_000, step: 100, replaceAt: 1000, stopAt: 2000 };
const rows = () => readDataKeys(onControl(home.pools), place);
const cellKey = async () => (await rows()).find(({ purpose, state }) => purpose === 'cells' && state === 'current');

function open(limits = LIMITS, folder = store.folder) {
  const clock = { now: 0 };
  const observed: Observation[] = [];
  const keys = createDataKeys({
    pools: home.pools,
    folder,
    now: () => clock.now,
    observe: observation => observed.push(observation),
    limits,
  });
  return { keys, clock, observed };
}

/** Another place of the same entity, without keys. */
async function addDev(): Promise<KeyPlace> {
  await control(`insert into frame.environments (customer, entity, environment, database_name, schema_name)
    values ('axe', 'axe', 'dev', 'frame_axe', 'axe_dev') on conflict do nothing`);
  return { ...place, environment: 'dev' };
}

/** Somebody does something before this transaction, counted from 0, of whoever works with this store. */
function between(transaction: number, deed: () => Promise<unknown>): KeyStore {
  let count = 0;
  const pools: KeyStore['pools'] = {
    query: home.pools.query,
    async transaction(login, work, options) {
      if (count++ === transaction) await deed();
      return await home.pools.transaction(login, work, options);
    },
  };
  return { ...store, pools };
}

const sealOnce = async (keys: ReturnType<typeof open>['keys'], text = 'ada') =>
  (await keys.of(place, 1)).seal(CELL, text);

describe('keys are made', () => {
  test('one for cells and one for indexes, under a key in a file that nobody else reads', async () => {
    expect((await rows()).map(({ purpose, state }) => [purpose, state])).toEqual([
      ['cells', 'current'],
      ['index', 'current'],
    ]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(file))).mode & 0o777).toBe(0o700);
    expect(file).toBe(join(store.folder, 'axe', 'axe.key'));
    await checkDataKeys(store, [place]);
  });

  test('once, however many make them at once', async () => {
    await control('delete from frame.data_keys');
    await rm(file);
    await Promise.all(Array.from({ length: 6 }, () => makeDataKeys(store, [place])));
    expect(await rows()).toHaveLength(2);
    expect(await readdir(dirname(file))).toEqual(['axe.key']);
    await checkDataKeys(store, [place]);
  });

  test('a key file that is there already is used, never replaced', async () => {
    const before = await readFile(file, 'utf8');
    await control('delete from frame.data_keys');
    await makeDataKeys(store, [place]);
    expect(await readFile(file, 'utf8')).toBe(before);
    await checkDataKeys(store, [place]);
  });

  test('a new environment of an entity that has lost its key file gets nothing', async () => {
    const dev = await addDev();
    await rm(file);
    await expect(makeDataKeys(store, [place, dev])).rejects.toThrow(WrongConfiguration);
    expect(await readDataKeys(onControl(home.pools), dev)).toEqual([]);
    expect(await readdir(dirname(file))).toEqual([]);
  });

  test('what the database holds of them is wrapped', async () => {
    const kek = (await readFile(file, 'utf8')).trim();
    const { rows } = await control('select data_keys::text from frame.data_keys');
    expect(JSON.stringify(rows)).not.toContain(kek);
    expect(JSON.stringify(rows)).not.toContain(Buffer.from(kek, 'base64').toString('hex'));
  });
});

describe('a start is refused', () => {
  const mistakes = async () => {
    const thrown = await checkDataKeys(store, [place]).catch(error => error);
    expect(thrown).toBeInstanceOf(WrongConfiguration);
    return (thrown as WrongConfiguration).mistakes;
  };

  test('without the key file, saying which', async () => {
    await rm(file);
    expect(await mistakes()).toEqual([{ file, sentence: expect.stringMatching(/^is not there, but .* put it back/) }]);
  });

  test('with another key in it, and nothing is sealed with that one', async () => {
    await writeFile(file, `${randomBytes(32).toString('base64')}\n`);
    expect(await mistakes()).toEqual([{ file, sentence: expect.stringMatching(/^is not the key that .* right one /) }]);
    await expect(makeDataKeys(store, [place])).resolves.toBeUndefined();
    await expect(sealOnce(open().keys)).rejects.toMatchObject({ code: 'unavailable' });
    expect(await rows()).toHaveLength(2);
  });

  test('with the key of another entity', async () => {
    const other = { ...place, entity: 'other' };
    await mkdir(dirname(file), { recursive: true });
    await control(`insert into frame.environments (customer, entity, environment, database_name, schema_name)
      values ('axe', 'other', 'prod', 'frame_axe', 'other_prod') on conflict do nothing`);
    await makeDataKeys(store, [other]);
    await copyFile(keyFileOf(store.folder, other), file);
    expect(await mistakes()).toMatchObject([{ file }]);
  });

  test.each([
    ['that others can read', () => chmod(file, 0o640), /chmod 600/],
    ['that is no key', () => writeFile(file, 'secret\n'), /32 bytes in base64/],
    ['that is empty', () => writeFile(file, ''), /32 bytes in base64/],
    ['that is a folder', () => rm(file).then(() => mkdir(file, { mode: 0o700 })), /cannot be read/],
  ])('with a key file %s', async (_, spoil, sentence) => {
    await spoil();
    expect(await mistakes()).toMatchObject([{ file, sentence: expect.stringMatching(sentence) }]);
  });

  test('with data keys that were altered, or moved to another place', async () => {
    const spoils = [
      `update frame.data_keys set wrapped = translate(wrapped, 'ABCDEF', 'BCDEFA')`,
      `update frame.data_keys set key_check = 'x'`,
      `update frame.data_keys set kid = kid % 4294967295 + 1 where purpose = 'cells'`,
    ];
    for (const spoil of spoils) {
      await control(spoil);
      expect(await mistakes()).toEqual([{ file: 'database', sentence: expect.stringContaining('was altered') }]);
      await control('delete from frame.data_keys');
      await makeDataKeys(store, [place]);
    }
    // Swapped: what finds equal values would be sealed with, and the other way round.
    await control(`update frame.data_keys a set wrapped = b.wrapped, key_check = b.key_check
      from frame.data_keys b where a.purpose <> b.purpose`);
    expect(await mistakes()).toMatchObject([{ file: 'database' }]);
  });

  test('of a place that has no keys yet, with what makes them', async () => {
    await control('delete from frame.data_keys');
    expect(await mistakes()).toEqual([
      { file: 'database', sentence: 'axe/axe:prod has no data keys; run `frame migrate`' },
    ]);
  });

  test('with nothing of the key in the sentence', async () => {
    const key = (await readFile(file, 'utf8')).trim();
    await writeFile(file, `${randomBytes(32).toString('base64')}\n`);
    expect(JSON.stringify(await mistakes())).not.toContain(key);
  });
});

describe('a running process', () => {
  test('seals with the key in force, and counts in steps', async () => {
    const { keys } = open();
    for (let i = 0; i < 250; i++) await sealOnce(keys);
    expect((await cellKey())?.seals).toBe(300);
  });

  test('counts what many do at once', async () => {
    const { keys } = open();
    await Promise.all(Array.from({ length: 50 }, () => keys.of(place, 10)));
    expect((await cellKey())?.seals).toBe(500);
  });

  test('takes a new key long before the old one is worn out, without being told', async () => {
    const { keys } = open();
    const old = await sealOnce(keys);
    for (let i = 0; i < 1200; i++) await sealOnce(keys);
    const all = (await rows()).filter(({ purpose }) => purpose === 'cells');
    expect(all.map(({ state }) => state)).toEqual(['retiring', 'current']);
    expect(all[0]?.seals).toBeLessThanOrEqual(LIMITS.replaceAt + LIMITS.step);
    expect((await keys.of(place)).open(CELL, old)).toEqual({ text: 'ada' });
  });

  test('goes on with the old one while no new one can be made, and stops in time', async () => {
    const { keys, observed } = open();
    await sealOnce(keys);
    await rename(file, `${file}.away`);
    const sealed = async () => {
      for (let i = 0; i < 3000; i++) await sealOnce(keys);
    };
    await expect(sealed()).rejects.toMatchObject({ code: 'unavailable' });
    for (let i = 0; i < 3; i++) await expect(sealOnce(keys)).rejects.toMatchObject({ code: 'unavailable' });
    const key = await cellKey();
    expect(key?.seals).toBeGreaterThanOrEqual(LIMITS.stopAt);
    expect(key?.seals).toBeLessThan(LIMITS.stopAt + 5 * LIMITS.step);
    expect(observed).toContainEqual(expect.objectContaining({ kind: 'crash-averted', where: 'a new data key' }));
    await rename(`${file}.away`, file);
    await sealOnce(keys);
  });

  test('opens what another process has sealed with a key that it did not know', async () => {
    const [mine, theirs] = [open(), open()];
    await mine.keys.of(place);
    await replaceCellKey(store, place, (await cellKey())?.kid ?? 0);
    const sealed = await sealOnce(theirs.keys, 'theirs');
    mine.clock.now += 1000;
    const known = await mine.keys.of(place);
    expect(known.knows(sealed)).toBe(false);
    expect((await mine.keys.renew(place)).open(CELL, sealed)).toEqual({ text: 'theirs' });
  });

  test('does not ask the database about every cell that nobody can open', async () => {
    const { keys } = open();
    const known = await keys.of(place);
    expect(await keys.renew(place)).toBe(known);
  });

  test('seals with an old key for some seconds at most', async () => {
    const { keys, clock } = open();
    await sealOnce(keys);
    const old = (await cellKey())?.kid;
    const kid = await replaceCellKey(store, place, old ?? 0);
    clock.now = LIMITS.liveMs - 1;
    expect((await sealOnce(keys)).readUInt32BE(1)).toBe(old);
    clock.now = LIMITS.liveMs;
    expect((await sealOnce(keys)).readUInt32BE(1)).toBe(kid);
  });

  test('never books seals on a key that was retired', async () => {
    const { keys } = open();
    await keys.of(place);
    const kid = await replaceCellKey(store, place, (await cellKey())?.kid ?? 0);
    expect((await sealOnce(keys)).readUInt32BE(1)).toBe(kid);
  });

  test('hears of new keys at once', async () => {
    const { keys } = open();
    await shareDataKeys(keys, home.pools);
    await sealOnce(keys);
    const kid = await replaceCellKey(store, place, (await cellKey())?.kid ?? 0);
    await announceKeys(home.pools, place);
    await expect.poll(async () => (await sealOnce(keys)).readUInt32BE(1)).toBe(kid);
  });

  test('needs no key file for keys that it has opened, and no database for some seconds', async () => {
    const { keys, clock } = open();
    const sealed = await sealOnce(keys);
    await rm(file);
    clock.now += 60_000;
    expect((await keys.of(place)).open(CELL, sealed)).toEqual({ text: 'ada' });
  });

  test('answers that it cannot know while the keys cannot be read', async () => {
    const dead = {
      query: () => Promise.reject(new Error('away')),
      transaction: () => Promise.reject(new Error('away')),
    };
    const keys = createDataKeys({ pools: dead, folder: store.folder, now: () => 0, observe: () => {} });
    await expect(keys.of(place)).rejects.toMatchObject({
      code: 'unavailable',
      detail: expect.stringContaining('away'),
    });
  });

  test('of two that make a new key at once, one does', async () => {
    const kid = (await cellKey())?.kid ?? 0;
    const made = await Promise.all([1, 2, 3].map(() => replaceCellKey(store, place, kid)));
    expect(new Set(made).size).toBe(1);
    expect((await rows()).filter(({ purpose }) => purpose === 'cells')).toHaveLength(2);
  });
});

describe('the key of the entity is replaced', () => {
  test('and what was sealed opens as before, with the new one alone', async () => {
    const sealed = await sealOnce(open().keys);
    const before = await readFile(file, 'utf8');
    expect(await rotateEntityKey(store, place)).toBe(2);
    expect(await readFile(file, 'utf8')).not.toBe(before);
    expect(await readdir(dirname(file))).toEqual(['axe.key']);
    await checkDataKeys(store, [place]);
    expect((await open().keys.of(place)).open(CELL, sealed)).toEqual({ text: 'ada' });
    await writeFile(file, before);
    await expect(checkDataKeys(store, [place])).rejects.toThrow(WrongConfiguration);
  });

  test('and no copy of an old one is left beside it', async () => {
    await copyFile(file, `${file}.0123456789ab`);
    await rotateEntityKey(store, place);
    expect(await readdir(dirname(file))).toEqual(['axe.key']);
  });

  test('retired and retiring keys are wrapped anew too', async () => {
    const old = await sealOnce(open().keys);
    const kid = (await cellKey())?.kid ?? 0;
    await replaceCellKey(store, place, kid);
    await setKeyState(onControl(home.pools), kid, 'retiring', 'retired');
    expect(await rotateEntityKey(store, place)).toBe(3);
    expect((await open().keys.of(place)).open(CELL, old)).toEqual({ text: 'ada' });
  });

  test('killed before anything was wrapped: the old key is good, and the next run finishes', async () => {
    await makeNextEntityKey(store.folder, place);
    await checkDataKeys(store, [place]);
    await rotateEntityKey(store, place);
    await checkDataKeys(store, [place]);
    expect(await readdir(dirname(file))).toEqual(['axe.key']);
  });

  test('killed after the commit and before the file was renamed: both files work, and the next run finishes', async () => {
    const before = await readFile(file, 'utf8');
    const sealed = await sealOnce(open().keys);
    await rotateEntityKey(store, place);
    await rename(file, join(dirname(file), 'axe.next.key'));
    await writeFile(file, before, { mode: 0o600 });

    await checkDataKeys(store, [place]);
    expect((await open().keys.of(place)).open(CELL, sealed)).toEqual({ text: 'ada' });
    // A key that is made now is wrapped by the one that wraps the others.
    await replaceCellKey(store, place, (await cellKey())?.kid ?? 0);
    await rotateEntityKey(store, place);
    expect(await readdir(dirname(file))).toEqual(['axe.key']);
    await checkDataKeys(store, [place]);
  });

  test('killed in the middle of the commit, nothing has changed', async () => {
    const failing = {
      ...home.pools,
      transaction: (login, work, options) =>
        home.pools.transaction(
          login,
          async session => {
            let statements = 0;
            return await work({
              query(text, params, more) {
                if (++statements > 3) throw new Error('killed');
                return session.query(text, params, more);
              },
            });
          },
          options,
        ),
    } satisfies KeyStore['pools'];
    await expect(rotateEntityKey({ ...store, pools: failing }, place)).rejects.toThrow('killed');
    await checkDataKeys(store, [place]);
    await rotateEntityKey(store, place);
    await checkDataKeys(store, [place]);
  });

  test('not without the old one', async () => {
    await rm(file);
    await expect(rotateEntityKey(store, place)).rejects.toThrow(WrongConfiguration);
  });

  test('killed after the commit, by whatever the next run finishes', async () => {
    await expect(
      rotateEntityKey(
        between(1, () => Promise.reject(new Error('killed'))),
        place,
      ),
    ).rejects.toThrow('killed');
    expect((await readdir(dirname(file))).sort()).toEqual(['axe.key', 'axe.next.key']);
    await checkDataKeys(store, [place]);
    expect(await rotateEntityKey(store, place)).toBe(2);
    expect(await readdir(dirname(file))).toEqual(['axe.key']);
    await checkDataKeys(store, [place]);
  });

  test('and whoever gives a place its first keys meanwhile wraps them by the one that is there then', async () => {
    const dev = await addDev();
    await makeDataKeys(
      between(0, () => rotateEntityKey(store, place)),
      [dev],
    );
    await checkDataKeys(store, [place, dev]);
    // And by the next one, before that is in force.
    await control(`delete from frame.data_keys where environment = 'dev'`);
    await rotateEntityKey(
      between(1, () => makeDataKeys(store, [dev])),
      place,
    );
    expect(await readdir(dirname(file))).toEqual(['axe.key']);
    await checkDataKeys(store, [place, dev]);
  });

  test('by many at once, who all end well', async () => {
    const dev = await addDev();
    const rotations = Array.from({ length: 4 }, () => rotateEntityKey(store, place));
    await Promise.all([...rotations, makeDataKeys(store, [place, dev]), makeDataKeys(store, [dev])]);
    expect(await readdir(dirname(file))).toEqual(['axe.key']);
    await checkDataKeys(store, [place, dev]);
  });

  test('between the look at the table and the look at the file, and nobody finds that wrong', async () => {
    const sealed = await sealOnce(open().keys);
    const rotating = (): KeyStore => {
      let isRotated = false;
      const query: KeyStore['pools']['query'] = async (...asked) => {
        const result = await home.pools.query(...asked);
        if (!isRotated) await rotateEntityKey(store, place);
        isRotated = true;
        return result;
      };
      return { ...store, pools: { ...home.pools, query } };
    };
    await checkDataKeys(rotating(), [place]);
    const keys = createDataKeys({ ...rotating(), now: () => 0, observe: () => {} });
    expect((await keys.of(place)).open(CELL, sealed)).toEqual({ text: 'ada' });
  });

  test('while its files are being read, which are read again then', async () => {
    const [key] = await rows();
    const content = await readFile(file);
    await rename(file, `${file}.new`);
    // The one in force is opened before it is replaced and read after it; the next one is gone by then.
    await promisify(execFile)('mkfifo', ['-m', '600', file]);
    const found = requireEntityKey(store.folder, key as StoredKey);
    const old = await openFile(file, 'w');
    await rename(`${file}.new`, file);
    await old.writeFile(`${randomBytes(32).toString('base64')}\n`);
    await old.close();
    expect((await found).id).toBe(key?.kekId);
    expect(await readFile(file)).toEqual(content);
  });

  test('while data keys are made, none is lost', async () => {
    const kid = (await cellKey())?.kid ?? 0;
    await Promise.all([rotateEntityKey(store, place), replaceCellKey(store, place, kid)]);
    await checkDataKeys(store, [place]);
    expect((await rows()).filter(({ purpose }) => purpose === 'cells')).toHaveLength(2);
  });
});

describe('an entity is shredded', () => {
  test('and nothing opens any more, in a process that was running neither', async () => {
    const { keys } = open();
    await shareDataKeys(keys, home.pools);
    const sealed = await sealOnce(keys);
    expect(await shredEntity(store, place)).toBe(2);
    await announceKeys(home.pools, place);
    expect(await readdir(dirname(file))).toEqual([]);
    await expect.poll(async () => (await keys.of(place)).open(CELL, sealed)).toEqual({ broken: 'unknown-key' });
    await expect(keys.of(place, 1)).rejects.toMatchObject({ code: 'row/sealed-broken' });
    await expect(keys.of(place).then(opened => opened.blind(CELL, 'email', 'x'))).rejects.toMatchObject({
      code: 'row/sealed-broken',
    });
  });

  test('and no copy is left that a killed process made of its key; those of others stay', async () => {
    const copies = ['axe.key.0123456789ab', 'axe.next.key.ba9876543210'];
    const others = ['axe-two.key', 'axe-two.key.0123456789ab', 'axe.key.mine', 'next.key.0123456789ab'];
    for (const name of [...copies, ...others]) await copyFile(file, join(dirname(file), name));
    await shredEntity(store, place);
    expect((await readdir(dirname(file))).sort()).toEqual(others);
  });

  test('and a gateway starts without it, and nobody makes it new keys', async () => {
    await shredEntity(store, place);
    await makeDataKeys(store, [place]);
    await checkDataKeys(store, [place]);
    expect(await rows()).toEqual([]);
    expect(await rotateEntityKey(store, place)).toBe(0);
    expect(await readdir(dirname(file))).toEqual([]);
  });

  test('and nobody who was about to make or replace keys leaves any', async () => {
    const dev = await addDev();
    await makeDataKeys(
      between(0, () => shredEntity(store, place)),
      [dev],
    );
    expect(await readDataKeys(onControl(home.pools))).toEqual([]);
    expect(await readdir(dirname(file))).toEqual([]);
    for (const step of [0, 1]) {
      await control('delete from frame.shredded_entities');
      await makeDataKeys(store, [place]);
      await rotateEntityKey(
        between(step, () => shredEntity(store, place)),
        place,
      );
      expect(await rows()).toEqual([]);
      expect(await readdir(dirname(file))).toEqual([]);
    }
  });

  test('and that can be repeated, also where only half was done', async () => {
    await rm(file);
    expect(await shredEntity(store, place)).toBe(2);
    expect(await shredEntity(store, place)).toBe(0);
  });

  test('a process that heard nothing forgets it within seconds', async () => {
    const { keys, clock } = open();
    const sealed = await sealOnce(keys);
    await shredEntity(store, place);
    clock.now += LIMITS.liveMs;
    expect((await keys.of(place)).open(CELL, sealed)).toEqual({ broken: 'unknown-key' });
  });

  test('with the database of before, but not the file: nothing opens, and a start says what to do', async () => {
    const backup = (await control('select data_keys::text from frame.data_keys')).rows.map(([row]) => row);
    const sealed = await sealOnce(open().keys);
    await shredEntity(store, place);
    await control('delete from frame.shredded_entities');
    for (const row of backup) {
      await control('insert into frame.data_keys select * from (select ($1::text::frame.data_keys).*) as row', [row]);
    }
    await expect(checkDataKeys(store, [place])).rejects.toThrow(/frame entity shred axe --customer axe/);
    await expect(
      open()
        .keys.of(place)
        .then(keys => keys.open(CELL, sealed)),
    ).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});

test('the logins of tenants see nothing of all this', async () => {
  for (const table of ['data_keys', 'shredded_entities']) {
    const { rows } = await control(
      `select grantee from information_schema.role_table_grants where table_name = $1 and grantee not in ('postgres', $2)`,
      [table, CONTROL_LOGIN.role],
    );
    expect(rows).toEqual([]);
  }
});
