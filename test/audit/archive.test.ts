import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ArchiveParts, archiveMonth } from '../../src/audit/archive.ts';
import type { Checkpoints } from '../../src/audit/checkpoints.ts';
import { createMonths, readFinishedMonths } from '../../src/audit/months.ts';
import { verifyExtract } from '../../src/audit/verify-extract.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { type AuditDatabase, entryOf, KEY, openAuditDatabase } from './audit-database.ts';

let database: AuditDatabase;
let root: OwnerConnection;
let checkpoints: Checkpoints;
let folder: string;
/** Three that are over, with 4 records in axe/a and 2 in zoo/-, and one that runs. */
let months: string[];

beforeEach(async () => {
  database = await openAuditDatabase();
  root = await database.connectAsRoot();
  checkpoints = database.openCheckpoints();
  folder = join(database.dataFolder, 'archive');
  await mkdir(folder);
  const log = database.openLog();
  for (let month = 1; month <= 4; month++) {
    for (let i = 0; i < 4; i++) await log.append(entryOf('axe', { entity: 'a', requestId: `${month} ${i}` }));
    await checkpoints.write();
    for (let i = 0; i < 2; i++) await log.append(entryOf('zoo', { requestId: `${month} ${i}` }));
    if (month < 4) await database.passMonths(month);
  }
  await createMonths(parts()).keep();
  months = await readFinishedMonths(database.read);
  expect(months).toHaveLength(3);
}, 60_000);
afterEach(() => database?.close());

function parts(changes: Partial<ArchiveParts> = {}): ArchiveParts {
  return {
    ...database,
    publicKey: KEY.publicKey,
    owner: root,
    folder,
    keepMonths: 0,
    say: checkpoints.say,
    ...changes,
  };
}

const fileOf = (month = '') => join(folder, `frame-audit-${month}.ndjson`);

test('a month is in a file that verifies by itself, and the log is whole without it', async () => {
  const [first = '', second = ''] = months;
  expect(await archiveMonth(first, parts())).toBe(fileOf(first));
  const { chains, faults, header, checkpoints: lines } = await verifyExtract(fileOf(first), KEY.publicKey);
  expect([faults, header?.month, lines > 0]).toEqual([[], first, true]);
  expect(chains).toEqual([
    { chain: 'axe/a', records: 4, verdict: 'whole' },
    { chain: 'zoo/-', records: 2, verdict: 'whole' },
  ]);
  expect(await database.verify()).toEqual({
    chains: [
      { chain: 'axe/a', records: 12, verdict: 'whole' },
      { chain: 'zoo/-', records: 6, verdict: 'whole' },
    ],
    faults: [],
    code: 0,
  });
  await archiveMonth(second, parts());
  expect((await database.verify()).chains.map(({ records }) => records)).toEqual([8, 4]);
  expect((await readdir(folder)).sort()).toEqual([first, second].map(month => `frame-audit-${month}.ndjson`));
  expect(await readFinishedMonths(database.read)).toEqual([months[2]]);
});

test('all that is over can go, and appends go on', async () => {
  for (const month of months) await archiveMonth(month, parts());
  await database.openLog().append(entryOf('axe', { entity: 'a' }));
  expect(await database.verify()).toMatchObject({ code: 0, chains: [{ records: 5 }, { records: 2 }] });
});

describe('what cannot be archived', () => {
  test('the month that runs, another than the oldest, what should be kept, or anything while checkpoints are missing', async () => {
    const [first = '', second = ''] = months;
    for (const [month, changes, reason] of [
      [nextOf(months[2]), {}, 'is not over, or not in the database'],
      ['1999-01', {}, 'is not over, or not in the database'],
      [second, {}, 'has to be archived before'],
      [first, { keepMonths: 3 }, 'audit.keep_months of gateway.yaml is 3'],
      [first, { dataFolder: '/nowhere' }, 'the checkpoints are not whole'],
    ] as const) {
      const refused = archiveMonth(month, parts(changes));
      await expect(refused).rejects.toMatchObject({ name: 'AuditRefusal', message: expect.stringContaining(reason) });
    }
    expect(await readFinishedMonths(database.read)).toEqual(months);
    expect(await readdir(folder)).toEqual([]);
  });

  test('what was altered after it was sealed: nothing is dropped, and no file is left under its name', async () => {
    await root.script(`alter table audit.log disable trigger all;
      update audit.log set record = replace(record, 'Anna', 'Otto') where chain = 'axe/a' and seq = 2`);
    await expect(archiveMonth(months[0] ?? '', parts())).rejects.toThrow('axe/a is altered at 2');
    expect(await readFinishedMonths(database.read)).toEqual(months);
    expect(await readdir(folder)).not.toContain(`frame-audit-${months[0]}.ndjson`);
  });

  test.each([
    ['a new chain', "'new/-', 1"],
    ['more of a chain', "'axe/a', 99"],
  ])('what holds %s behind the seal: nothing is signed or dropped', async (_, place) => {
    const [first = ''] = months;
    await root.script(`insert into audit.log (chain, seq, id, at, customer, request_id, actor, tool, phase, record, hash, month)
      values (${place}, gen_random_uuid(), 0, 'new', '', '', '', 'call', '{}', '', '${first}-01')`);
    const say = () => Promise.reject(new Error('signed'));
    await expect(archiveMonth(first, parts({ say }))).rejects.toMatchObject({ name: 'AuditRefusal' });
    expect(await readFinishedMonths(database.read)).toEqual(months);
    await deleteFrom(first, "record = '{}'");
    await archiveMonth(first, parts());
  });

  test('what lost a chain behind the seal and its file', async () => {
    const [first = ''] = months;
    await expect(archiveMonth(first, parts({ say: () => Promise.reject(new Error('killed')) }))).rejects.toThrow(
      'killed',
    );
    await deleteFrom(first, "chain = 'zoo/-'");
    await expect(archiveMonth(first, parts())).rejects.toThrow('holds less than its seal says');
  });

  test('over another file', async () => {
    const [first = '', second = ''] = months;
    await archiveMonth(first, parts());
    await writeFile(fileOf(second), await readFile(fileOf(first)));
    await expect(archiveMonth(second, parts())).rejects.toThrow('holds something else');
    await writeFile(fileOf(second), 'notes');
    await expect(archiveMonth(second, parts())).rejects.toThrow('frame-audit');
    expect(await readFile(fileOf(second), 'utf8')).toBe('notes');
  });
});

