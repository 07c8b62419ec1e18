import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../src/audit/canonical-json.ts';

describe('one form per value', () => {
  test('keys stand in the order of RFC 8785: UTF-16 code units, at every depth', () => {
    // The example of RFC 8785 §3.2.3; an emoji (surrogates) sorts before U+FB33.
    const keys = ['\u20ac', '\r', '\ufb33', '1', '\u{1f600}', '\u0080', '\u00f6'];
    const text = canonicalJson({ z: Object.fromEntries(keys.map(key => [key, 0])) });
    expect([...text.matchAll(/"((?:[^"\\]|\\.)+)":0/g)].map(([, key]) => key)).toEqual([
      '\\r',
      '1',
      '\u0080',
      '\u00f6',
      '\u20ac',
      '\u{1f600}',
      '\ufb33',
    ]);
  });

  test('keys that look like array indexes are no exception', () => {
    expect(canonicalJson({ 9: 1, 10: 2, b: 3, a: [{ 2: 0, 11: 0 }] })).toBe(
      '{"10":2,"9":1,"a":[{"11":0,"2":0}],"b":3}',
    );
  });

  test('the order of insertion does not matter', () => {
    expect(canonicalJson({ b: 1, a: { d: 2, c: 3 } })).toBe(canonicalJson({ a: { c: 3, d: 2 }, b: 1 }));
  });

  test.each([
    [1e21, '1e+21'],
    [-0, '0'],
    [0.1, '0.1'],
    [true, 'true'],
    [null, 'null'],
    ['\u000f\n"\\', '"\\u000f\\n\\"\\\\"'],
  ])('%s is written as %s', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });
});

describe('what JSON or Postgres cannot hold', () => {
  test.each([
    ['NUL', 'a\0b', '"a\ufffdb"'],
    ['a lone surrogate', 'a\ud83d', '"a\ufffd"'],
    ['a whole emoji stays', '😀', '"😀"'],
    ['a big integer', 2n ** 70n, '"1180591620717411303424"'],
    ['no number', Number.NaN, 'null'],
    ['infinity', [Number.NEGATIVE_INFINITY], '[null]'],
    ['a hole', new Array(2), '[null,null]'],
    ['undefined members', { a: undefined, b: [undefined] }, '{"b":[null]}'],
    ['a function', { a: () => 1 }, '{"a":null}'],
  ])('%s', (_, value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  test('keys that become one are written once', () => {
    expect(canonicalJson({ 'a\0': 1, 'a\ufffd': 2 })).toBe('{"a\ufffd":2}');
  });

  test('keys of the prototype are keys like others', () => {
    const hostile = JSON.parse('{"__proto__":{"admin":true},"constructor":1,"toString":2}');
    expect(canonicalJson(hostile)).toBe('{"__proto__":{"admin":true},"constructor":1,"toString":2}');
    expect(canonicalJson(Object.create({ inherited: 1 }))).toBe('{}');
  });
});
