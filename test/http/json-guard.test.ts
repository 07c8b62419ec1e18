import { describe, expect, test } from 'vitest';
import { MAX_DEPTH, MAX_TOKENS, parseJson } from '../../src/http/json-guard.ts';

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const numbers = (count: number) => `[${Array(count).fill('1').join(',')}]`;

describe('what passes is what JSON.parse makes of it', () => {
  test.each([
    ['{}'],
    ['[]'],
    ['null'],
    ['"text"'],
    ['-1.5e-3'],
    [' \n\t\r{ "a" : [ 1 , true , false , null , "x" ] } '],
    ['{"a":{"a":1},"b":[{"a":1},{"a":2}],"c":"a"}'],
    ['{"x":"__proto__","y":["__proto__"]}'],
    ['{"constructor":1,"toString":2,"hasOwnProperty":3}'],
    ['"\\"\\\\\\"{[,:]}"'],
    ['{"\\\\":1,"\\"":2}'],
    ['"\\ud83d\\ude00"'],
    ['"\\u0000"'],
    ['{"":1}'],
    ['9007199254740992'],
    ['0.30000000000000004'],
    ['-1.50e-3'],
    ['100000000000000000000'],
    [nested(MAX_DEPTH)],
    [numbers(MAX_TOKENS - 1)],
  ])('%s', text => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });
});

describe('numbers that a double cannot hold', () => {
  test.each([
    '12345678901234567891',
    '-9007199254740993',
    '0.10000000000000000001',
    '1e400',
    '-1E+999',
    '1e-400',
    '4.9e-324',
    '1234567.12345678901234567890',
  ])('%s is a text in the call of a tool, over MCP and HTTP, and refused elsewhere', number => {
    const call = `{"id":1,"params":{"name":"t","arguments":{"a":[{"b":${number}}],"c":1.5}}}`;
    const made = { id: 1, params: { name: 't', arguments: { a: [{ b: number }], c: 1.5 } } };
    expect(parseJson(call)).toEqual(made);
    expect(parseJson(`[${call},{"id":2}]`)).toEqual([made, { id: 2 }]);
    expect(parseJson(`{"tool":"t","params":{"a":${number}}}`)).toEqual({ tool: 't', params: { a: number } });
    expect(parseJson(`{"params":{"a":${number}},"tool":"t"}`)).toEqual({ tool: 't', params: { a: number } });
    for (const body of [
      number,
      `[${number}]`,
      `{"id":${number},"params":{"a":1}}`,
      `{"params":{"arguments":{"a":1}},"id":${number}}`,
      `{"params":{"a":${number}},"jsonrpc":"2.0"}`,
      `{"params":{"arguments":{},"_meta":{"a":${number}}}}`,
      `[{"tool":"t"},{"params":{"a":${number}}}]`,
      `{"other":{"params":{"a":${number}}}}`,
      `{"jsonrpc":"params","params":"arguments","id":${number}}`,
    ]) {
      expect(() => parseJson(body)).toThrow(expect.objectContaining({ code: 'args/malformed' }));
    }
  });

  test.each(['0', '-0.000', '0e999', '5e-324', '1.7976931348623157e308', '0.1', '9007199254740992', '1e22'])(
    '%s is none of them',
    number => {
      expect(parseJson(`{"params":{"arguments":${number}}}`)).toEqual({ params: { arguments: Number(number) } });
    },
  );

  test.each(['NaN', '-Infinity', '0x10', '01', '1e', '.5', '12345678901234567891x'])('%s is no number', word => {
    expect(() => parseJson(`{"params":{"arguments":{"a":${word}}}}`)).toThrow(
      expect.objectContaining({ code: 'args/malformed' }),
    );
  });
});

describe('F15, F16: what is refused', () => {
  test.each([
    ['a level too deep', nested(MAX_DEPTH + 1)],
    ['a level too deep, in objects', '{"a":'.repeat(MAX_DEPTH + 1)],
    ['a million levels', '['.repeat(1_000_000)],
    ['a token too many', numbers(MAX_TOKENS)],
    ['half a million empty objects', `[${Array(500_000).fill('{}').join(',')}]`],
    ['a million keys', `{${Array.from({ length: 1_000_000 }, (_, i) => `"${i}":0`).join(',')}}`],
    ['a key twice', '{"a":1,"a":1}'],
    ['a key twice, with others between', '{"a":1,"b":{"a":1},"a":2}'],
    ['a key twice, once in disguise', '{"a":1,"\\u0061":2}'],
    ['__proto__', '{"__proto__":{"admin":true}}'],
    ['__proto__ in disguise', '{"\\u005f\\u005fproto__":1}'],
    ['__proto__ deep inside', '[{"a":[{"__proto__":1}]}]'],
    ['a number beyond all numbers', '[1e400]'],
    ['a number beyond all numbers, negative', '-1E+999'],
    ['half a surrogate pair', '"\\ud800"'],
    ['half a surrogate pair as a key', '{"\\udc00":1}'],
    ['a byte order mark', '\ufeff{}'],
    ['nothing', ''],
    ['an open string', '"abc'],
    ['an open string that ends in an escape', '"abc\\"'],
    ['an unknown escape', '"\\x41"'],
    ['an escape cut short', '"\\u12"'],
    ['a trailing comma', '[1,]'],
    ['two values', '{} {}'],
    ['the wrong bracket', '[}'],
    ['too many brackets', ']]]]'],
    ['a hundred thousand zeros before the last digit', `[0.1${'0'.repeat(100_000)}1]`],
    // Patterns that begin anew at each of these would hold up everybody for minutes.
    ['a megabyte of exponents, and a line of another kind', `${'e'.repeat(1_000_000)}\u2028`],
    ['the same behind a digit', `[1${'E'.repeat(1_000_000)}\u2029]`],
    ['a megabyte of signs', `{"params":{"arguments":{"x":${'-.'.repeat(500_000)}}}}`],
    ['NaN', 'NaN'],
    ['Infinity', '[-Infinity]'],
    ['hexadecimal', '0x10'],
    ['a leading zero', '01'],
    ['a comment', '{}//'],
    ['single quotes', "{'a':1}"],
    ['a bare word', '{a:1}'],
    ['a control character in a string', '"\n"'],
  ])('%s', (_, text) => {
    expect(() => parseJson(text)).toThrow(expect.objectContaining({ code: 'args/malformed' }));
  });
});

test('F16: nothing ever reaches a prototype', () => {
  const parsed = parseJson('{"constructor":{"prototype":{"polluted":1}}}');
  expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
  expect({}).not.toHaveProperty('polluted');
});
