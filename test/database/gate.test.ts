import { describe, expect, test } from 'vitest';
import { createGate, createGates, tooBusy } from '../../src/database/gate.ts';

const LONG_MS = 60_000;

/** Work that ends when the test says so. */
function openWork() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { run: () => promise, end: resolve, fail: reject };
}

describe('a gate', () => {
  test('lets as many in as there is room, and the others in their order', async () => {
    const gate = createGate(2, LONG_MS);
    const works = Array.from({ length: 5 }, openWork);
    const entered: number[] = [];
    const passes = works.map(({ run }, number) =>
      gate.pass(() => {
        entered.push(number);
        return run();
      }),
    );
    expect([entered, gate.inside, gate.waiting]).toEqual([[0, 1], 2, 3]);
    works[1]?.end();
    await passes[1];
    expect(entered).toEqual([0, 1, 2]);
    for (const { end } of works) end();
    await Promise.all(passes);
    expect([entered, gate.inside, gate.waiting]).toEqual([[0, 1, 2, 3, 4], 0, 0]);
  });

  test('never has more inside than there is room, also when somebody comes as another leaves', async () => {
    const gate = createGate(3, LONG_MS);
    let most = 0;
    const visit = () =>
      gate.pass(async () => {
        most = Math.max(most, gate.inside);
        await Promise.resolve();
      });
    await Promise.all(Array.from({ length: 500 }, () => visit().then(visit)));
    expect([most, gate.inside, gate.waiting]).toEqual([3, 0, 0]);
  });

  test('has room again after work that failed', async () => {
    const gate = createGate(1, LONG_MS);
    await expect(gate.pass(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await gate.pass(async () => 'in')).toBe('in');
  });

  test('turns away who waits too long, and says when to come again', async () => {
    let turnedAway = 0;
    const gate = createGate(1, 5, () => {
      turnedAway += 1;
      return tooBusy();
    });
    const { run, end } = openWork();
    const first = gate.pass(run);
    const late = gate.pass(async () => 'in');
    await expect(late).rejects.toMatchObject({ code: 'unavailable', retryable: true, retryAfterSeconds: 1 });
    expect([gate.waiting, turnedAway]).toEqual([0, 1]);
    end();
    await first;
    expect(await gate.pass(async () => 'in')).toBe('in');
  });

  test('forgets who goes away while waiting, and gives the place to the next', async () => {
    const gate = createGate(1, LONG_MS);
    const { run, end } = openWork();
    const first = gate.pass(run);
    const leaving = new AbortController();
    const gone = gate.pass(async () => 'never', leaving.signal);
    const next = gate.pass(async () => 'in');
    leaving.abort();
    await expect(gone).rejects.toMatchObject({ code: 'limit/time' });
    expect(gate.waiting).toBe(1);
    end();
    await first;
    expect(await next).toBe('in');
    expect(gate.inside).toBe(0);
  });

  test('does not let in who is gone already', async () => {
    const gate = createGate(1, LONG_MS);
    await expect(gate.pass(async () => 'never', AbortSignal.abort())).rejects.toMatchObject({ code: 'limit/time' });
    expect(gate.inside).toBe(0);
  });

  test('keeps the place of who stays until that is over, however it ends, though the answer is out', async () => {
    const gate = createGate(1, LONG_MS);
    for (const isGood of [true, false]) {
      const { promise: over, resolve, reject } = Promise.withResolvers<void>();
      const first = gate.pass(async stay => {
        stay(over);
        if (isGood) return 'out';
        throw new Error('out');
      });
      expect(await first.catch(error => error.message)).toBe('out');
      const next = gate.pass(async () => 'in');
      expect([gate.inside, gate.waiting]).toEqual([1, 1]);
      if (isGood) resolve();
      else reject(new Error('it broke'));
      expect(await next).toBe('in');
      expect([gate.inside, gate.waiting]).toEqual([0, 0]);
    }
  });

  test('keeps nothing of ten thousand who gave up', async () => {
    const gate = createGate(1, LONG_MS);
    const { run, end } = openWork();
    const first = gate.pass(run);
    const leaving = new AbortController();
    const all = Array.from({ length: 10_000 }, () => gate.pass(async () => {}, leaving.signal));
    leaving.abort();
    const results = await Promise.allSettled(all);
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    expect(gate.waiting).toBe(0);
    end();
    await first;
  });
});

describe('gates', () => {
  test('are one for each key, and whoever waits at one holds up nobody at another', async () => {
    const gates = createGates(1, LONG_MS);
    const { run, end } = openWork();
    const first = gates.pass('ann', run);
    const second = gates.pass('ann', async () => 'second');
    const other = gates.pass('bob', async () => 'other');
    expect(await other).toBe('other');
    end();
    await first;
    expect(await second).toBe('second');
  });

  test('are closed to one who stays, and to nobody else', async () => {
    const gates = createGates(1, 5);
    const { promise: over, resolve } = Promise.withResolvers<void>();
    await gates.pass('ann', async stay => stay(over));
    await expect(gates.pass('ann', async () => 'in')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await gates.pass('bob', async () => 'in')).toBe('in');
    resolve();
    await over;
    expect(await gates.pass('ann', async () => 'in')).toBe('in');
  });

  test('are fresh for who comes again, and as narrow as before', async () => {
    const gates = createGates(1, 5);
    await gates.pass('ann', async () => {});
    const { run, end } = openWork();
    const first = gates.pass('ann', run);
    await expect(gates.pass('ann', run)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(gates.pass('ann', run)).rejects.toMatchObject({ code: 'unavailable' });
    end();
    await first;
  });
});
