import { orDidYouMean } from '../../did-you-mean.ts';
import type { Verbs } from '../agent/protocol.ts';
import { defineCommand, EXIT, type Given, type Io, WrongUsage } from '../command.ts';
import { askToTheEnd, runErrands, withMachine } from '../remote/errand.ts';
import { INTERRUPTED } from '../remote/interrupt.ts';
import { SHIFT_OPTIONS } from '../remote/move-traffic.ts';
import { attempt, exitOf, sayFailure } from '../remote/outcome.ts';
import { plain, plainJson } from '../remote/plain.ts';
import { MEANS, type Means } from '../remote/reach.ts';
import { detailsOf, listOf } from '../remote/slot-words.ts';
import { type Looked, survey } from '../remote/survey.ts';
import { chooseCustomers, openDesk, sayWhoIsLeftOut } from '../remote/whom.ts';

/** The two slots of each machine: seen from above, in detail, and tidied. */
export function createSlotCommand(means = MEANS) {
  return defineCommand({
    usage: `Usage: frame slot list|status|cleanup [customer…] [options]

Without a customer: all that have a host in customers.yaml.
  list                which release is in which slot, and how it is; * is live. All customers on one screen
  status              one machine in detail, and what was done there last
  cleanup             removes releases that no slot holds, but for the last few (keep_releases in config/deploy.yaml), and
                      what uploads left behind
For cleanup
  --dry-run           says what would go
  --force             break a lock whose holder lives: only when you know that nobody works there
Exit code: 1 failed, 2 wrong, refused or unreachable, 75 somebody else works there, 130 you left.`,
    options: SHIFT_OPTIONS,
    words: { least: 1, most: Number.POSITIVE_INFINITY },
    async run(given, io) {
      const [verb = ''] = given.words;
      const { force, 'dry-run': dryRun } = given.values;
      if (verb === 'cleanup') return await cleanUp(given, io, means);
      if (verb !== 'list' && verb !== 'status') {
        throw new WrongUsage(`\`slot ${verb}\` is nothing that can be done${orDidYouMean(verb, VERBS) || '.'}`);
      }
      if (!force && !dryRun) return await show(verb, given, io, means);
      throw new WrongUsage(`\`slot ${verb}\` changes nothing: it takes neither --force nor --dry-run.`);
    },
  });
}

export const slotCommand = createSlotCommand();

// Private

const VERBS = ['list', 'status', 'cleanup'] as const;

type SlotGiven = Given<typeof SHIFT_OPTIONS>;

async function show(
  verb: 'list' | 'status',
  { words, flags, isJson }: SlotGiven,
  io: Io,
  means: Means,
): Promise<number> {
  const desk = await openDesk(io, flags);
  const looked = await survey(chooseCustomers(desk, words.slice(1)), desk, means);
  if (isJson) io.out(plainJson(looked.map(toLookedJson)));
  else for (const line of verb === 'list' ? listOf(looked) : looked.flatMap(screenOf)) io.out(line);
  for (const one of looked) if ('failure' in one) sayFailure(one.customer, one, io);
  if (words.length === 1) sayWhoIsLeftOut(desk, io);
  return exitOf(looked);
}

async function cleanUp({ words, values, flags, isJson }: SlotGiven, io: Io, means: Means): Promise<number> {
  const { force, 'dry-run': dryRun } = values;
  const desk = await openDesk(io, flags);
  const customers = chooseCustomers(desk, words.slice(1));
  const request = { keep: desk.config.keepReleases, force };
  const outcomes = await runErrands({ io, desk, means, dryRun }, customers, errandFor =>
    Promise.all(
      customers.map(customer =>
        attempt(
          errandFor(customer),
          errand => withMachine(errand, ({ host }) => askToTheEnd(errand, host, 'cleanup', request)),
          () => 'cleaned',
        ),
      ),
    ),
  );
  if (!outcomes) return INTERRUPTED;
  for (const outcome of outcomes) {
    const { customer, answer } = outcome;
    sayFailure(customer, outcome, io);
    if (!isJson && answer) io.out(`${customer}: ${removedWords(answer, dryRun)}`);
  }
  // In a dry run, what would go is the answer.
  if (isJson) io.out(plainJson(outcomes.map(({ answer, ...outcome }) => ({ ...outcome, ...answer }))));
  return exitOf(outcomes);
}

function removedWords({ removed, kept }: Verbs['cleanup']['answer'], dryRun: boolean): string {
  const which =
    removed.length === 0 ? 'nothing to remove' : `${dryRun ? 'would remove' : 'removed'} ${removed.join(', ')}`;
  return plain(`${which}; ${kept.length === 1 ? 'one release stays' : `${kept.length} releases stay`}.`);
}

/** Whoever was looked at has a result, as those have that were not. */
function toLookedJson({ exit, ...facts }: Looked): object {
  return { result: exit === EXIT.ok ? 'ok' : 'refused', ...facts };
}

function screenOf(looked: Looked, i: number): string[] {
  if ('failure' in looked) return [];
  return [...(i > 0 ? [''] : []), ...detailsOf(looked.customer, looked.found)];
}
