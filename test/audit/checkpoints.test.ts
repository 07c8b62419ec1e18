import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, readFile, rename, rm, stat, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { checkpointFiles } from '../../src/audit/checkpoint-writer.ts';
import type { CheckpointParts, Checkpoints } from '../../src/audit/checkpoints.ts';
import { withFileLock } from '../../src/audit/file-lock.ts';
import { secondFile } from '../../src/audit/second-place.ts';
import { createVerifier } from '../../src/audit/signature.ts';
import { hashOf, headsOf, isSignedLine, parseLine, type SignedLine } from '../../src/audit/signed-line.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { Secret } from '../../src/secret.ts';
import { createCheckpointKey } from '../../src/vault/checkpoint-key.ts';
import { freshName } from '../support/postgres.ts';
import { type AuditDatabase, entryOf, KEY, openAuditDatabase } from './audit-database.ts';

let database: AuditDatabase;
let root: OwnerConnection;
/** A data folder of this test. */
let dataFolder: string;

beforeAll(async () => {
  database = await openAuditDatabase();
  root = await database.connectAsRoot();
});
afterAll(() => database?.close());
beforeEach(async () => {
  dataFolder = join(database.dataFolder, freshName('data'));
  database.observations.length = 0;
  await root.query('delete from audit.last_checkpoint');
});

const open = (changes: Partial<CheckpointParts> = {}) => database.openCheckpoints({ dataFolder, ...changes });
const fileOf = (folder = dataFolder) => checkpointFiles(folder).checkpoints;
const verify = (options = {}) => database.verify({ file: fileOf(), ...options });

async function readSigned(file = fileOf()): Promise<SignedLine[]> {
  const texts = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
  return texts.flatMap(text => {
    const line = parseLine(text);
    return typeof line === 'string' ? [] : [line];
  });
}

async function remember(line: SignedLine): Promise<void> {
  await root.query("update audit.last_checkpoint set number = $1, hash = decode($2, 'hex')", [
    line.number,
    hashOf(line),
  ]);
}

const failures = () => database.observations.filter(({ kind }) => kind === 'audit-checkpoint-failed');

describe('a checkpoint', () => {
  test('is one signed line that names the head of every chain, and follows the line before', async () => {
    const log = database.openLog();
    await log.append(entryOf('axe'));
    await log.append(entryOf('zoo', { entity: 'zoo' }));
    const checkpoints = open({ now: () => 1_700_000_000_000 });
    await checkpoints.write();
    await log.append(entryOf('axe'));
    await checkpoints.write();

    const [one, two] = await readSigned();
    if (!one || !two) throw new Error('There are no two lines.');
    const heads = await root.query("select chain, seq, encode(hash, 'hex') from audit.head order by chain");
    expect(headsOf(two).map(({ chain, seq, hash }) => [chain, String(seq), hash])).toEqual(heads.rows);
    expect(one).toMatchObject({ kind: 'checkpoint', number: 1, previous: '', at: 1_700_000_000_000 });
    expect(two).toMatchObject({ number: 2, previous: hashOf(one) });
    for (const line of [one, two]) expect(isSignedLine(line, createVerifier(KEY.publicKey))).toBe(true);
    expect(database.observations).toContainEqual({
      kind: 'audit-checkpoint',
      number: 2,
      hash: hashOf(two),
      signature: two.signature,
    });
  });

  test('lies where only its owner reads, beside the public key', async () => {
    await open().write();
    const { folder, checkpoints, publicKey } = checkpointFiles(dataFolder);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await stat(checkpoints)).mode & 0o777).toBe(0o600);
    expect(await readFile(publicKey, 'utf8')).toBe(KEY.publicKey);
  });

  test('stands only under the key that is published there: two gateways with one data folder would look forged', async () => {
    await open().write();
    const before = await readSigned();
    const { publicKey } = checkpointFiles(dataFolder);
    await writeFile(publicKey, KEY.publicKey.slice(0, 20));
    await open().write();
    expect(await readFile(publicKey, 'utf8')).toBe(KEY.publicKey);
    const other = open({ signer: createCheckpointKey(new Secret(randomBytes(32))) });
    await other.write();
    expect(other.state().failure).toMatch(/another master key.*FRAME_DATA of its own/);
    expect((await readSigned()).slice(0, -1)).toEqual(before);
    expect(await verify()).toMatchObject({ code: 0, faults: [] });
  });

  test('of many processes and calls at once stands in one row', async () => {
    const many = Array.from({ length: 8 }, () => open({ read: openRead() }));
    await Promise.all(
      many.map(async checkpoints => {
        for (let i = 0; i < 5; i++) await checkpoints.write();
      }),
    );
    expect((await readSigned()).map(({ number }) => number)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect(await verify()).toMatchObject({ code: 0, faults: [] });
  });

  test('that is asked for while one is being written comes once, and after it', async () => {
    const checkpoints = open();
    await Promise.all([checkpoints.write(), checkpoints.write(), checkpoints.write(), checkpoints.write()]);
    expect((await readSigned()).length).toBeLessThanOrEqual(2);
    const log = database.openLog();
    const first = checkpoints.write();
    await log.append(entryOf('axe'));
    await checkpoints.write();
    await first;
    const { rows } = await root.query("select seq from audit.head where chain = 'axe/-'");
    const last = (await readSigned()).at(-1);
    expect(last && headsOf(last).find(({ chain }) => chain === 'axe/-')?.seq).toBe(Number(rows[0]?.[0]));
  });
});