describe('killed', () => {
  test('behind a half-written file: the next run writes it anew', async () => {
    const [first = ''] = months;
    await writeFile(`${fileOf(first)}.draft`, '{"extract":');
    await archiveMonth(first, parts());
    expect(await readdir(folder)).toEqual([`frame-audit-${first}.ndjson`]);
  });

  test('between what was signed and what was dropped: the log is whole, and the next run ends it', async () => {
    const [first = ''] = months;
    const dying = { ...root, script: () => Promise.reject(new Error('killed')) };
    await expect(archiveMonth(first, parts({ owner: dying }))).rejects.toThrow('killed');
    expect(await database.verify()).toMatchObject({ code: 0, chains: [{ records: 16 }, { records: 8 }] });
    await archiveMonth(first, parts());
    expect(await database.verify()).toMatchObject({ code: 0, chains: [{ records: 12 }, { records: 6 }] });
  });

  test('behind the file, before anything was signed', async () => {
    const [first = ''] = months;
    const say = () => Promise.reject(new Error('killed'));
    await expect(archiveMonth(first, parts({ say }))).rejects.toThrow('killed');
    expect(await database.verify()).toMatchObject({ code: 0, chains: [{ records: 16 }, { records: 8 }] });
    await archiveMonth(first, parts());
  });
});

test('a month that is dropped while the log is read, and was signed away before, is no gap', async () => {
  const log = database.openLog();
  await Promise.all(Array.from({ length: 600 }, () => log.append(entryOf('big'))));
  await checkpoints.write();
  await database.passMonths(4);
  await createMonths(parts()).keep();
  for (const month of months) await archiveMonth(month, parts());
  const [last = ''] = await readFinishedMonths(database.read);
  const dying = { ...root, script: () => Promise.reject(new Error('killed')) };
  await expect(archiveMonth(last, parts({ owner: dying }))).rejects.toThrow('killed');
  let pages = 0;
  const verified = await database.verify({
    async read(text, params) {
      const result = await database.read(text, params);
      if (params?.[0] === 'big/-' && ++pages === 1) await archiveMonth(last, parts());
      return result;
    },
  });
  expect(pages).toBeGreaterThan(1);
  expect(await readFinishedMonths(database.read)).toEqual([]);
  expect(verified).toMatchObject({ code: 0, faults: [] });
});

describe('somebody who takes a month away', () => {
  const drop = (month = '') => root.script(`drop table audit.log_${month.replace('-', '_')}`);

  test('that is sealed but was never archived is found', async () => {
    await drop(months[0]);
    expect(await database.verify()).toMatchObject({
      code: 3,
      chains: [
        { verdict: 'gap', at: 1 },
        { verdict: 'gap', at: 1 },
      ],
    });
  });

  test('behind one that was archived is found', async () => {
    await archiveMonth(months[0] ?? '', parts());
    await drop(months[1]);
    expect(await database.verify()).toMatchObject({
      code: 3,
      chains: [
        { verdict: 'gap', at: 5 },
        { verdict: 'gap', at: 3 },
      ],
    });
  });

  test('and with it a part of the next is found', async () => {
    await archiveMonth(months[0] ?? '', parts());
    await root.script(
      "alter table audit.log disable trigger all; delete from audit.log where chain = 'axe/a' and seq = 5",
    );
    expect(await database.verify()).toMatchObject({
      code: 3,
      chains: [{ verdict: 'gap', at: 5 }, { verdict: 'whole' }],
    });
  });
});

test('the file of an archive that was edited, cut or lost a line is found', async () => {
  const [first = ''] = months;
  const file = await archiveMonth(first, parts());
  const lines = (await readFile(file, 'utf8')).trimEnd().split('\n');
  const verdictsOf = async (changed: string[]) => {
    await writeFile(file, changed.map(line => `${line}\n`).join(''));
    const { chains, faults } = await verifyExtract(file, KEY.publicKey);
    return [faults.length > 0, ...chains.map(({ verdict }) => verdict)];
  };
  expect(await verdictsOf(lines)).toEqual([false, 'whole', 'whole']);
  expect(await verdictsOf(lines.slice(0, -1))).toEqual([false, 'whole', 'cut-off']);
  expect(await verdictsOf(lines.with(-1, lines.at(-1)?.replace('Anna', 'Otto') ?? ''))).toEqual([
    false,
    'whole',
    'altered',
  ]);
  expect(await verdictsOf(lines.toSpliced(-2, 1))).toEqual([false, 'whole', 'gap']);
  expect(await verdictsOf(lines.slice(1))).toEqual([true]);
  await rm(file);
});

// Private

async function deleteFrom(month: string, which: string): Promise<void> {
  const part = `audit.log_${month.replace('-', '_')}`;
  await root.script(`alter table ${part} disable trigger all; delete from ${part} where ${which}`);
}

function nextOf(month = ''): string {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return new Date(Date.UTC(year, number, 1)).toISOString().slice(0, 7);
}
