import { describe, expect, test } from 'vitest';
import { planBatches, runBatches } from '../../../src/operator/remote/batches.ts';

const all = ['a', 'b', 'c', 'd', 'e', 'f'].map(id => ({ id }));
const plan = (canary: string | undefined, size: number, from = all) =>
  planBatches(from, { canary, size }).map(batch => batch.map(({ id }) => id).join(''));

describe('the order', () => {
  test.each([
    [undefined, 2, 'a bc de f'],
    ['d', 2, 'd ab ce f'],
    ['d', 100, 'd abcef'],
    ['a', 1, 'a b c d e f'],
    ['nobody of these', 3, 'a bcd ef'],
  ])('canary %s, %d at once: %s', (canary, size, order) => expect(plan(canary, size).join(' ')).toBe(order));

  test('one goes alone, and nobody goes nowhere', () => {
    expect(plan('a', 3, [{ id: 'a' }])).toEqual(['a']);
    expect(plan('a', 3, [])).toEqual([]);
  });
});

describe('the run', () => {
  const run = (failing: string, size = 2) => {
    const begun: string[] = [];
    return runBatches(
      planBatches(all, { canary: undefined, size }),
      async ({ id }) => {
        begun.push(id);
        await new Promise(resolve => setImmediate(resolve));
        return { id, failed: failing.includes(id) };
      },
      ({ failed }) => failed,
    ).then(({ results, untouched }) => ({
      begun: begun.join(''),
      ended: results.map(({ id }) => id).join(''),
      untouched: untouched.map(({ id }) => id).join(''),
    }));
  };

  test.each([
    ['', 'abcdef', ''],
    ['a', 'a', 'bcdef'],
    ['b', 'abc', 'def'],
    ['c', 'abc', 'def'],
    ['f', 'abcdef', ''],
  ])('%j fails: %s were begun and ended, %j is untouched', async (failing, begun, untouched) => {
    expect(await run(failing)).toEqual({ begun, ended: begun, untouched });
  });
});
