import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Place } from '../../src/database/place.ts';
import { Secret } from '../../src/secret.ts';
import { type CursorBinding, digestArguments, openCursor, sealCursor } from '../../src/tables/cursor.ts';
import { createKeyring } from '../../src/vault/keyring.ts';

const keyring = createKeyring(new Secret(randomBytes(32)));
const place: Place = {
  customer: 'axe',
  entity: 'axe',
  environment: 'prod',
  database: 'frame_axe',
  schema: 'axe_prod',
  roleId: '1',
};
const binding: CursorBinding = {
  callerKey: 'tenant/person',
  place,
  tool: 'select_rows',
  arguments: { table: 'orders', where: { total: { gt: 1, lt: 5 } } },
};
const position = ['2026-01-31 09:30:00.123456+00', null, "O'Brien"];
const cursor = sealCursor(keyring, binding, position, 1000);

describe('a cursor', () => {
  test('comes back as it was, for the same call', () => {
    expect(openCursor(keyring, binding, cursor, 999)).toEqual(position);
    const reordered = { where: { total: { lt: 5, gt: 1 } }, table: 'orders', columns: undefined };
    expect(openCursor(keyring, { ...binding, arguments: reordered }, cursor, 999)).toEqual(position);
  });

  test('shows nothing of the row', () => {
    expect(Buffer.from(cursor, 'base64url').toString('latin1')).not.toContain('Brien');
  });

  test.each<[string, Partial<CursorBinding>]>([
    ['another person', { callerKey: 'tenant/somebody' }],
    ['another tenant', { callerKey: 'other/person' }],
    ['another customer', { place: { ...place, customer: 'bolt' } }],
    ['another entity', { place: { ...place, entity: 'studio' } }],
    ['another environment', { place: { ...place, environment: 'dev' } }],
    ['another tool', { tool: 'search_audit' }],
    ['another table', { arguments: { ...binding.arguments, table: 'people' } }],
    ['another filter', { arguments: { ...binding.arguments, where: { total: { gt: 1 } } } }],
    ['another order', { arguments: { ...binding.arguments, order_by: ['total'] } }],
  ])('does not open for %s', (_, change) => {
    expect(() => openCursor(keyring, { ...binding, ...change }, cursor, 0)).toThrow(
      expect.objectContaining({ code: 'args/invalid', hint: expect.stringContaining('without `cursor`') }),
    );
  });

  test.each([
    ['expired', cursor, 1000],
    ['cut', cursor.slice(0, -2), 0],
    ['altered', `${cursor[0] === 'A' ? 'B' : 'A'}${cursor.slice(1)}`, 0],
    ['empty', '', 0],
    ['made up', Buffer.from('{"position":["1"]}').toString('base64url'), 0],
    ['not base64url', '\u{1F9FE}\0', 0],
    ['sealed for another purpose', keyring.seal('plan', 'x', { position, expiresAt: 1e15 }), 0],
  ])('does not open when it is %s', (_, text, now) => {
    expect(() => openCursor(keyring, binding, text, now)).toThrow(expect.objectContaining({ code: 'args/invalid' }));
  });
});

test('equal arguments have equal digests, others have others', () => {
  expect(digestArguments({ a: 1, b: { c: [1, 2] } })).toBe(digestArguments({ b: { c: [1, 2] }, a: 1, d: undefined }));
  expect(digestArguments({ a: [1, 2] })).not.toBe(digestArguments({ a: [2, 1] }));
  expect(digestArguments({ a: '1' })).not.toBe(digestArguments({ a: 1 }));
  expect(digestArguments({ a: null })).not.toBe(digestArguments({}));
});