describe('a log with checkpoints', () => {
  test('has one before its first record, one for so many records, and one at its end', async () => {
    const checkpoints = open({ everyRecords: 10 });
    const log = database.openLog({ checkpoints });
    const customer = freshName('c');
    const seqs = async () =>
      (await readSigned()).map(line => headsOf(line).find(({ chain }) => chain === `${customer}/-`)?.seq ?? 0);
    await log.append(entryOf(customer));
    expect(await seqs()).toEqual([0]);
    for (let i = 0; i < 9; i++) await log.append(entryOf(customer));
    await expect.poll(seqs).toEqual([0, 10]);
    await log.append(entryOf(customer));
    await log.close();
    expect(await seqs()).toEqual([0, 10, 11]);
    expect(await verify()).toMatchObject({ code: 0, faults: [] });
  });

  test('says nothing of a part that was appended before there were any', async () => {
    const customer = freshName('c');
    for (let i = 0; i < 5; i++) await database.openLog().append(entryOf(customer));
    const log = database.openLog({ checkpoints: open() });
    await log.append(entryOf(customer));
    await log.close();
    expect(await verify({ customer })).toMatchObject({ code: 0, chains: [{ records: 6, verdict: 'whole' }] });
  });

  test('goes on when no checkpoint can be written, and says so', async () => {
    await writeFile(dataFolder, 'a file where the folder should be');
    const checkpoints = open();
    const log = database.openLog({ checkpoints });
    await log.append(entryOf('axe'));
    await log.close();
    expect(failures()).toHaveLength(2);
    expect(checkpoints.state()).toMatchObject({ number: null, failure: expect.stringContaining('ENOTDIR') });
    await unlink(dataFolder);
    await checkpoints.write();
    expect(checkpoints.state()).toMatchObject({ number: 1, failure: null });
  });

  test('ends in time when another process never lets the lock go', async () => {
    await open().write();
    const { lock } = checkpointFiles(dataFolder);
    await withFileLock(lock, async () => {
      await open({ lockPatienceMilliseconds: 50 }).close();
    });
    expect(failures()).toMatchObject([{ place: 'first', reason: expect.stringContaining('another process') }]);
  });
});

