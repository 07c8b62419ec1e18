import { describe, expect, test } from 'vitest';
import { afterPosition, orderText, parseOrder } from '../../src/tables/order.ts';
import { createParameters } from '../../src/tables/statement.ts';
import { sampleColumn, sampleTable } from './sample-table.ts';

const table = sampleTable([
  sampleColumn('name', 'text', { required: true }),
  sampleColumn('total', 'numeric'),
  sampleColumn('meta', 'json'),
]);

function rowsAfter(orderBy: string[], position: (string | null)[]) {
  const parameters = createParameters();
  return { text: afterPosition(parseOrder(table, orderBy), position, parameters), params: parameters.values };
}

describe('an order', () => {
  test.each([
    [undefined, ' order by "id"'],
    [[], ' order by "id"'],
    [['name'], ' order by "name", "id"'],
    [['-name'], ' order by "name" desc, "id" desc'],
    [['-total', 'name'], ' order by "total" desc nulls last, "name", "id"'],
    [['-id', 'total'], ' order by "id" desc, "total"'],
  ])('%j gives every row one place', (orderBy, text) => {
    expect(orderText(parseOrder(table, orderBy))).toBe(text);
  });

  test('without a primary key there is no place', () => {
    const order = parseOrder({ ...table, primaryKey: [] }, []);
    expect(order.isTotal).toBe(false);
    expect(orderText(order)).toBe('');
  });

  test.each([
    [['totl'], 'table/no-such-column', /^`order_by\[0\]`: no column `totl`; did you mean `total`\?$/],
    [['name', '-nme'], 'table/no-such-column', /^`order_by\[1\]`: no column `nme`/],
    [['meta'], 'args/invalid', /cannot be ordered by `meta`/],
    [['name', '-name'], 'args/invalid', /^`order_by\[1\]`: `name` stands there already/],
    [['total desc'], 'table/no-such-column', /no column `total desc`/],
    [[''], 'table/no-such-column', /no column/],
  ])('%j is refused', (orderBy, code, message) => {
    expect(() => parseOrder(table, orderBy)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});

describe('the rows after a position', () => {
  test('start where an index can start', () => {
    expect(rowsAfter(['-name'], ['b', 'x'])).toEqual({
      text: '"name" <= $1::text and (("name" < $1::text) or ("name" = $1::text and "id" < $2::text::uuid))',
      params: ['b', 'x'],
    });
  });

  test('come after a value, and all nulls come last', () => {
    expect(rowsAfter(['-total'], ['5', 'x']).text).toBe(
      '((("total" < $1::text::numeric or "total" is null)) or ("total" = $1::text::numeric and "id" < $2::text::uuid))',
    );
  });

  test('come after a null only among the nulls', () => {
    expect(rowsAfter(['total'], [null, 'x']).text).toBe('((false) or ("total" is null and "id" > $1::text::uuid))');
  });
});
