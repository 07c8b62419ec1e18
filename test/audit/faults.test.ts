import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AuditEntry, AuditLog } from '../../src/audit/audit.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import type { Pools } from '../../src/database/pools.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { freshName } from '../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { type AuditDatabase, entryOf, holdHead, openAuditDatabase, readChain, requestIdsOf } from './audit-database.ts';

let database: AuditDatabase;
let root: OwnerConnection;

beforeAll(async () => {
  database = await openAuditDatabase();
  root = await database.connectAsRoot();
});
afterAll(() => database.close());

const UNAVAILABLE = { code: 'unavailable', retryable: true };
const failures = () => database.observations.filter(({ kind }) => kind === 'audit-failed').length;
const idsOf = async (customer: string) => requestIdsOf(await readChain(root, `${customer}/-`));

/** Appends `length` entries at once; what became of each, by request id. */
async function appendMany(log: AuditLog, customer: string, length: number, name = '') {
  const ids = Array.from({ length }, (_, i) => `${name}${i}`);
  const results = await Promise.allSettled(ids.map(requestId => log.append(entryOf(customer, { requestId }))));
  const done = ids.filter((_, i) => results[i]?.status === 'fulfilled');
  const reasons = results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []));
  return { done, reasons };
}

/** Many append one after the other until one of them is refused; what became of each, as above. */
async function appendUntilRefused(log: AuditLog, customer: string, name: string) {
  const done: string[] = [];
  const reasons: unknown[] = [];
  const appendOn = async (who: number) => {
    for (let i = 0; reasons.length === 0; i++) {
      const requestId = `${name}${who}/${i}`;
      await log.append(entryOf(customer, { requestId })).then(
        () => done.push(requestId),
        reason => reasons.push(reason),
      );
    }
  };
  await Promise.all(Array.from({ length: 100 }, (_, who) => appendOn(who)));
  return { done, reasons };
}

/** Tries until it is done: nobody restarts the log. */
async function appendWhenBack(log: AuditLog, entry: AuditEntry): Promise<void> {
  await vi.waitFor(() => log.append(entry), { timeout: 20_000 });
}

/** A chain with one record, whose next appends wait until it is released. */
async function holdNew(customer: string) {
  await database.openLog().append(entryOf(customer, { requestId: 'first' }));
  return await holdHead(database, `${customer}/-`);
}

describe('an answer that is lost after the commit', () => {
  let proxy: TcpProxy;
  beforeAll(async () => {
    proxy = await startTcpProxy(database.postgres.server.address.port);
  });
  afterAll(() => proxy.close());

  const openProxied = () => database.openPools({ ...database.postgres.server.address, port: proxy.port });

  test('once: each record stands there once', async () => {
    const customer = freshName('c');
    const [lossy, straight] = [openProxied(), database.openPools()];
    let sends = 0;
    const query: Pools['query'] = (...call) => (++sends === 1 ? lossy : straight).query(...call);
    const log = database.openLog({ pools: { ...straight, query } });
    proxy.cutAfterAnswerTo(customer);
    const { done } = await appendMany(log, customer, 30);
    expect(sends).toBe(3);
    expect(done).toHaveLength(30);
    expect(await idsOf(customer)).toEqual(done);
  });

  test('twice: nobody is told that it is recorded, and it stands there once', async () => {
    const customer = freshName('c');
    const log = database.openLog({ pools: openProxied() });
    proxy.cutAfterAnswerTo(customer);
    await expect(log.append(entryOf(customer, { requestId: 'once' }))).rejects.toMatchObject(UNAVAILABLE);
    proxy.heal();
    expect(await idsOf(customer)).toEqual(['once']);
    await log.append(entryOf(customer, { requestId: 'next' }));
    expect(await idsOf(customer)).toEqual(['once', 'next']);
  });
});

describe('a backend that is ended', () => {
  test('in the middle of a flush: the flush is repeated', async () => {
    const customer = freshName('c');
    const head = await holdNew(customer);
    const log = database.openLog();
    const appending = appendMany(log, customer, 20);
    await root.query('select pg_terminate_backend($1::int)', await head.waiters(1));
    await head.release();
    const { done } = await appending;
    expect(done).toHaveLength(20);
    expect(await idsOf(customer)).toEqual(['first', ...done]);
  });
});

