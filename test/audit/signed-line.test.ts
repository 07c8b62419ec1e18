import { describe, expect, test } from 'vitest';
import { createVerifier } from '../../src/audit/signature.ts';
import {
  hashOf,
  headsOf,
  isSignedLine,
  parseLine,
  redact,
  type SignedLine,
  signLine,
  textOf,
} from '../../src/audit/signed-line.ts';
import { Secret } from '../../src/secret.ts';
import { createCheckpointKey } from '../../src/vault/checkpoint-key.ts';
import { KEY } from './audit-database.ts';

const verifier = createVerifier(KEY.publicKey);
const digest = (letter: string) => letter.repeat(64);

const LINE = signLine(KEY, verifier.keyId, {
  kind: 'checkpoint',
  at: 1_700_000_000_000,
  number: 2,
  previous: digest('a'),
  heads: [
    { chain: 'axe/-', seq: 3, hash: digest('b') },
    { chain: 'zoo/ünï', seq: 4, hash: digest('c') },
  ],
});

test('a line is read as it was written, and is signed', () => {
  expect(parseLine(textOf(LINE))).toEqual(LINE);
  expect(textOf(LINE)).not.toMatch(/\s/);
  expect(isSignedLine(LINE, verifier)).toBe(true);
});

test.each<[string, Partial<SignedLine>]>([
  ['kind', { kind: 'seal' }],
  ['at', { at: 1 }],
  ['number', { number: 3 }],
  ['previous', { previous: digest('d') }],
  ['month', { month: '2026-01' }],
  ['scope', { scope: { customer: 'axe' } }],
  ['heads', { heads: [...LINE.heads].reverse() }],
  ['a head', { heads: [LINE.heads[0] ?? '', { chain: 'zoo/ünï', seq: 5, hash: digest('c') }] }],
  ['key', { key: '0'.repeat(16) }],
  ['signature', { signature: '0'.repeat(128) }],
])('the signature sees another %s', (_, change) => {
  expect(isSignedLine({ ...LINE, ...change }, verifier)).toBe(false);
  expect(hashOf({ ...LINE, ...change })).not.toBe(hashOf(LINE));
});

test('another key signs nothing of ours', () => {
  const other = createVerifier(createCheckpointKey(new Secret(Buffer.alloc(32, 8))).publicKey);
  expect(isSignedLine(LINE, other)).toBe(false);
  expect(isSignedLine({ ...LINE, key: other.keyId }, other)).toBe(false);
});

describe('what is no line', () => {
  const text = textOf(LINE);
  test.each([
    ['', 'broken'],
    [text.slice(0, -1), 'broken'],
    ['{', 'broken'],
    ['{}', 'wrong'],
    ['null', 'wrong'],
    [` ${text}`, 'wrong'],
    [text.replace('"at":1700000000000', '"at":17e11'), 'wrong'],
    [text.replace('zoo/ü', 'zoo/\\u00fc'), 'wrong'],
    [text.replace('"kind":', '"extra":1,"kind":'), 'wrong'],
    [text.replace('"version":1', '"version":2'), 'wrong'],
    [text.replace(digest('b'), digest('B')), 'wrong'],
    [text.replace('"at":', '"at":0,"at":'), 'wrong'],
  ])('%s', (other, what) => {
    expect(parseLine(other)).toBe(what);
  });
});

describe('heads that are not shown', () => {
  const shown = redact(LINE, chain => chain.startsWith('axe/'));

  test('leave the signature and the hash as they are', () => {
    expect(isSignedLine(shown, verifier)).toBe(true);
    expect(hashOf(shown)).toBe(hashOf(LINE));
    expect(parseLine(textOf(shown))).toEqual(shown);
  });

  test('say nothing of their chain', () => {
    expect(headsOf(shown)).toEqual([{ chain: 'axe/-', seq: 3, hash: digest('b') }]);
    expect(textOf(shown)).not.toContain('zoo');
    expect(textOf(shown)).not.toContain(digest('c'));
  });
});

test('a key that is none, or of another kind, verifies nothing', () => {
  expect(() => createVerifier('')).toThrow();
  const p256 = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----`;
  expect(() => createVerifier(p256)).toThrow('not Ed25519');
});
