import { expect, test } from 'vitest';
import { createLocalLimit } from '../../src/access/local-limit.ts';

const open = (perMinute: number) => {
  const clock = { now: 1_000_000 };
  return { clock, limit: createLocalLimit(perMinute, () => clock.now) };
};

test('so many in a minute, each for themselves, and it says how long to wait', () => {
  const { clock, limit } = open(2);
  expect([limit.take('a'), limit.isSpent('a'), limit.take('a'), limit.isSpent('a')]).toEqual([
    undefined,
    false,
    undefined,
    true,
  ]);
  clock.now += 14_500;
  expect(limit.take('a')).toBe(46);
  expect([limit.isSpent('b'), limit.take('b')]).toEqual([false, undefined]);
  clock.now += 45_500;
  expect([limit.isSpent('a'), limit.take('a')]).toEqual([false, undefined]);
});

test('asking counts nothing', () => {
  const { limit } = open(1);
  for (let i = 0; i < 5; i += 1) expect(limit.isSpent('a')).toBe(false);
  expect(limit.take('a')).toBeUndefined();
});

test('a clock that was set back makes nobody wait longer', () => {
  const { clock, limit } = open(1);
  limit.take('a');
  clock.now -= 3_600_000;
  expect(limit.isSpent('a')).toBe(false);
  expect(limit.take('a')).toBeUndefined();
  expect(limit.take('a')).toBe(60);
});

test('a crowd makes it forget who came first, not everybody', () => {
  const { limit } = open(1);
  for (let i = 0; i <= 10_000; i += 1) limit.take(`${i}`);
  expect([limit.isSpent('0'), limit.isSpent('1'), limit.isSpent('10000')]).toEqual([false, true, true]);
});
