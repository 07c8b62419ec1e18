import { Refused } from './deed.ts';
import { codeOf } from './durable.ts';
import type { Refusal } from './protocol.ts';

/** What was thrown, for whoever asked: what a deed refuses in its own words, and what the system refuses in plain ones. */
export function refusalOf(thrown: unknown): Refusal {
  if (thrown instanceof Refused) return thrown.refusal;
  return { code: 'deploy/failed', exit: 1, ...(ofSystem(thrown) ?? { message: messageOf(thrown) }) };
}

// Private

function ofSystem(thrown: unknown): Pick<Refusal, 'message' | 'hint'> | undefined {
  const where = (thrown instanceof Error && 'path' in thrown && thrown.path) || 'its files';
  switch (codeOf(thrown)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return {
        message: 'The disk of this machine is full.',
        hint: 'Make room there by hand (`df -h` says how much there is); then `frame slot cleanup` removes old releases.',
      };
    case 'EROFS':
      return {
        message: `The disk of this machine can only be read: ${where}.`,
        hint: 'After an error, a system mounts a disk like that: look at its log before you mount it again.',
      };
    case 'EACCES':
    case 'EPERM':
      return {
        message: `Frame's login on this machine may not use ${where}.`,
        hint: 'Somebody else owns it, perhaps because Frame was provisioned as another login: `ls -l` there says who.',
      };
    default:
      return undefined;
  }
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
