import type { Activated } from '../agent/protocol.ts';
import type { Given, Io } from '../command.ts';
import { type Errand, runErrands } from './errand.ts';
import { INTERRUPTED } from './interrupt.ts';
import { attempt, newsOf, resultOf, sayFailure, toJson } from './outcome.ts';
import { plainJson } from './plain.ts';
import type { Means } from './reach.ts';
import { chooseCustomer, openDesk } from './whom.ts';

/** What `promote` and `rollback` have in common: one machine, nothing built, nothing sent. */
export const SHIFT_OPTIONS = {
  force: { type: 'boolean', default: false },
  'dry-run': { type: 'boolean', default: false },
} as const;

export const SHIFT_USAGE = `  --force             break a lock whose holder lives: only when you know that nobody works there
  --dry-run           every step, and none of them done
Steps are told on standard error while they happen; --json adds one document on standard output at the end.
Exit code: 1 failed, 2 wrong, refused or unreachable, 20 it did not pass its gate and traffic never moved, 21 it took over
and went back, 75 somebody else works there, 130 you left.`;

export async function moveTraffic(
  { words, values, flags, isJson }: Given<typeof SHIFT_OPTIONS>,
  io: Io,
  means: Means,
  work: (errand: Errand) => Promise<Activated>,
): Promise<number> {
  const desk = await openDesk(io, flags);
  const customer = chooseCustomer(desk, words[0]);
  const options = { io, desk, means, dryRun: values['dry-run'] };
  const outcome = await runErrands(options, [customer], errandFor => attempt(errandFor(customer), work, resultOf));
  if (!outcome) return INTERRUPTED;
  sayFailure(customer.id, outcome, io);
  for (const line of isJson ? [plainJson(toJson(outcome))] : newsOf(outcome)) io.out(line);
  return outcome.exit;
}
