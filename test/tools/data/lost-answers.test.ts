import { afterAll, beforeAll, expect, test } from 'vitest';
import { insertRows } from '../../../src/tools/data/insert-rows.ts';
import { selectRows } from '../../../src/tools/data/select-rows.ts';
import { updateRows } from '../../../src/tools/data/update-rows.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { openTestPlace, type TestPlace, tableOf } from '../../tables/test-place.ts';

/** What callers hear when the connection breaks in the worst moment. */
let at: TestPlace;
let proxy: TcpProxy;
const countOf = async (n: number) =>
  (await at.asOwner(`select count(*)::int from $s.notes where n = ${n}`)).rows[0]?.[0];

beforeAll(async () => {
  at = await openTestPlace({
    async port(port) {
      proxy = await startTcpProxy(port);
      return proxy.port;
    },
  });
  for (const text of tableOf('notes', 'n int, word text')) await at.design(text);
});
afterAll(async () => {
  await at.remove();
  await proxy.close();
});

test('F2: an insert whose answer was lost is unknown, never failed', async () => {
  await at.run(insertRows, { table: 'notes', rows: [{ n: 1 }] });
  proxy.cutAfterAnswerTo('marker-2');
  const lost = at.run(insertRows, { table: 'notes', rows: [{ n: 2, word: 'marker-2' }] });
  await expect(lost).rejects.toMatchObject({ code: 'outcome-unknown' });
  proxy.cutAfterAnswerTo('nothing');
  expect(await countOf(2)).toBe(1);
});

test('F2: with a key the true answer is found, although the word of the commit was lost', async () => {
  const args = { table: 'notes', rows: [{ n: 3 }], idempotency_key: 'lost' };
  proxy.cutAfterAnswerTo('commit');
  const answer = await at.run(insertRows, args).finally(() => proxy.cutAfterAnswerTo('nothing'));
  expect(answer).toMatchObject({ count: 1, replayed: true });
  expect(await at.run(insertRows, args)).toEqual(answer);
  expect(await countOf(3)).toBe(1);
});

test('F1: an update lost before its commit has changed nothing, and may be repeated', async () => {
  const args = { table: 'notes', where: { n: 3 }, set: { word: 'marker-4' }, idempotency_key: 'early' };
  proxy.cutAfterAnswerTo('marker-4');
  const lost = at.run(updateRows, args).finally(() => proxy.cutAfterAnswerTo('nothing'));
  await expect(lost).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  expect(await at.run(updateRows, args)).toMatchObject({ count: 1 });
});

test('F1: a read that lost its connection is unavailable', async () => {
  proxy.cutAfterAnswerTo('marker-5');
  const lost = at.run(selectRows, { table: 'notes', where: { word: 'marker-5' } });
  await expect(lost).rejects.toMatchObject({ code: 'unavailable', retryable: true });
  proxy.cutAfterAnswerTo('nothing');
  expect(await at.run(selectRows, { table: 'notes', where: { n: 1 } })).toMatchObject({ truncated: false });
});

test('a read by key and an insert are one round trip each', async () => {
  const read = { table: 'notes', where: { n: 1 } };
  const insert = { table: 'notes', rows: [{ n: 9 }, { n: 10 }] };
  for (const call of [() => at.run(selectRows, read), () => at.run(insertRows, insert)]) {
    await call();
    const before = proxy.turns;
    await call();
    expect(proxy.turns - before).toBe(1);
  }
});
