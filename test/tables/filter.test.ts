import { describe, expect, test } from 'vitest';
import { compileFilter } from '../../src/tables/filter.ts';
import { outlineFilter } from '../../src/tables/outline.ts';
import { createParameters } from '../../src/tables/statement.ts';
import { errorOf, sampleColumn, sampleTable } from './sample-table.ts';

const table = sampleTable([
  sampleColumn('customer', 'text'),
  sampleColumn('total', 'numeric'),
  sampleColumn('quantity', 'integer'),
  sampleColumn('paid', 'boolean'),
  sampleColumn('meta', 'json'),
  { ...sampleColumn('ip', 'text'), type: undefined, postgresType: 'inet', castType: 'inet' },
]);

function compile(where: Record<string, unknown> | undefined) {
  const parameters = createParameters();
  const { text, conditions } = compileFilter(table, where, parameters);
  return { text, conditions, params: parameters.values };
}

describe('a filter', () => {
  test.each<[Record<string, unknown>, string, (string | null)[]]>([
    [{ customer: 'Acme' }, '("customer" = $1::text)', ['Acme']],
    [{ total: null }, '("total" is null)', []],
    [{ total: { eq: null } }, '("total" is null)', []],
    [{ quantity: [1, 2] }, '("quantity" = any($1::text::integer[]))', ['{"1","2"}']],
    [{ quantity: [] }, '("quantity" = any($1::text::integer[]))', ['{}']],
    [{ quantity: [1, null] }, '("quantity" = any($1::text::integer[]) or "quantity" is null)', ['{"1"}']],
    [{ customer: { ne: 'a' } }, '(("customer" = $1::text) is not true)', ['a']],
    [{ customer: { ne: null } }, '(("customer" is null) is not true)', []],
    [{ customer: { not_in: ['a"\\'] } }, '(("customer" = any($1::text::text[])) is not true)', ['{"a\\"\\\\"}']],
    [
      { total: { gte: 1.5, lt: '2' } },
      '(("total" >= $1::text::numeric) and ("total" < $2::text::numeric))',
      ['1.5', '2'],
    ],
    [{ total: { between: [1, 2] } }, '("total" between $1::text::numeric and $2::text::numeric)', ['1', '2']],
    [{ customer: { like: 'a%' } }, '("customer" like $1::text)', ['a%']],
    [{ customer: { ilike: '_a' } }, '("customer" ilike $1::text)', ['_a']],
    [{ customer: { contains: '50%_\\' } }, '("customer" like $1::text)', ['%50\\%\\_\\\\%']],
    [{ customer: { starts_with: '%' } }, '("customer" like $1::text)', ['\\%%']],
    [{ ip: { like: '10.%' } }, '("ip"::text like $1::text)', ['10.%']],
    [{ ip: { gt: '10.0.0.1' } }, '("ip" > $1::text::inet)', ['10.0.0.1']],
    [{ customer: { is_null: false } }, '("customer" is not null)', []],
    [{ meta: { eq: { a: 1 } } }, '("meta" = $1::text::jsonb)', ['{"a":1}']],
    [{ paid: true, quantity: 1 }, '(("paid" = $1::text::boolean) and ("quantity" = $2::text::integer))', ['true', '1']],
    [{ not: { paid: true } }, '(("paid" = $1::text::boolean) is not true)', ['true']],
    [
      { or: [{ paid: true }, { and: [{ quantity: 1 }, { total: 2 }] }] },
      '(("paid" = $1::text::boolean) or (("quantity" = $2::text::integer) and ("total" = $3::text::numeric)))',
      ['true', '1', '2'],
    ],
  ])('%j', (where, text, params) => {
    expect(compile(where)).toMatchObject({ text, params });
  });

  test.each([undefined, {}])('%j matches every row', where => {
    expect(compile(where)).toEqual({ text: 'true', conditions: 0, params: [] });
  });

  test('values never reach the text of a statement', () => {
    const hostile = `'); drop table orders; -- $1 "`;
    const { text, params } = compile({ customer: { eq: hostile, contains: hostile, in: [hostile] } });
    expect(text).not.toContain('drop');
    expect(params).toHaveLength(3);
  });
});

