import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DatabaseServer, OwnerConnection } from '../../../src/database/server.ts';
import { sqlLiteral, typedLiteral } from '../../../src/tables/schema/literal.ts';
import { sharedPostgres } from '../../support/postgres.ts';

let server: DatabaseServer;
let owner: OwnerConnection;

beforeAll(async () => {
  server = await sharedPostgres();
  owner = await server.connectAsOwner('postgres');
});
afterAll(async () => {
  await owner?.close();
  await server?.close();
});

const HOSTILE = [
  "it's",
  "''",
  "'",
  "'; drop table users; --",
  '\\',
  "\\'",
  "\\'; select 1; --",
  "\\\\'",
  "E'\\''",
  '$$ $1 $tag$ ?',
  '/* -- */',
  'line\nbreak\ttab\r\b\f\x01\x7f',
  '\\x41 \\101 \\u0041 \\n',
  '"quoted" %s %I {}',
  'ʼ＇′‘’\u02bc\uff07',
  'e\u0301 \u202e 😀 \ufeff',
  '',
  ' ',
];

describe.each(['on', 'off'])('with standard_conforming_strings %s', setting => {
  beforeAll(() => owner.script(`set standard_conforming_strings = ${setting}; set escape_string_warning = off`));

  test.each(HOSTILE)('%j is read back as it was', async text => {
    expect((await owner.query(`select ${sqlLiteral(text)}::text`)).rows).toEqual([[text]]);
  });

  test('so is any mixture of what quotes and escapes', async () => {
    const letters = ["'", '\\', '"', '$', ';', '-', 'a', ' ', '\n', 'E', 'U&', '%'];
    const texts = Array.from({ length: 400 }, (_, i) =>
      Array.from({ length: 8 }, (_, k) => letters[(i * 31 + k * k * 17 + ((i * (k + 3)) % 7)) % letters.length]).join(
        '',
      ),
    );
    const { rows } = await owner.query(`select ${texts.map(text => `${sqlLiteral(text)}::text`).join(', ')}`);
    expect(rows[0]).toEqual(texts);
  });
});

test.each(['a\0b', '\ud800', 'a\udc00'])('%j cannot be stored and is refused', text => {
  expect(() => sqlLiteral(text)).toThrow(expect.objectContaining({ code: 'args/invalid' }));
  expect(() => typedLiteral(text, 'text')).toThrow(expect.objectContaining({ code: 'args/invalid' }));
});
