import { expect, test } from 'vitest';
import { didYouMean, orDidYouMean } from '../src/did-you-mean.ts';

const COLUMNS = ['id', 'total', 'title', 'created_at', 'customer', 'Straße'];

test.each([
  ['totl', 'total'],
  ['ttoal', 'total'],
  ['totals', 'total'],
  ['TOTAL', 'total'],
  ['titel', 'title'],
  ['creatd_a', 'created_at'],
  ['created', 'created_at'],
  ['cus', 'customer'],
  ['di', 'id'],
  ['ix', 'id'],
  ['strase', 'Straße'],
  ['xy', undefined],
  ['cu', undefined],
  ['total_amount', undefined],
  ['', undefined],
  ['x'.repeat(1_000_000), undefined],
])('%s', (word, meant) => {
  expect(didYouMean(word, COLUMNS)).toBe(meant);
});

test('the nearest wins, and the first of equals', () => {
  expect(didYouMean('tital', ['total', 'title'])).toBe('total');
  expect(didYouMean('role', ['roles', 'role_name', 'rolf'])).toBe('roles');
});

test('the end of a sentence, or none', () => {
  expect(orDidYouMean('totl', COLUMNS)).toBe('; did you mean `total`?');
  expect(orDidYouMean('colour', COLUMNS)).toBe('');
});
