import { describe, expect, test } from 'vitest';
import {
  type ColumnComment,
  readCheckComment,
  readColumnComment,
  writeCheckComment,
  writeColumnComment,
} from '../../src/tables/comment.ts';
import { readDefault } from '../../src/tables/default.ts';
import { describeCheck } from '../../src/tables/describe-check.ts';
import { assertName } from '../../src/tables/name.ts';
import { arrayLiteral, quoteQualified } from '../../src/tables/quote.ts';

describe('names', () => {
  test.each(['a', 'orders', 'a1_b', `a${'b'.repeat(62)}`, 'select', 'user'])('%s will do', name => {
    expect(() => assertName('column', name)).not.toThrow();
  });

  test.each([
    '',
    'A',
    '1a',
    '_a',
    'pg_x',
    'a b',
    'a"b',
    "a'b",
    'a;drop table b',
    'ä',
    'a\n',
    `a${'b'.repeat(63)}`,
    '__proto__',
  ])('%j is refused', name => {
    expect(() => assertName('table', name)).toThrow(expect.objectContaining({ code: 'table/bad-name' }));
  });

  test.each(['and', 'or', 'not', 'ctid', 'xmin'])('no column is called %s', name => {
    expect(() => assertName('column', name)).toThrow(expect.objectContaining({ code: 'table/bad-name' }));
    expect(() => assertName('table', name)).not.toThrow();
  });

  test('whatever a table made elsewhere is called, it stays one name', () => {
    expect(quoteQualified('a"b', 'x"; drop table y; --')).toBe('"a""b"."x""; drop table y; --"');
  });

  test('a list is one parameter', () => {
    expect(arrayLiteral(['a', null, 'NULL', '', 'x,"y\\'])).toBe('{"a",NULL,"NULL","","x,\\"y\\\\"}');
  });
});

describe('comments', () => {
  const [table, column] = ['6f0c0000-0000-4000-8000-00000000000a', '6f0c0000-0000-4000-8000-00000000000b'];
  const OPEN = { kind: 'other', sealed: undefined } as const;
  const SEALED = { kind: 'email', sealed: { type: 'text', tableId: table, columnId: column } } as const;
  const MARK = `[pii email text ${table} ${column}]`;

  test.each([
    [null, { text: undefined, mark: undefined }],
    ['', { text: undefined, mark: undefined }],
    ['Mail address', { text: 'Mail address', mark: undefined }],
    ['[pii]', { text: undefined, mark: OPEN }],
    ['Mail\naddress\n[pii]\n', { text: 'Mail\naddress', mark: OPEN }],
    [`Mail\n${MARK}`, { text: 'Mail', mark: SEALED }],
    [`${MARK}\n[pii]`, { text: undefined, mark: OPEN }],
    ['[pii phone]', { text: undefined, mark: { kind: 'phone', sealed: undefined } }],
    ['about [pii]', { text: 'about [pii]', mark: undefined }],
    ['[pii]\nafter it', { text: '[pii]\nafter it', mark: undefined }],
    ['[pii e-mail]', { text: '[pii e-mail]', mark: undefined }],
    [`[pii email text ${table}]`, { text: `[pii email text ${table}]`, mark: undefined }],
    [MARK.replace('text', 'boolean'), { text: MARK.replace('text', 'boolean'), mark: undefined }],
    [MARK.toUpperCase(), { text: MARK.toUpperCase(), mark: undefined }],
  ])('%j is read', (comment, read) => {
    expect(readColumnComment(comment)).toEqual(read);
  });

  test.each<[Partial<ColumnComment>, string]>([
    [{ text: 'Mail', mark: OPEN }, 'Mail\n[pii other]'],
    [{ mark: SEALED }, MARK],
    [{ text: 'Mail', mark: SEALED }, `Mail\n${MARK}`],
    [{}, ''],
    [{ text: 'Mail\n [pii] \n[pii]', mark: undefined }, 'Mail'],
    [{ text: '[pii]', mark: undefined }, ''],
    [{ text: `mine\n${MARK.replace(column, table)}`, mark: SEALED }, `mine\n${MARK}`],
    [{ text: MARK, mark: undefined }, ''],
  ])('%j is written, and text cannot set the mark', (comment, written) => {
    expect(writeColumnComment(comment)).toBe(written);
    expect(readColumnComment(written).mark).toEqual(comment.mark);
  });

  test('a check comes back as it was asked for', () => {
    const check = { min: 0, max: '99999999999999999999', one_of: ['a', 1], pattern: "^[a-z]'$" };
    expect(readCheckComment(writeCheckComment(check))).toEqual(check);
  });

  test.each([null, '', 'people wrote this', '{', '{"min":{}}', '{"one_of":"a"}', '[1]'])(
    '%j is no check of ours',
    text => {
      expect(readCheckComment(text)).toBeUndefined();
    },
  );

  test('a check is told in words', () => {
    expect(describeCheck({ min: 0, max: 10 })).toBe('be at least 0 and be at most 10');
    expect(describeCheck({ one_of: ['new', 'paid'] })).toBe('be one of new, paid');
  });
});

describe('defaults, as Postgres prints them', () => {
  test.each([
    ["'it''s'::text", 'text', { literal: "it's" }],
    ["'a\\b'::text", 'text', { literal: 'a\\b' }],
    ['0', 'integer', { literal: 0 }],
    ["'-5'::integer", 'integer', { literal: -5 }],
    ['(-5)', 'integer', { literal: -5 }],
    ["'9007199254740993'::bigint", 'bigint', { literal: '9007199254740993' }],
    ['1.50', 'numeric', { literal: 1.5 }],
    ['true', 'boolean', { literal: true }],
    ["'2026-01-31'::date", 'date', { literal: '2026-01-31' }],
    ["'2026-01-31 09:30:00+00'::timestamp with time zone", 'timestamp', { literal: '2026-01-31T09:30:00Z' }],
    ['\'{"a": 1}\'::jsonb', 'json', { literal: { a: 1 } }],
    ['now()', 'timestamp', { now: true }],
    ['CURRENT_TIMESTAMP', 'timestamp', { now: true }],
    ['CURRENT_DATE', 'date', { now: true }],
    ['(now())::date', 'date', { now: true }],
    ['gen_random_uuid()', 'uuid', { gen_uuid: true }],
    ['axe_prod._uuid7()', 'uuid', { gen_uuid: true }],
    ["nextval('t_id_seq'::regclass)", 'integer', { expression: "nextval('t_id_seq'::regclass)" }],
    ["('a'::text || 'b'::text)", 'text', { expression: "('a'::text || 'b'::text)" }],
    ["'10.0.0.1'::inet", undefined, { expression: "'10.0.0.1'::inet" }],
  ] as const)('%s', (text, type, read) => {
    expect(readDefault(text, type)).toEqual(read);
  });
});
