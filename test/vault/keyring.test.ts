import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { createKeyring } from '../../src/vault/keyring.ts';

const keyOf = (byte: number) => new Secret(Buffer.alloc(32, byte));
const keyring = createKeyring(keyOf(1));
const other = createKeyring(keyOf(2));

describe('what is derived', () => {
  test('is the same on every slot and after every start', () => {
    const again = createKeyring(keyOf(1));
    expect(again.rolePassword('ro_abc')).toBe(keyring.rolePassword('ro_abc'));
    expect(again.digest('key', 'text')).toBe(keyring.digest('key', 'text'));
    expect(again.open('cursor', 'me', keyring.seal('cursor', 'me', { a: 1 }))).toEqual({ a: 1 });
  });

  test('never changes from release to release: passwords and sealed cursors outlive an upgrade', () => {
    expect(keyring.rolePassword('ro_abc')).toBe('DreW--bTgBehitVrnW7PXOMUUCcitmsZ');
    expect(keyring.digest('key', 'text')).toBe('yjYDX4hz5o9jOetGKgucCP');
  });

  test('differs by role, purpose, text and key', () => {
    const all = [
      keyring.rolePassword('ro_a'),
      keyring.rolePassword('ro_b'),
      keyring.rolePassword('rw_a'),
      other.rolePassword('ro_a'),
      keyring.digest('a', 'x'),
      keyring.digest('b', 'x'),
      keyring.digest('a', 'y'),
      other.digest('a', 'x'),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  test('a password needs no quoting and has 192 bits', () => {
    expect(keyring.rolePassword('own_x')).toMatch(/^[\w-]{32}$/);
    expect(keyring.digest('a', 'x')).toMatch(/^[\w-]{22}$/);
  });

  test('prints nothing of the key', () => {
    expect(inspect(keyOf(1), { depth: 9, showHidden: true })).not.toMatch(/01 01|AQEB/);
    expect(inspect(keyring, { depth: 9, showHidden: true })).not.toMatch(/01 01|AQEB/);
  });
});

describe('seal and open', () => {
  test.each([
    [{ row: ['2026-11-20', 7], sub: { a: null } }],
    ['text'],
    [0],
    [false],
    [[]],
    ['ü\u0000\ud83d\ude00'],
    [null],
  ])('gives back %j', payload => {
    expect(keyring.open('cursor', 'me', keyring.seal('cursor', 'me', payload))).toEqual(payload);
  });

  test('the same payload is never sealed the same way twice', () => {
    const blobs = Array.from({ length: 200 }, () => keyring.seal('cursor', 'me', 1));
    expect(new Set(blobs).size).toBe(200);
  });

  test('shows nothing of the payload', () => {
    const blob = keyring.seal('cursor', 'me', 'salary');
    expect(blob).toMatch(/^[\w-]+$/);
    expect(Buffer.from(blob, 'base64url').toString('latin1')).not.toContain('salary');
  });

  test('opens for nobody else, for nothing else, with no other key', () => {
    const blob = keyring.seal('cursor', 'me', 1);
    expect(keyring.open('cursor', 'you', blob)).toBeUndefined();
    expect(keyring.open('cursor', '', blob)).toBeUndefined();
    expect(keyring.open('plan', 'me', blob)).toBeUndefined();
    expect(other.open('cursor', 'me', blob)).toBeUndefined();
    // One purpose with a longer name must not reach into another one's key or binding.
    expect(keyring.open('curso', 'rme', blob)).toBeUndefined();
  });

  test('a change of any single bit is noticed', () => {
    const bytes = Buffer.from(keyring.seal('cursor', 'me', { a: 1 }), 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = Buffer.from(bytes);
      altered.writeUInt8(altered.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(keyring.open('cursor', 'me', altered.toString('base64url'))).toBeUndefined();
    }
  });

  test('every shorter tag is refused, also the 4 bytes that Node would take', () => {
    const bytes = Buffer.from(keyring.seal('cursor', 'me', { a: 1 }), 'base64url');
    for (let length = 0; length < bytes.length; length++) {
      expect(keyring.open('cursor', 'me', bytes.subarray(0, length).toString('base64url'))).toBeUndefined();
    }
  });

  test('there is one way to write a blob: no padding, no other alphabet, nothing after it', () => {
    const blob = keyring.seal('cursor', 'me', 'a payload of some length');
    const bytes = Buffer.from(blob, 'base64url');
    const spellings = [
      `${blob}=`,
      `${blob}\n`,
      ` ${blob}`,
      `${blob}!`,
      bytes.toString('base64'),
      bytes.toString('hex'),
      `${blob}AA`,
    ];
    for (const spelling of spellings.filter(spelling => spelling !== blob)) {
      expect(keyring.open('cursor', 'me', spelling)).toBeUndefined();
    }
  });

  test.each(['', 'A', 'not a blob', '{}', '../../etc/passwd', 'A'.repeat(100_000), '\u0000'])('%j is no blob', blob => {
    expect(keyring.open('cursor', 'me', blob)).toBeUndefined();
  });
});
