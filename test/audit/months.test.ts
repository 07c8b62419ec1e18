import { randomUUIDv7 } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkpointFiles } from '../../src/audit/checkpoint-writer.ts';
import type { Checkpoints } from '../../src/audit/checkpoints.ts';
import { readLines } from '../../src/audit/line-file.ts';
import { createMonths, type MonthParts } from '../../src/audit/months.ts';
import { toRow } from '../../src/audit/record.ts';
import { headsOf, parseLine, type SignedLine } from '../../src/audit/signed-line.ts';
import { AUDIT_LOGIN } from '../../src/database/place.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { freshName } from '../support/postgres.ts';
import {
  type AuditDatabase,
  entryOf,
  holdHead,
  KEY,
  openAuditDatabase,
  readChain,
  readWaiters,
} from './audit-database.ts';

let database: AuditDatabase;
let root: OwnerConnection;
let checkpoints: Checkpoints;
let customer: string;
/** How many months have gone by. */
let gone = 0;

beforeAll(async () => {
  database = await openAuditDatabase();
  root = await database.connectAsRoot();
  checkpoints = database.openCheckpoints();
});
afterAll(() => database?.close());
beforeEach(() => {
  customer = freshName('c');
});

const passMonth = () => database.passMonths(++gone);
const append = (entity = 'a') => database.openLog().append(entryOf(customer, { entity }));
const parts = (): MonthParts => ({ ...database, publicKey: KEY.publicKey, say: checkpoints.say });
const keep = () => createMonths(parts()).keep();
const monthsOf = async (chain: string) =>
  (
    await root.query("select to_char(month, 'YYYY-MM') from audit.log where chain = $1 order by seq", [chain])
  ).rows.flat();

async function thisMonth(): Promise<string> {
  const { rows } = await root.query("select to_char(audit.this_month(), 'YYYY-MM')");
  return String(rows[0]?.[0]);
}

async function readSeals(): Promise<SignedLine[]> {
  const lines = await Array.fromAsync(readLines(checkpointFiles(database.dataFolder).checkpoints));
  return lines.flatMap(({ text }) => {
    const line = parseLine(text);
    return typeof line !== 'string' && line.kind === 'seal' ? [line] : [];
  });
}

async function tamper(script: string): Promise<void> {
  await root.script(`alter table audit.log disable trigger all; ${script};
    alter table audit.log enable always trigger append_only`);
}

async function tamperHeads(script: string): Promise<void> {
  await root.script(`alter table audit.head disable trigger all; ${script};
    alter table audit.head enable always trigger append_only`);
}

describe('a record', () => {
  test('lies in the month in which it was appended, whatever its own time says', async () => {
    await database.openLog().append(entryOf(customer, { entity: 'a', at: 1 }));
    const first = await thisMonth();
    await passMonth();
    await database.openLog().append(entryOf(customer, { entity: 'a', at: 1 }));
    expect(await monthsOf(`${customer}/a`)).toEqual([first, await thisMonth()]);
  });

  test('never goes back to an earlier month when the clock does, and the chain is in order', async () => {
    for (const months of [0, 2, -1, 1, 0]) {
      await database.passMonths(gone + months);
      await database.openLog().append(entryOf(customer, { entity: 'a', at: Date.now() + months * 3_600_000 }));
    }
    await database.passMonths(gone + 2);
    gone += 2;
    const months = await monthsOf(`${customer}/a`);
    expect(months).toEqual(months.toSorted());
    expect(new Set(months).size).toBe(2);
    expect(await database.verify({ customer })).toMatchObject({ chains: [{ records: 5, verdict: 'whole' }] });
  });

  test('is not written twice when its append is repeated in the next month', async () => {
    const rows = JSON.stringify([toRow(entryOf(customer, { entity: 'a' }), randomUUIDv7())]);
    const send = () => database.pools.query(AUDIT_LOGIN, 'select audit.append($1::text::json)', [rows]);
    await send();
    await passMonth();
    await append();
    await send();
    expect(await readChain(root, `${customer}/a`)).toHaveLength(2);
  });

  test('is found by a search over months, newest first', async () => {
    for (let i = 0; i < 3; i++) {
      await database.openLog().append(entryOf(customer, { entity: 'a', requestId: String(i) }));
      await passMonth();
    }
    const { entries } = await database.openLog().search({ customer, entities: ['a'], limit: 10 });
    expect(entries.map(({ requestId }) => requestId)).toEqual(['2', '1', '0']);
  });

  test('that waits while its month is closed goes to the next one', async () => {
    await append();
    const month = await thisMonth();
    const head = await holdHead(database, `${customer}/a`);
    await passMonth();
    const closing = database.read('select audit.close_months()');
    const appending = append();
    await head.waiters(2);
    await head.release();
    await Promise.all([closing, appending]);
    expect(await monthsOf(`${customer}/a`)).toEqual([month, await thisMonth()]);
  });
});

