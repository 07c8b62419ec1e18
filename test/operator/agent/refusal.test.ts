import { expect, test } from 'vitest';
import { Refused } from '../../../src/operator/agent/deed.ts';
import { refusalOf } from '../../../src/operator/agent/refusal.ts';

const system = (code: string, path?: string) => Object.assign(new Error(`${code}: odd words, open`), { code, path });

test.each([
  [system('ENOSPC'), 'The disk of this machine is full.', 'slot cleanup'],
  [system('EDQUOT'), 'The disk of this machine is full.', 'slot cleanup'],
  [system('EROFS', '/frame/state/deploy.lock'), 'can only be read: /frame/state/deploy.lock.', 'mount'],
  [system('EACCES', '/frame/shared/env'), 'may not use /frame/shared/env.', 'ls -l'],
  [system('EPERM'), 'may not use its files.', 'ls -l'],
])('what the system refuses is said in plain words: %s', (thrown, message, hint) => {
  expect(refusalOf(thrown)).toEqual({
    code: 'deploy/failed',
    exit: 1,
    message: expect.stringContaining(message),
    hint: expect.stringContaining(hint),
  });
});

test('what a deed refuses stays as it is, and anything else keeps its words', () => {
  const refusal = { code: 'deploy/locked', exit: 75, message: 'Later.' } as const;
  expect(refusalOf(new Refused(refusal))).toBe(refusal);
  expect(refusalOf(new Error('odd'))).toEqual({ code: 'deploy/failed', exit: 1, message: 'odd' });
  expect(refusalOf('odd')).toMatchObject({ message: 'odd' });
});
