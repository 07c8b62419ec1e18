import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditEntry } from '../../src/audit/audit.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { freshName } from '../support/postgres.ts';
import { type AuditDatabase, entryOf, holdHead, openAuditDatabase, readChain } from './audit-database.ts';

let database: AuditDatabase;
let root: OwnerConnection;

beforeAll(async () => {
  database = await openAuditDatabase();
  root = await database.connectAsRoot();
});
afterAll(() => database.close());

const MINUTE = 60_000;

function callOf(customer: string, requestId: string, at = Date.now()) {
  const call = entryOf(customer, { requestId, at, entity: 'a', tool: 'insert_rows' });
  const intent: AuditEntry = { ...call, phase: 'intent', outcome: undefined };
  const outcomeAs = (outcome: AuditEntry['outcome']): AuditEntry => ({ ...call, phase: 'outcome', outcome });
  return { intent, outcomeAs };
}

const outcomesOf = async (customer: string) =>
  (await readChain(root, `${customer}/a`)).map(({ record }) => {
    const { requestId, phase, outcome } = JSON.parse(record);
    return [requestId, outcome ?? phase].join(' ');
  });

const openOf = async (customer: string) =>
  (await database.openLog().openIntents(0))
    .filter(intent => intent.customer === customer)
    .map(({ requestId }) => requestId);

describe('an intent', () => {
  test('is open until its outcome comes', async () => {
    const customer = freshName('c');
    const log = database.openLog();
    const [one, two] = [callOf(customer, '1', 1), callOf(customer, '2', 2)];
    await log.append(one.intent);
    await log.append(two.intent);
    expect(await openOf(customer)).toEqual(['1', '2']);
    await log.append(one.outcomeAs('error'));
    expect(await openOf(customer)).toEqual(['2']);
    await log.append(two.outcomeAs('unknown'));
    expect(await openOf(customer)).toEqual([]);
    expect(await outcomesOf(customer)).toEqual(['1 intent', '2 intent', '1 error', '2 unknown']);
  });

  test('is closed by an outcome in the same commit', async () => {
    const customer = freshName('c');
    const log = database.openLog();
    const { intent, outcomeAs } = callOf(customer, '1');
    await Promise.all([log.append(entryOf(customer)), log.append(intent), log.append(outcomeAs('ok'))]);
    expect(await openOf(customer)).toEqual([]);
  });

  test('of two calls under one request id of the sender, each outcome closes its own', async () => {
    const customer = freshName('c');
    const log = database.openLog();
    const [killed, answered, late] = ['killed', 'answered', 'late'].map(text => {
      const { intent, outcomeAs } = callOf(customer, 'twin', 1);
      const mine = { callId: randomUUID(), arguments: { text } };
      return { intent: { ...intent, ...mine }, outcome: { ...outcomeAs('ok'), ...mine } };
    });
    if (!killed || !answered || !late) throw new Error('There are three.');
    for (const { intent } of [killed, answered, late]) await log.append(intent);
    await log.append(answered.outcome);
    await log.append({ ...late.outcome, callId: randomUUID() });
    await log.append(late.outcome);
    expect((await log.openIntents(0)).filter(intent => intent.customer === customer)).toMatchObject([
      { callId: killed.intent.callId, arguments: { text: 'killed' } },
    ]);
    await log.sweep();
    const { entries } = await log.search({ customer, entities: 'all', limit: 1 });
    expect(entries).toMatchObject([{ outcome: 'unknown', callId: killed.intent.callId }]);
    expect(await openOf(customer)).toEqual([]);
  });

  test('of two of a release that knew no id of its own, each outcome closes one', async () => {
    const customer = freshName('c');
    const log = database.openLog();
    const { intent, outcomeAs } = callOf(customer, 'twin', 1);
    for (const entry of [intent, intent, outcomeAs('ok')]) await log.append(entry);
    expect(await openOf(customer)).toEqual(['twin']);
    await log.append(outcomeAs('ok'));
    expect(await openOf(customer)).toEqual([]);
  });

  test('of one entity is not closed by an outcome of another', async () => {
    const customer = freshName('c');
    const log = database.openLog();
    const { intent, outcomeAs } = callOf(customer, '1', 1);
    await log.append(intent);
    await log.append({ ...outcomeAs('ok'), entity: 'b' });
    expect(await openOf(customer)).toEqual(['1']);
  });
});

describe('the sweep', () => {
  test('closes what is older than two minutes as unknown, once, on two slots at once', async () => {
    const customer = freshName('c');
    const slots = [database.openLog(), database.openLog({ pools: database.openPools() })];
    const now = Date.now();
    const calls = Object.entries({ old: 2.1, older: 5, done: 5, young: 1.9 }).map(([id, minutes]) =>
      callOf(customer, id, now - minutes * MINUTE),
    );
    for (const { intent } of calls) await slots[0]?.append(intent);
    await slots[0]?.append(calls[2]?.outcomeAs('ok') ?? entryOf(customer));

    const head = await holdHead(database, `${customer}/a`);
    const sweeps = slots.map(log => log.sweep());
    await head.waiters(2);
    await head.release();
    await Promise.all(sweeps);
    expect((await outcomesOf(customer)).sort()).toEqual(
      ['old intent', 'older intent', 'done intent', 'young intent', 'done ok', 'old unknown', 'older unknown'].sort(),
    );
    expect(await openOf(customer)).toEqual(['young']);
    expect(await slots[0]?.sweep()).toBe(0);
  });

  test('does not stand against the true outcome that comes after all', async () => {
    const customer = freshName('c');
    const log = database.openLog();
    const { intent, outcomeAs } = callOf(customer, '1', 1);
    await log.append(intent);
    await log.sweep();
    await log.append(outcomeAs('ok'));
    await log.append(outcomeAs('unknown'));
    expect(await outcomesOf(customer)).toEqual(['1 intent', '1 unknown', '1 ok']);
  });

  test('says who and what, now', async () => {
    const customer = freshName('c');
    const log = database.openLog({ now: () => 10 * MINUTE });
    await log.append({ ...callOf(customer, '1', 1).intent, arguments: { table: 'invoices' }, client: 'claude 1' });
    await log.sweep();
    const { entries } = await log.search({ customer, entities: 'all', limit: 1 });
    expect(entries).toMatchObject([
      {
        at: 10 * MINUTE,
        requestId: '1',
        phase: 'outcome',
        outcome: 'unknown',
        arguments: { table: 'invoices' },
        client: 'claude 1',
        actor: { username: 'anna@axellc.com' },
      },
    ]);
  });
});
