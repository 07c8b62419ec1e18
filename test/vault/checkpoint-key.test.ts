import { createPublicKey, verify } from 'node:crypto';
import { expect, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { createCheckpointKey } from '../../src/vault/checkpoint-key.ts';

const keyOf = (byte: number) => createCheckpointKey(new Secret(Buffer.alloc(32, byte)));

test('the same master key makes the same Ed25519 key, another makes another', () => {
  expect(keyOf(1).publicKey).toBe(keyOf(1).publicKey);
  expect(keyOf(1).publicKey).not.toBe(keyOf(2).publicKey);
  expect(createPublicKey(keyOf(1).publicKey).asymmetricKeyType).toBe('ed25519');
});

test('what it signs holds under its public key, for this text and no other', () => {
  const { sign, publicKey } = keyOf(1);
  const holds = (text: string, key = publicKey) =>
    verify(null, Buffer.from(text), createPublicKey(key), Buffer.from(sign('ünï😀'), 'hex'));
  expect(sign('ünï😀')).toMatch(/^[0-9a-f]{128}$/);
  expect([holds('ünï😀'), holds('uni😀'), holds('ünï😀', keyOf(2).publicKey)]).toEqual([true, false, false]);
});

test('nothing that it shows holds the master key', () => {
  const { sign, publicKey } = keyOf(7);
  const shown = publicKey + Buffer.from(sign(''), 'hex').toString('base64');
  expect(shown).not.toContain(Buffer.alloc(32, 7).toString('base64').slice(0, 20));
});