describe('while a month is closed', () => {
  test('a new chain that is not committed yet is waited for, and sealed with the others', async () => {
    await append();
    const appending = await database.connectAsRoot();
    const rows = JSON.stringify([toRow(entryOf(customer, { entity: 'new' }), randomUUIDv7())]);
    await appending.query('begin');
    await appending.query('select audit.append($1::text::json)', [rows]);
    await passMonth();
    const sealing = keep();
    await readWaiters(root, 1);
    await appending.query('commit');
    await sealing;
    const seal = (await readSeals()).at(-1);
    const ours = seal ? headsOf(seal).filter(({ chain }) => chain.startsWith(`${customer}/`)) : [];
    expect(ours.map(({ chain }) => chain)).toEqual([`${customer}/a`, `${customer}/new`]);
  });

  test('a new chain that waits for that goes to the next month, and so does the first of all', async () => {
    const month = await thisMonth();
    const closing = await database.connectAsRoot();
    await root.script('create table public.kept as select * from audit.head');
    await tamperHeads('delete from audit.head');
    await closing.query('begin');
    await closing.query('lock table audit.head in exclusive mode');
    const appending = append('new');
    await readWaiters(root, 1);
    await passMonth();
    await closing.query('commit');
    await appending;
    await tamperHeads('insert into audit.head select * from public.kept; drop table public.kept');
    expect(month < (await thisMonth())).toBe(true);
    expect(await monthsOf(`${customer}/new`)).toEqual([await thisMonth()]);
  });

  test('appends to old and new chains go on, and nobody waits in a circle', async () => {
    for (let round = 0; round < 5; round++) {
      await passMonth();
      await Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          i % 10 === 0 ? database.read('select audit.close_months()') : append(`e${round * (i % 4)}`),
        ),
      );
    }
    expect(await keep()).not.toEqual([]);
    expect((await database.verify({ customer })).code).toBe(0);
  });
});

test('a month that is closed takes no record more, not even of a new chain with a clock that went back', async () => {
  await append();
  await passMonth();
  await database.read('select audit.close_months()');
  await database.passMonths(gone - 1);
  await append('new');
  await database.passMonths(gone);
  expect(await monthsOf(`${customer}/new`)).toEqual([await thisMonth()]);
});

describe('a seal', () => {
  test('says where each chain began and ended in the month, and is made once', async () => {
    for (const entity of ['a', 'a', 'a', 'b']) await append(entity);
    await passMonth();
    await keep();
    const before = (await readChain(root, `${customer}/a`)).at(-1);
    const month = await thisMonth();
    for (const entity of ['a', 'a', 'c']) await append(entity);
    await passMonth();
    expect(await keep()).toEqual([month]);
    expect(await keep()).toEqual([]);
    const seal = (await readSeals()).at(-1);
    const ours = seal ? headsOf(seal).filter(({ chain }) => chain.startsWith(`${customer}/`)) : [];
    expect(seal?.month).toBe(month);
    expect(ours).toEqual([
      { chain: `${customer}/a`, seq: 5, hash: expect.any(String), count: 2, before: before?.hash },
      { chain: `${customer}/c`, seq: 1, hash: expect.any(String), count: 1, before: '' },
    ]);
    expect((await database.verify()).code).toBe(0);
  });

  test('is made of every month that was missed, the oldest first', async () => {
    const missed: string[] = [];
    for (let i = 0; i < 3; i++) {
      missed.push(await thisMonth());
      await append();
      await passMonth();
    }
    expect(await keep()).toEqual(missed);
  });

  test('that is there already costs one look at the checkpoints, however many months there are', async () => {
    for (let i = 0; i < 3; i++) {
      await append();
      await passMonth();
    }
    await keep();
    const asked: string[] = [];
    const read: MonthParts['read'] = (text, params) => {
      asked.push(text);
      return database.read(text, params);
    };
    const looks = () => asked.filter(text => text.includes('audit.last_checkpoint')).length;
    expect(await createMonths({ ...parts(), read }).keep()).toEqual([]);
    expect(looks()).toBe(1);
    await append();
    await passMonth();
    expect(await createMonths({ ...parts(), read }).keep()).toHaveLength(1);
    expect(looks()).toBe(2);
  });

  test('of two slots at once is one statement', async () => {
    await append();
    await passMonth();
    await Promise.all([keep(), keep()]);
    expect((await database.verify()).code).toBe(0);
    expect(await keep()).toEqual([]);
  });

  test('makes room for the next month ahead of time', async () => {
    await keep();
    const { rows } = await root.query(`select to_regclass('audit.log_' ||
      to_char(audit.this_month() + interval '1 month', 'YYYY_MM')) is not null`);
    expect(rows).toEqual([[true]]);
  });

  test.each([
    ['altered', `update audit.log set record = replace(record, 'Anna', 'Otto') where chain = 'CHAIN' and seq = 2`],
    ['cut off', `delete from audit.log where chain = 'CHAIN' and seq > 1`],
    ['missing in part', `delete from audit.log where chain = 'CHAIN' and seq = 2`],
    ['moved', `update audit.log set month = audit.this_month() where chain = 'CHAIN' and seq = 2`],
  ])('is not made of a month that is %s', async (_, script) => {
    for (let i = 0; i < 3; i++) await append();
    await checkpoints.write();
    await passMonth();
    await append();
    const chain = `${customer}/a`;
    await root.script('create table public.kept as select * from audit.log');
    await tamper(script.replaceAll('CHAIN', chain));
    await expect(keep()).rejects.toMatchObject({ name: 'AuditRefusal', message: expect.stringContaining(chain) });
    await tamper(`delete from audit.log; insert into audit.log select * from public.kept; drop table public.kept`);
    expect(await keep()).toHaveLength(1);
  });

  test('is not made while the checkpoints are not whole', async () => {
    await append();
    await passMonth();
    const elsewhere = { ...parts(), dataFolder: join(database.dataFolder, 'nowhere') };
    await expect(createMonths(elsewhere).keep()).rejects.toThrow('the checkpoints are not whole');
    await keep();
  });
});
