import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { FrameError } from '../../src/errors.ts';
import { type Deed, explain, isOldCatalog, lostRace } from '../../src/tables/explain.ts';
import { sampleColumn, sampleTable } from './sample-table.ts';

const table = sampleTable([sampleColumn('number', 'integer'), sampleColumn('customer_id', 'reference')], {
  indexes: [{ name: 'orders_number_key', columns: ['number'], unique: true, isConstraint: true }],
  checks: [
    { name: 'orders_number_check', column: 'number', check: { min: 1, max: 9 } },
    { name: 'made_elsewhere', column: 'number', check: undefined },
  ],
  references: [{ name: 'orders_customer_id_fkey', columns: ['customer_id'], table: 'customers' }],
});

/** As the driver throws it, full of what nobody else may see. */
function failure(code: string, fields: object = {}): Error {
  return Object.assign(new postgres.PostgresError('secret message'), {
    severity: 'ERROR',
    code,
    message: 'secret message',
    detail: 'Key (mail)=(secret) already exists.',
    where: 'secret function',
    schema_name: 'axe_prod',
    table_name: 'orders',
    ...fields,
  });
}

describe('an error of Postgres', () => {
  test.each<[string, object, Deed, string, RegExp]>([
    ['23505', { constraint_name: 'orders_number_key' }, 'insert', 'row/duplicate', /this value of `number`/],
    ['23505', { constraint_name: 'unknown' }, 'insert', 'row/duplicate', /of a unique column/],
    ['23P01', {}, 'insert', 'row/duplicate', /./],
    ['23502', { column_name: 'number' }, 'insert', 'row/missing-value', /^`number` is required\.$/],
    [
      '23503',
      { constraint_name: 'orders_customer_id_fkey' },
      'insert',
      'row/reference-missing',
      /`customers` does not have/,
    ],
    [
      '23503',
      { constraint_name: 'x', table_name: 'lines' },
      'update',
      'row/still-referenced',
      /^Rows of `lines` still name/,
    ],
    ['23503', { constraint_name: 'x' }, 'delete', 'row/still-referenced', /^Rows of `orders` still name/],
    ['23001', { table_name: 'lines' }, 'delete', 'row/still-referenced', /`lines`/],
    [
      '23514',
      { constraint_name: 'orders_number_check' },
      'update',
      'row/check-failed',
      /must be at least 1 and be at most 9/,
    ],
    ['23514', { constraint_name: 'made_elsewhere' }, 'update', 'row/check-failed', /A rule of `orders`/],
    ['P0001', {}, 'update', 'row/check-failed', /A rule of `orders`/],
    ['22003', {}, 'insert', 'row/bad-value', /too large/],
    ['22001', {}, 'insert', 'row/bad-value', /too long/],
    ['22P02', {}, 'read', 'row/bad-value', /does not fit/],
    ['22007', {}, 'read', 'row/bad-value', /does not fit/],
    ['22021', {}, 'insert', 'row/bad-value', /does not fit/],
    ['54000', {}, 'insert', 'row/bad-value', /index/],
    ['42883', {}, 'read', 'args/invalid', /does not work on a column of this type/],
    ['42P01', {}, 'insert', 'table/not-found', /`orders` has just been changed/],
    ['42703', {}, 'update', 'table/no-such-column', /just been changed/],
    ['42501', {}, 'update', 'internal', /^Frame may not update rows of `orders`/],
    ['57014', {}, 'read', 'limit/time', /too long/],
    ['55P03', {}, 'update', 'limit/lock', /somebody else/],
    ['40001', {}, 'update', 'limit/lock', /same time/],
    ['40P01', {}, 'delete', 'limit/lock', /same time/],
    ['53100', {}, 'insert', 'limit/disk', /disk/],
    ['53300', {}, 'read', 'unavailable', /busy/],
    ['53200', {}, 'read', 'unavailable', /busy/],
    ['25006', {}, 'insert', 'unavailable', /only answers reads/],
  ])('%s %j while doing %s is told in the words of the table', (code, fields, deed, expected, message) => {
    const error = explain(failure(code, fields), deed, table) as FrameError;
    expect(error).toBeInstanceOf(FrameError);
    expect(error).toMatchObject({ code: expected, message: expect.stringMatching(message) });
    expect(JSON.stringify([error.toPublic(), error.detail])).not.toMatch(/secret|axe_prod/);
    expect(error.detail).toContain(code);
  });

  test.each(['55P03', '40001', '40P01', '53300', '42P01', '25006'])('%s may go away by itself', code => {
    expect(explain(failure(code), 'update', table)).toMatchObject({ retryable: true });
  });

  test.each(['23505', '57014', '53100'])('%s will not go away by itself', code => {
    expect(explain(failure(code), 'update', table)).toMatchObject({ retryable: false });
  });

  test('that nobody foresaw stays what it is', () => {
    const unforeseen = failure('XX000');
    expect(explain(unforeseen, 'read', table)).toBe(unforeseen);
  });
});

test.each([
  new FrameError('row/duplicate', 'x'),
  new Error('x'),
  Object.assign(new Error('x'), { code: 'EPIPE' }),
  'x',
  undefined,
])('anything else stays what it is: %s', thrown => {
  expect(explain(thrown, 'read', table)).toBe(thrown);
  expect(isOldCatalog(thrown)).toBe(false);
  expect(lostRace(thrown)).toBe(false);
});