describe('a file that is not as it was left', () => {
  test('gone, it is not begun anew: who names another folder would split it in two', async () => {
    const checkpoints = open();
    await checkpoints.write();
    const elsewhere = open({ dataFolder: join(database.dataFolder, freshName('other')) });
    await elsewhere.write();
    expect(elsewhere.state().failure).toMatch(/is gone, or FRAME_DATA names another folder/);
    await checkpoints.write();
    expect(await verify()).toMatchObject({ code: 0 });
  });

  test('with an unfinished line at its end, it goes on behind it', async () => {
    const checkpoints = open();
    await checkpoints.write();
    for (const rest of ['{', '{"at":17', '\n{"at"\n{']) {
      await appendFile(fileOf(), rest);
      await checkpoints.write();
      expect(await verify()).toMatchObject({ code: 0, faults: [] });
    }
    expect(await readSigned()).toHaveLength(4);
  });

  test('of whose last line only the end is missing has that line, and goes on behind it', async () => {
    const checkpoints = open();
    for (let i = 1; i <= 4; i++) {
      await checkpoints.write();
      // Killed before the database heard of it, every second time.
      const before = (await readSigned()).at(-2);
      if (i % 2 === 0 && before) await remember(before);
      await truncate(fileOf(), (await stat(fileOf())).size - 1);
      expect(await verify()).toMatchObject({ code: 0, faults: [] });
      expect(await verify({ remembered: undefined })).toMatchObject({ code: 0, faults: [] });
    }
    await checkpoints.write();
    expect(await verify()).toMatchObject({ code: 0, faults: [] });
    expect((await readSigned()).map(({ number }) => number)).toEqual([1, 2, 3, 4, 5]);
  });

  test('with a forged line at its end that has no end is forged, before and after the next one', async () => {
    const checkpoints = open();
    await checkpoints.write();
    const kept = await readFile(fileOf(), 'utf8');
    for (const text of [kept.trimEnd(), kept.trimEnd().replace('"number":1', '"number":2'), '{}', '0']) {
      await writeFile(fileOf(), kept + text);
      expect(await verify({ remembered: undefined })).toMatchObject({ code: 5 });
      expect(await verify()).toMatchObject({ code: 5 });
      await checkpoints.write();
      expect(await verify()).toMatchObject({ code: 5 });
      await root.query('delete from audit.last_checkpoint');
    }
  });

  test('a memory that the database lost, or that is behind, is no fault', async () => {
    const checkpoints = open();
    await checkpoints.write();
    await checkpoints.write();
    await remember((await readSigned())[0] as SignedLine);
    expect(await verify()).toMatchObject({ code: 0 });
    await root.query('delete from audit.last_checkpoint');
    expect(await verify()).toMatchObject({ code: 0 });
    await checkpoints.write();
    expect(await verify()).toMatchObject({ code: 0 });
    expect((await readSigned()).map(({ number }) => number)).toEqual([1, 2, 3]);
  });
});

