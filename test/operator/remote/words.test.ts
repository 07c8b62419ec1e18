import { describe, expect, test } from 'vitest';
import { age, duration, inColumns, size } from '../../../src/operator/remote/measure.ts';
import { plain, plainJson, plainLines } from '../../../src/operator/remote/plain.ts';

/** What a terminal, or the eye, would obey. */
const HOSTILE = [
  '\x1b[2J\x1b[H',
  '\x1b]0;title\x07',
  '\x1b]52;c;cm0gLXJmIC8=\x07',
  '\x9b31m',
  'ok\rfailed',
  'a\nb',
  '\u202etxt.exe',
  '\u2028',
  '\u200b',
  '\ud800',
  '\u{e0001}',
  '\x7f',
];

describe('text of a machine', () => {
  test.each(HOSTILE.map(text => [JSON.stringify(text), text]))('%s is shown, not obeyed', (_, text) => {
    expect(plain(text)).toMatch(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+$/u);
    expect(plain(text)).toContain('\\');
  });

  test('what is only text stays as it is', () => {
    expect(plain('„Größe“ 東京 🎉 ~$()`"\\')).toBe('„Größe“ 東京 🎉 ~$()`"\\');
    expect(plain('a\tb')).toBe('a b');
  });

  test('a line without end has one', () => {
    expect(plain('x'.repeat(1_000_000)).length).toBeLessThan(3_000);
  });

  test('lines stay lines, and each is harmless', () => {
    expect(plainLines('one\r\ntwo\x1b[31m\nthree\n\n')).toEqual(['one', 'two\\x1b[31m', 'three']);
  });

  test('JSON means the same, and moves no cursor', () => {
    for (const text of HOSTILE) {
      expect(plainJson({ text })).toMatch(/^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+$/u);
      expect(JSON.parse(plainJson({ text }))).toEqual({ text });
    }
  });
});

test.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [999.6, '1.0 s'],
  [59_949, '59.9 s'],
  [59_950, '1 min 00 s'],
  [125_000, '2 min 05 s'],
  [7_260_000, '121 min 00 s'],
])('%d ms are %s', (ms, text) => expect(duration(ms)).toBe(text));

test.each([
  [-5, '0 s'],
  [119, '119 s'],
  [120, '2 min'],
  [7_200, '2 h'],
  [172_800, '2 days'],
])('%d seconds ago are %s', (seconds, text) => expect(age(seconds)).toBe(text));

test.each([
  [0, '0 kB'],
  [1, '1 kB'],
  [99_499, '100 kB'],
  [99_500, '0.1 MB'],
  [9_949_999, '9.9 MB'],
  [34_000_000, '34 MB'],
  [999_400_000, '999 MB'],
  [1_250_000_000, '1.3 GB'],
])('%d bytes are %s', (bytes, text) => expect(size(bytes)).toBe(text));

test('columns are as wide as their widest cell, and nothing stands behind the last', () => {
  expect(inColumns([['a', 'long', 'x'], ['bbb', '', ''], []])).toEqual(['a    long  x', 'bbb', '']);
});
