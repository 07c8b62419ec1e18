import { expect, test, vi } from 'vitest';
import { toFound } from '../../../src/tools/data/found-rows.ts';

const namesOf = (names: readonly string[]) =>
  toFound({ fields: names.map(name => ({ name, type: 25 })), rows: [] } as never).columns;

test.each([
  [
    ['a', 'a', 'a'],
    ['a', 'a_2', 'a_3'],
  ],
  [
    ['a', 'a_2', 'a', 'a'],
    ['a', 'a_2', 'a_3', 'a_4'],
  ],
  [
    ['a', 'a', 'a_2', 'a_2', 'a_3'],
    ['a', 'a_4', 'a_2', 'a_2_2', 'a_3'],
  ],
  [
    ['?column?', '?column?', '__proto__', '__proto__'],
    ['?column?', '?column?_2', '__proto__', '__proto___2'],
  ],
])('%j are told apart', (names, expected) => {
  expect(namesOf(names)).toEqual(expected);
});

test('very many columns of one name are each looked at once', () => {
  const looked = vi.spyOn(Set.prototype, 'has');
  try {
    const names = namesOf(Array(1600).fill('a'));
    expect(names.at(-1)).toBe('a_1600');
    expect(looked.mock.calls.length).toBeLessThan(4000);
  } finally {
    looked.mockRestore();
  }
});