describe('the second place', () => {
  let secondPlace: string;
  let checkpoints: Checkpoints;
  beforeEach(async () => {
    secondPlace = join(database.dataFolder, freshName('second'));
    await mkdir(secondPlace);
    checkpoints = open({ secondPlace });
  });

  /** The second place is written after the first, and nobody waits for it. */
  const untilItHas = (numbers: number[]) =>
    vi.waitFor(
      async () => expect((await readSigned(secondFile(secondPlace))).map(({ number }) => number)).toEqual(numbers),
      { timeout: 20_000 },
    );
  const untilItFails = () =>
    vi.waitFor(() => expect(failures()).toContainEqual(expect.objectContaining({ place: 'second' })), {
      timeout: 20_000,
    });

  test('gets every line', async () => {
    for (let i = 0; i < 3; i++) await checkpoints.write();
    await untilItHas([1, 2, 3]);
    expect(await readFile(secondFile(secondPlace))).toEqual(await readFile(fileOf()));
    expect(checkpoints.state().second_place).toBe('ok');
    expect(open().state().second_place).toBe('none');
  });

  test('gone, it stops nothing; back, it gets what it missed', async () => {
    await checkpoints.write();
    await untilItHas([1]);
    await rename(secondPlace, `${secondPlace} away`);
    for (let i = 0; i < 3; i++) await checkpoints.write();
    await untilItFails();
    expect(checkpoints.state()).toMatchObject({
      number: 4,
      failure: null,
      second_place: expect.stringContaining('ENOENT'),
    });
    // Where a disk is not mounted, nothing must look like it.
    await expect(stat(secondPlace)).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await verify({ second: secondFile(secondPlace) })).code).toBe(0);
    await rename(`${secondPlace} away`, secondPlace);
    await checkpoints.write();
    await untilItHas([1, 2, 3, 4, 5]);
    // The lines can be read before they are known to be safe.
    await expect.poll(() => checkpoints.state().second_place).toBe('ok');
  });

  test.skipIf(platform() !== 'linux')('full, it stops nothing; emptied, it gets what it missed', async () => {
    const copy = secondFile(secondPlace);
    await symlink('/dev/full', copy);
    await checkpoints.write();
    await untilItFails();
    expect(checkpoints.state().second_place).toContain('ENOSPC');
    await unlink(copy);
    await checkpoints.write();
    await untilItHas([1, 2]);
  });

  test('unfinished at its end, it goes on behind it', async () => {
    await checkpoints.write();
    await untilItHas([1]);
    await appendFile(secondFile(secondPlace), '{"at":1');
    await checkpoints.write();
    await untilItHas([1, 2]);
    expect(await verify({ second: secondFile(secondPlace) })).toMatchObject({ code: 0, faults: [] });
    await truncate(secondFile(secondPlace), (await stat(secondFile(secondPlace))).size - 1);
    expect(await verify({ second: secondFile(secondPlace) })).toMatchObject({ code: 0, faults: [] });
    await checkpoints.write();
    await untilItHas([1, 2, 3]);
    expect(await verify({ second: secondFile(secondPlace) })).toMatchObject({ code: 0, faults: [] });
  });

  test('of two processes at once holds every line once', async () => {
    const other = open({ secondPlace, read: openRead() });
    await Promise.all(
      [checkpoints, other].map(async one => {
        for (let i = 0; i < 10; i++) await one.write();
      }),
    );
    await Promise.all([checkpoints.close(), other.close()]);
    await untilItHas(Array.from({ length: 22 }, (_, i) => i + 1));
  });

  test('with another past than the first is left alone, and verify says so', async () => {
    await checkpoints.write();
    await checkpoints.write();
    await untilItHas([1, 2]);
    await checkpoints.close();
    const kept = await readFile(secondFile(secondPlace));
    await rm(dataFolder, { recursive: true });
    await root.query('delete from audit.last_checkpoint');
    const other = open({ secondPlace, now: () => 1 });
    await other.write();
    expect((await verify({ second: secondFile(secondPlace) })).code).toBe(5);
    for (let i = 0; i < 4; i++) await other.write();
    await untilItFails();
    expect(other.state().second_place).toContain('that the first place has not');
    expect(await readFile(secondFile(secondPlace))).toEqual(kept);
  });

  test('that does not answer is told from one that works', async () => {
    let clock = Date.now();
    const { secondLock } = checkpointFiles(dataFolder);
    await mkdir(checkpointFiles(dataFolder).folder, { recursive: true });
    await withFileLock(secondLock, async () => {
      const slow = open({ secondPlace, now: () => clock });
      await slow.write();
      clock += 60_000;
      expect(slow.state().second_place).toBe('does not answer');
      expect(slow.state().failure).toBeNull();
    });
    await untilItHas([1]);
  });
});

function openRead() {
  const pools = database.openPools();
  return (text: string, params?: readonly unknown[]) =>
    pools.query({ role: 'frame_audit', database: 'frame_control' }, text, params);
}
