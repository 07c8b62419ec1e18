import { beforeEach, expect, test } from 'vitest';
import { createTokenMemory, type TokenMemory } from '../../src/access/token-memory.ts';

let clock: number;
let memory: TokenMemory<string>;

beforeEach(() => {
  clock = 1000;
  memory = createTokenMemory(3, () => clock);
});

test('recalls what it was told, until then', () => {
  memory.remember('a', 'Ada', 2000);
  clock = 1999;
  expect(memory.recall('a')).toBe('Ada');
  clock = 2000;
  expect(memory.recall('a')).toBeUndefined();
  clock = 1000;
  expect(memory.recall('a')).toBeUndefined();
});

test('F11: recalls nothing when the clock was set back, for nobody knows how old it is', () => {
  memory.remember('a', 'Ada', 2000);
  clock = 999;
  expect(memory.recall('a')).toBeUndefined();
});

test('knows nothing of tokens it was not told of', () => {
  memory.remember('a', 'Ada', 2000);
  expect(['', 'A', 'a ', 'aa'].map(token => memory.recall(token))).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test('remembering again replaces', () => {
  memory.remember('a', 'Ada', 2000);
  memory.remember('a', 'Eve', 3000);
  clock = 2500;
  expect(memory.recall('a')).toBe('Eve');
});

test('is bounded: the one that was not asked for longest goes', () => {
  for (const token of ['a', 'b', 'c']) memory.remember(token, token, 2000);
  memory.recall('a');
  memory.remember('d', 'd', 2000);
  expect(['a', 'b', 'c', 'd'].map(token => memory.recall(token))).toEqual(['a', undefined, 'c', 'd']);
});

test('stays bounded under a flood', () => {
  for (let n = 0; n < 10_000; n++) memory.remember(`token-${n}`, String(n), 2000);
  const known = Array.from({ length: 10_000 }, (_, n) => memory.recall(`token-${n}`)).filter(
    finding => finding !== undefined,
  );
  expect(known).toEqual(['9997', '9998', '9999']);
});

test('of no size remembers nothing', () => {
  const none = createTokenMemory<string>(0, () => clock);
  none.remember('a', 'Ada', 2000);
  expect(none.recall('a')).toBeUndefined();
});

test('forgets what it is told to, and nothing else', () => {
  memory.remember('a', 'Ada', 2000);
  memory.remember('b', 'Bob', 2000);
  memory.remember('c', 'Ada', 2000);
  memory.forget(finding => finding === 'Ada');
  expect(['a', 'b', 'c'].map(token => memory.recall(token))).toEqual([undefined, 'Bob', undefined]);
});
