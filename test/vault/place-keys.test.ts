import { randomBytes, randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type CellId, createPlaceKeys, type KeyPlace, type KeySet } from '../../src/vault/place-keys.ts';

const PLACE: KeyPlace = { customer: 'axe', entity: 'studio', environment: 'prod' };
const KEY = randomBytes(32);
const INDEX = randomBytes(32);
const [tableId, columnId, rowId] = [randomUUID(), randomUUID(), randomUUID()];
const CELL: CellId = { tableId, columnId, rowId };
const gone = () => new Error('gone');

const keysOf = (changes: Partial<KeySet> = {}, place = PLACE) =>
  createPlaceKeys(place, { cells: [{ kid: 7, key: KEY, isCurrent: true }], index: INDEX, ...changes }, gone);
const keys = keysOf();

describe('a cell', () => {
  test.each([
    '',
    'a',
    'ada@example.com',
    'ü\u{1F469}‍\u{1F680}한',
    "'; drop table x; --",
    '\\x00',
    'x'.repeat(1_000_000),
  ])('gives back %.30j', text => {
    expect(keys.open(CELL, keys.seal(CELL, text))).toEqual({ text });
  });

  test('is a version, the number of its key, a nonce, the text and a whole tag', () => {
    const sealed = keys.seal(CELL, 'four');
    expect(sealed).toHaveLength(1 + 4 + 12 + 4 + 16);
    expect([sealed[0], sealed.readUInt32BE(1)]).toEqual([1, 7]);
  });

  test('is never the same twice, and shows nothing of its text', () => {
    const all = Array.from({ length: 200 }, () => keys.seal(CELL, 'ada@example.com'));
    expect(new Set(all.map(cell => cell.toString('hex'))).size).toBe(200);
    expect(all.some(cell => cell.includes('ada'))).toBe(false);
  });

  test('opens nowhere but where it was sealed', () => {
    const sealed = keys.seal(CELL, 'ada@example.com');
    const elsewhere: [string, CellId, typeof keys][] = [
      ['another row', { ...CELL, rowId: randomUUID() }, keys],
      ['another column', { ...CELL, columnId: randomUUID() }, keys],
      ['another table', { ...CELL, tableId: randomUUID() }, keys],
      ['ids that change places', { tableId: columnId, columnId: tableId, rowId }, keys],
      ['another entity', CELL, keysOf({}, { ...PLACE, entity: 'axe' })],
      ['another environment', CELL, keysOf({}, { ...PLACE, environment: 'dev' })],
      ['another customer', CELL, keysOf({}, { ...PLACE, customer: 'zen' })],
      ['a name that reaches into the next', CELL, keysOf({}, { ...PLACE, customer: 'axe/studio', entity: '' })],
      ['another key of the same number', CELL, keysOf({ cells: [{ kid: 7, key: randomBytes(32), isCurrent: true }] })],
    ];
    for (const [where, cell, other] of elsewhere) {
      expect([where, other.open(cell, sealed)]).toEqual([where, { broken: 'altered' }]);
    }
  });

  test('whose number says another key that is there does not open, also when that key is the same', () => {
    const both = keysOf({
      cells: [
        { kid: 7, key: KEY, isCurrent: true },
        { kid: 8, key: KEY, isCurrent: false },
      ],
    });
    const sealed = both.seal(CELL, 'x');
    sealed.writeUInt32BE(8, 1);
    expect(both.open(CELL, sealed)).toEqual({ broken: 'altered' });
  });

  test('notices a change of any single bit, the ones in front included', () => {
    const sealed = keys.seal(CELL, 'ada');
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const altered = Buffer.from(sealed);
      altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(keys.open(CELL, altered)).toHaveProperty('broken');
    }
  });

  test('notices every cut and every addition, the 4-byte tag that Node would take too', () => {
    const sealed = keys.seal(CELL, 'ada@example.com');
    for (let length = 0; length < sealed.length; length++) {
      expect(keys.open(CELL, sealed.subarray(0, length))).toHaveProperty('broken');
      expect(keys.open(CELL, sealed.subarray(sealed.length - length))).toHaveProperty('broken');
    }
    expect(keys.open(CELL, Buffer.concat([sealed, Buffer.alloc(1)]))).toEqual({ broken: 'altered' });
  });

  test('says what is wrong with it', () => {
    const sealed = keys.seal(CELL, 'x');
    const [version, kid] = [Buffer.from(sealed), Buffer.from(sealed)];
    version.writeUInt8(2, 0);
    kid.writeUInt32BE(8, 1);
    expect(keys.open(CELL, version)).toEqual({ broken: 'malformed' });
    expect(keys.open(CELL, kid)).toEqual({ broken: 'unknown-key' });
    expect(keys.open(CELL, sealed.subarray(0, 32))).toEqual({ broken: 'malformed' });
    expect([keys.knows(sealed), keys.knows(kid), keys.knows(Buffer.alloc(2))]).toEqual([true, false, true]);
  });

  test('is sealed by the key in force alone, and opened by all of them', () => {
    const next = keysOf({
      cells: [
        { kid: 7, key: KEY, isCurrent: false },
        { kid: 9, key: randomBytes(32), isCurrent: true },
      ],
    });
    expect(next.open(CELL, keys.seal(CELL, 'old'))).toEqual({ text: 'old' });
    expect(next.seal(CELL, 'new').readUInt32BE(1)).toBe(9);
  });

  test('is not made where there is no key', () => {
    expect(() => keysOf({ cells: [] }).seal(CELL, 'x')).toThrow('gone');
    expect(() => keysOf({ index: undefined }).blind(CELL, 'email', 'x')).toThrow('gone');
    expect(() => keysOf({ index: undefined }).digest('x')).toThrow('gone');
  });
});

describe('what finds equal values', () => {
  const blind = (kind: Parameters<typeof keys.blind>[1], text: string, column = CELL, by = keys) =>
    by.blind(column, kind, text).toString('hex');

  test('is 16 bytes, the same for spellings of one value', () => {
    expect(blind('email', ' ADA@example.com')).toBe(blind('email', 'ada@EXAMPLE.com '));
    expect(keys.blind(CELL, 'email', 'x')).toHaveLength(16);
  });

  test('tells nothing from column to column, place to place, or key to key', () => {
    const all = [
      blind('email', 'ada@example.com'),
      blind('email', 'bob@example.com'),
      blind('email', 'ada@example.com', { ...CELL, columnId: randomUUID() }),
      blind('email', 'ada@example.com', { ...CELL, tableId: randomUUID() }),
      blind('email', 'ada@example.com', CELL, keysOf({}, { ...PLACE, entity: 'axe' })),
      blind('email', 'ada@example.com', CELL, keysOf({ index: randomBytes(32) })),
    ];
    expect(new Set(all).size).toBe(all.length);
    expect(blind('email', 'a', { ...CELL, rowId: randomUUID() })).toBe(blind('email', 'a'));
  });

  test('is not the digest of what is kept beside the data', () => {
    expect(keys.digest('x')).toBe(keysOf().digest('x'));
    expect(keys.digest('x')).not.toBe(keysOf({ index: randomBytes(32) }).digest('x'));
  });
});

test('keys do not print themselves', () => {
  const printed = inspect(keys, { depth: 9, showHidden: true });
  expect(printed).not.toContain(inspect(KEY).slice(8, 40));
});