describe('too much or too slow', () => {
  test('what finds the queue full is refused at once, the rest is written', async () => {
    const customer = freshName('c');
    const head = await holdNew(customer);
    const log = database.openLog({ limits: { flushRecords: 500, queue: 10 } });
    const accepted = appendMany(log, customer, 11, 'in ');
    await expect(log.append(entryOf(customer))).rejects.toMatchObject(UNAVAILABLE);
    await head.release();
    expect((await accepted).done).toHaveLength(11);
    expect(await idsOf(customer)).toHaveLength(12);
  });

  test('a flush that takes too long is stopped, and not written later', async () => {
    const customer = freshName('c');
    const head = await holdNew(customer);
    const hasty = database.openLog({ patienceMilliseconds: 100 });
    await expect(hasty.append(entryOf(customer))).rejects.toMatchObject(UNAVAILABLE);
    await head.release();
    await database.openLog().append(entryOf(customer, { requestId: 'second' }));
    expect(await idsOf(customer)).toEqual(['first', 'second']);
  });

  test('closing waits for the commit', async () => {
    const customer = freshName('c');
    const head = await holdNew(customer);
    const log = database.openLog();
    const accepted = appendMany(log, customer, 3);
    const closing = log.close();
    await expect(log.append(entryOf(customer))).rejects.toMatchObject(UNAVAILABLE);
    await head.release();
    await closing;
    expect(await idsOf(customer)).toHaveLength(4);
    expect((await accepted).done).toHaveLength(3);
  });
});

describe('a database that takes no writes', () => {
  test('because the disk is full: refused, reported, and well again without a restart', async () => {
    const customer = freshName('c');
    const log = database.openLog();
    await root.script(`
      create function public.full() returns trigger language plpgsql as
        $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
      create trigger full_disk before insert on audit.log execute function public.full()`);
    const before = failures();
    await expect(log.append(entryOf(customer))).rejects.toMatchObject(UNAVAILABLE);
    await root.script('drop trigger full_disk on audit.log; drop function public.full');
    expect(failures()).toBe(before + 1);
    expect(database.observations).toContainEqual({
      kind: 'audit-failed',
      reason: expect.stringContaining('No space left'),
    });
    await log.append(entryOf(customer, { requestId: 'after' }));
    expect(await idsOf(customer)).toEqual(['after']);
  });

  test('because it is read-only', async () => {
    const customer = freshName('c');
    await root.query('alter role frame_audit set default_transaction_read_only = on');
    const log = database.openLog({ pools: database.openPools() });
    await expect(log.append(entryOf(customer))).rejects.toMatchObject(UNAVAILABLE);
    await root.query('alter role frame_audit reset default_transaction_read_only');
    expect(await idsOf(customer)).toEqual([]);
  });

  test('the caller learns nothing of the reason', async () => {
    await root.query('revoke execute on function audit.append(json) from frame_audit');
    const refusal = await database
      .openLog()
      .append(entryOf('c'))
      .catch(error => error);
    await root.query('grant execute on function audit.append(json) to frame_audit');
    expect(refusal.toPublic()).toEqual({
      code: 'unavailable',
      message: 'The call cannot be recorded now.',
      retryable: true,
    });
    expect(refusal.detail).toContain('permission denied');
  });
});

describe('a Postgres that dies', () => {
  test('with appends in flight: what was acknowledged is there, nothing twice, and it goes on', async () => {
    const customer = freshName('c');
    const log = database.openLog({ limits: { flushRecords: 20, queue: 5000 } });
    await log.append(entryOf(customer, { requestId: 'warm' }));
    const appending = appendUntilRefused(log, customer, 'early ');
    await database.postgres.kill();
    const early = await appending;
    for (const reason of early.reasons) expect(reason).toMatchObject(UNAVAILABLE);
    const down = await appendMany(log, customer, 5, 'down ');
    expect(down.reasons).toHaveLength(5);

    await database.postgres.start();
    root = await database.connectAsRoot();
    await appendWhenBack(log, entryOf(customer, { requestId: 'late' }));
    const ids = await idsOf(customer);
    const kept = new Set(ids);
    expect(kept.size).toBe(ids.length);
    expect(['warm', ...early.done, 'late'].filter(id => !kept.has(id))).toEqual([]);
    expect(ids.some(id => id.startsWith('down'))).toBe(false);
    const verdicts = await Array.fromAsync(verifyAudit(database.read, { customer }));
    expect(verdicts).toMatchObject([{ verdict: 'whole', records: ids.length }]);
  });

  test('that freezes: refused in time', async () => {
    const customer = freshName('c');
    const log = database.openLog();
    await log.append(entryOf(customer));
    await database.postgres.freeze();
    const hasty = database.openLog({ patienceMilliseconds: 100 });
    await expect(hasty.append(entryOf(customer))).rejects.toMatchObject(UNAVAILABLE);
    await database.postgres.thaw();
    await appendWhenBack(log, entryOf(customer, { requestId: 'late' }));
    // The one that was given up may be written behind it, when the server goes on with it.
    expect(await idsOf(customer)).toContain('late');
  });
});