describe('a wrong filter names the place and a way out', () => {
  test.each<[Record<string, unknown>, string, RegExp, RegExp]>([
    [{ totl: 1 }, 'table/no-such-column', /^`where\.totl`: no column `totl`; did you mean `total`\?$/, /total/],
    [{ and: [{ paid: true }, { totl: 1 }] }, 'table/no-such-column', /^`where\.and\[1\]\.totl`: no column/, /./],
    [{ zzz: 1 }, 'table/no-such-column', /^`where\.zzz`: no column `zzz` in `orders`\.$/, /Columns of `orders`: id, /],
    [{ ['x'.repeat(500)]: 1 }, 'table/no-such-column', /^.{1,250}$/, /./],
    [{ total: { gtt: 1 } }, 'args/invalid', /^`where\.total\.gtt`: no operator `gtt`/, /Did you mean `gt`\?/],
    [{ meta: { a: 1 } }, 'args/invalid', /no operator `a`/, /write \{ "eq": \{…\} \}/],
    [
      { meta: { gt: 1 } },
      'args/invalid',
      /`gt` does not work on a column of type json/,
      /eq, ne, in, not_in, is_null\./,
    ],
    [{ total: { like: '1%' } }, 'args/invalid', /`like` does not work on a column of type numeric/, /between/],
    [{ paid: { gt: true } }, 'args/invalid', /`gt` does not work/, /./],
    [{ total: { gt: null } }, 'args/invalid', /null is neither more nor less/, /is_null/],
    [{ total: {} }, 'args/invalid', /^`where\.total`: there is no operator/, /./],
    [{ total: { between: [1] } }, 'args/invalid', /takes \[low, high\]/, /^$/],
    [{ total: { between: 1 } }, 'args/invalid', /takes a list/, /^$/],
    [{ total: { in: 1 } }, 'args/invalid', /takes a list/, /^$/],
    [{ total: { is_null: 'yes' } }, 'args/invalid', /true or false/, /^$/],
    [{ and: {} }, 'args/invalid', /^`where\.and`: this takes a list/, /^$/],
    [{ or: [] }, 'args/invalid', /^`where\.or`: the list is empty/, /^$/],
    [{ or: [{}] }, 'args/invalid', /^`where\.or\[0\]`: there is no condition/, /^$/],
    [{ or: [1] }, 'args/invalid', /^`where\.or\[0\]`: this takes an object/, /^$/],
    [{ not: [] }, 'args/invalid', /^`where\.not`: this takes an object/, /^$/],
    [{ quantity: ['a'] }, 'row/bad-value', /^`where\.quantity\[0\]` must be a whole number/, /^$/],
    [{ quantity: { in: [1, 2.5] } }, 'row/bad-value', /^`where\.quantity\.in\[1\]` must be/, /^$/],
    [{ total: [['a']] }, 'row/bad-value', /not a list\.$/, /^$/],
    [{ constructor: 1 }, 'table/no-such-column', /no column `constructor`/, /./],
    [{ total: { constructor: 1 } }, 'args/invalid', /no operator `constructor`/, /./],
  ])('%j', (where, code, message, hint) => {
    const error = errorOf(() => compile(where));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect((error as { hint?: string }).hint ?? '').toMatch(hint);
  });

  test('eight levels deep, and no deeper', () => {
    const nest = (levels: number): Record<string, unknown> =>
      levels === 1 ? { paid: true } : { not: nest(levels - 1) };
    expect(compile(nest(8)).conditions).toBe(1);
    expect(() => compile(nest(9))).toThrow(/nested 8 deep/);
  });

  test('two hundred conditions, and no more', () => {
    const many = (count: number) => ({ or: Array.from({ length: count }, () => ({ quantity: 1 })) });
    expect(compile(many(200)).conditions).toBe(200);
    expect(() => compile(many(201))).toThrow(/more than 200/);
    expect(compile({ quantity: Array.from({ length: 5000 }, (_, i) => i) }).conditions).toBe(1);
  });
});

describe('the outline for the audit', () => {
  test('has columns and operators, never a value', () => {
    const where = {
      customer: 'secret',
      total: { gt: 1, lt: 2 },
      or: [{ quantity: [1, 2, 3] }, { not: { paid: true } }],
      'a secret slipped': 1,
      meta: { secret: 1 },
    };
    const outline = outlineFilter(where);
    expect(outline).toEqual(['customer eq', 'total gt lt', 'or(quantity in[3], not(paid eq))', '? eq', 'meta ?']);
    expect(JSON.stringify(outline)).not.toContain('secret');
  });

  test.each([null, 'x', [], { and: 'x' }, { or: [1, null] }, { not: null }])('never throws on %j', where => {
    expect(outlineFilter(where)).toBeInstanceOf(Array);
  });

  test('stays short', () => {
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`c${i}`, 1]));
    expect(outlineFilter(wide)).toHaveLength(20);
  });
});
