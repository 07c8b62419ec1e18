import { expect, test } from 'vitest';
import { explainFailure } from '../../src/sql/explain-failure.ts';
import { guardSql } from '../../src/sql/guard.ts';
import { shop } from './ordinary.ts';

const TEXT = 'select name\nfrom customers';
const query = await guardSql(TEXT, shop({ customers: { sealed: ['iban'] } }), 51);

/** As postgres.js throws it. */
const failure = (code: string, message = 'what Postgres says', more: object = {}) =>
  Object.assign(new Error(message), { severity: 'ERROR', code, ...more });
const explain = (thrown: unknown) => explainFailure(thrown, TEXT, query, ['axe_prod', '0123456789ab']);

test.each([
  ['57014', 'limit/time'],
  ['53400', 'limit/bytes'],
  ['53200', 'limit/bytes'],
  ['54001', 'sql/refused'],
  ['55P03', 'limit/lock'],
  ['42501', 'sql/refused'],
  ['25006', 'sql/refused'],
  ['53300', 'unavailable'],
  ['22012', 'sql/failed'],
  ['21000', 'sql/failed'],
  ['0A000', 'sql/failed'],
  ['42804', 'sql/failed'],
  ['54011', 'sql/failed'],
  ['54023', 'sql/failed'],
])('%s is %s', (code, expected) => {
  const error = explain(failure(code)) as Error & { detail?: string };
  expect(error).toMatchObject({ code: expected });
  if (expected !== 'sql/failed') expect(error.message).not.toContain('what Postgres says');
});

test.each([
  ['array size exceeds the maximum allowed (134217727)'],
  ['requested length too large'],
  ['string is too long for tsvector (1048577 bytes, max 1048575 bytes)'],
  ['out of memory'],
])('54000 is limit/bytes where a size is the matter: %s', message => {
  const error = explain(failure('54000', message)) as Error;
  expect(error).toMatchObject({ code: 'limit/bytes' });
  expect(error.message).not.toContain(message);
});

test.each([['null character not permitted'], ['number of array dimensions (7) exceeds the maximum allowed (6)']])(
  '54000 is told in words where it is not: %s',
  message => {
    expect(explain(failure('54000', message))).toMatchObject({ code: 'sql/failed', message: `${message}.` });
  },
);

test('a value past 1 GB has no code of its own', () => {
  expect(explain(failure('XX000', 'invalid memory alloc request size 1200000000'))).toMatchObject({
    code: 'limit/bytes',
  });
});

test('what nobody foresaw stays as it is', () => {
  for (const thrown of [
    failure('XX000', 'cache lookup failed'),
    failure('58030', 'could not read /var/lib'),
    new Error('x'),
  ]) {
    expect(explain(thrown)).toBe(thrown);
  }
});

test('a place is told as it was written', () => {
  expect(explain(failure('22012', 'division by zero', { position: '13' }))).toMatchObject({
    message: 'Line 2, column 1: division by zero.',
  });
});

test.each([
  ['permission denied for schema axe_prod'],
  ['type axe_prod.mood does not exist'],
  ['role ro_0123456789ab is busy'],
])('%s is not told', message => {
  expect(explain(failure('42704', message))).toMatchObject({ code: 'sql/failed', message: 'Postgres refuses this.' });
});

test('a very long message is cut', () => {
  const error = explain(failure('22P02', `invalid input: "${'x'.repeat(10_000)}"`)) as Error;
  expect(error.message.length).toBeLessThan(400);
});

test('a column that is not there is guessed from those that may be read', () => {
  const nameless = explain(failure('42703'));
  expect(nameless).toMatchObject({ code: 'table/no-such-column', message: 'there is no such column.' });
  expect(explain(failure('42703', 'x', { position: '8' }))).toMatchObject({
    message: 'Line 1, column 8: there is no column `name`.',
  });
});
