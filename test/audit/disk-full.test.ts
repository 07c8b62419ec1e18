import { execFile } from 'node:child_process';
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkpointFiles } from '../../src/audit/checkpoint-writer.ts';
import type { Checkpoints } from '../../src/audit/checkpoints.ts';
import { chooseIdentity } from '../../src/database/embedded-process.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { type AuditDatabase, entryOf, openAuditDatabase } from './audit-database.ts';

const run = promisify(execFile);

/** A disk of 16 MB; undefined where nobody may mount one. */
async function mountDisk(): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'frame-disk-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=16m,mode=0755', 'tmpfs', folder]);
    return folder;
  } catch {
    await rm(folder, { recursive: true });
    return undefined;
  }
}

const disk = await mountDisk();

describe.skipIf(!disk)('a disk that is full', () => {
  const folder = disk ?? '';
  const ballast = join(folder, 'ballast');
  let database: AuditDatabase;
  let root: OwnerConnection;
  let checkpoints: Checkpoints;

  beforeAll(async () => {
    database = await openAuditDatabase();
    root = await database.connectAsRoot();
    checkpoints = database.openCheckpoints({ dataFolder: join(folder, 'data') });
    const tables = join(folder, 'tables');
    await mkdir(tables);
    const { uid, gid } = await chooseIdentity(folder);
    if (uid === undefined) {
      const { uid: nobody, gid: group } = await chooseIdentity('/nowhere');
      await chown(tables, nobody ?? 0, group ?? 0);
    } else await chown(tables, uid, gid ?? uid);
    await root.query(`create tablespace small location '${tables}'`);
    await root.script(`do $$ declare part regclass; begin
      for part in select inhrelid from pg_inherits where inhparent = 'audit.log'::regclass loop
        execute format('alter table %s set tablespace small', part);
      end loop; end $$`);
  });
  afterAll(async () => {
    await database?.close();
    await run('umount', ['-l', folder]);
    await rm(folder, { recursive: true, force: true });
  });

  test('takes no record, loses none, breaks no chain and no checkpoint, and all goes on when there is room', async () => {
    const log = database.openLog({ checkpoints });
    const append = (requestId: string) =>
      log.append(entryOf('axe', { requestId, arguments: { note: 'x'.repeat(15_000) } }));
    await append('first');
    await fill(ballast);

    const recorded = ['first'];
    let refusal: unknown;
    for (let i = 0; !refusal && i < 5000; i++) {
      try {
        await append(`${i}`);
        recorded.push(`${i}`);
      } catch (thrown) {
        refusal = thrown;
      }
    }
    expect(refusal).toMatchObject({ code: 'unavailable', message: 'The call cannot be recorded now.' });
    expect(database.observations).toContainEqual({
      kind: 'audit-failed',
      reason: expect.stringContaining('No space left'),
    });
    // Until the page is full that the file has already.
    for (let i = 0; checkpoints.state().failure === null && i < 100; i++) await checkpoints.write();
    expect(checkpoints.state().failure).toContain('ENOSPC');

    await rm(ballast);
    await append('last');
    await log.close();
    expect(checkpoints.state().failure).toBeNull();
    const { rows } = await root.query('select request_id from audit.log order by seq');
    expect(rows.flat()).toEqual([...recorded, 'last']);
    const file = checkpointFiles(join(folder, 'data')).checkpoints;
    expect(await database.verify({ file })).toMatchObject({ code: 0, faults: [] });
    expect((await readFile(file, 'utf8')).split('\n').slice(0, -1).every(isJson)).toBe(true);
  }, 120_000);
});

/** To the last byte. */
async function fill(file: string): Promise<void> {
  for (const bytes of [1_000_000, 10_000, 4096, 1]) {
    for (let isFull = false; !isFull; ) {
      await writeFile(file, Buffer.alloc(bytes), { flag: 'a' }).catch(() => {
        isFull = true;
      });
    }
  }
}

function isJson(text: string): boolean {
  try {
    return typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
}
