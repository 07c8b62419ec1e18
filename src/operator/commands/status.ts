import { WrongConfiguration } from '../../errors.ts';
import { defineCommand, EXIT, type Io } from '../command.ts';
import { compare } from '../remote/compare.ts';
import type { Drift } from '../remote/difference.ts';
import { sayFailure, type Verdict, verdictOn } from '../remote/outcome.ts';
import { plain, plainJson } from '../remote/plain.ts';
import { MEANS } from '../remote/reach.ts';
import { chooseCustomer, type Hosted, openDesk } from '../remote/whom.ts';

/** Does what runs at a customer drift away from what is written here? */
export function createStatusCommand(means = MEANS) {
  return defineCommand({
    usage: `Usage: frame status <customer> [--ref REF] [options]

Compares what customers.yaml and git say with what runs at the customer, and names every difference in a sentence, with
the command that mends it. Changes nothing there.
  --ref REF           what should be live: a branch, tag or commit; default: what is checked out
Exit code: 0 no difference, 1 some, 2 unreachable, refused or wrong usage.`,
    options: { ref: { type: 'string' } },
    words: { least: 1, most: 1 },
    async run({ words, values: { ref }, flags, isJson }, io) {
      const desk = await openDesk(io, flags);
      const customer = chooseCustomer(desk, words[0]);
      const drifts = await compare(customer, desk, means, ref).catch(giveVerdict);
      return print(customer, drifts, isJson, io);
    },
  });
}

export const statusCommand = createStatusCommand();

// Private

function giveVerdict(thrown: unknown): Verdict {
  if (thrown instanceof WrongConfiguration) throw thrown;
  return { ...verdictOn(thrown), exit: EXIT.wrong };
}

function print({ id }: Hosted, drifts: readonly Drift[] | Verdict, isJson: boolean, io: Io): number {
  if ('failure' in drifts) {
    sayFailure(id, drifts, io);
    const { result, failure } = drifts;
    if (isJson) io.out(plainJson({ customer: id, result, failure }));
    return drifts.exit;
  }
  const count = drifts.filter(({ kind }) => kind === 'drift').length;
  if (isJson) io.out(plainJson({ customer: id, result: count > 0 ? 'drift' : 'same', drifts }));
  else for (const line of [headOf(id, count), ...drifts.flatMap(wordsOf)]) io.out(plain(line));
  return count > 0 ? EXIT.failed : EXIT.ok;
}

function headOf(customer: string, count: number): string {
  if (count === 0) return `${customer}: everything is as it should be.`;
  return `${customer}: ${count} ${count === 1 ? 'difference' : 'differences'}.`;
}

function wordsOf({ sentence, mend, kind }: Drift): string[] {
  return [`  ${kind === 'note' ? 'note: ' : ''}${sentence}`, ...mend.map(command => `      ${command}`)];
}
