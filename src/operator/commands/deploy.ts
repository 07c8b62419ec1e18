import { defineCommand, EXIT, type Io, WrongUsage } from '../command.ts';
import type { Commit } from '../release/commit.ts';
import { planBatches, runBatches } from '../remote/batches.ts';
import { deployTo, onceForEachPlatform } from '../remote/deploy.ts';
import { runErrands } from '../remote/errand.ts';
import { INTERRUPTED } from '../remote/interrupt.ts';
import {
  attempt,
  exitOf,
  newsOf,
  type Outcome,
  resultOf,
  sayFailure,
  tableOf,
  toJson,
  untouched,
  verdictOn,
} from '../remote/outcome.ts';
import { plainJson } from '../remote/plain.ts';
import { MEANS } from '../remote/reach.ts';
import { chooseCustomers, type Desk, type Hosted, openDesk, sayWhoIsLeftOut } from '../remote/whom.ts';

/** A commit becomes a release, gets to the machines, is proven there, and takes over. */
export function createDeployCommand(means = MEANS) {
  return defineCommand({
    usage: `Usage: frame deploy <customer…|--all> [options]

Builds a release, sends it to the customer's machine, and has it proven in the idle slot; then it takes over, is watched,
and goes back by itself if it is worse. Nobody notices. The canary goes first and alone, the others in batches
(config/deploy.yaml); a failure ends it there. Safe to repeat: it goes on where it ended.
  --all               every customer that has a host in customers.yaml
  --ref REF           a branch, tag or commit; default: what is checked out, with nothing uncommitted
  --no-promote        leave it in the idle slot, proven; \`frame promote\` lets it take over
  --force             break a lock whose holder lives: only when you know that nobody works there
  --dry-run           every step, and none of them done
Steps are told on standard error while they happen; --json adds one document on standard output at the end.
Exit code, of several the first failure's: 1 failed, 2 wrong, refused or unreachable, 20 it did not pass its gate and
traffic never moved, 21 it took over and went back, 75 somebody else works there, 130 you left.`,
    options: {
      all: { type: 'boolean', default: false },
      ref: { type: 'string' },
      'no-promote': { type: 'boolean', default: false },
      force: { type: 'boolean', default: false },
      'dry-run': { type: 'boolean', default: false },
    },
    words: { least: 0, most: Number.POSITIVE_INFINITY },
    async run({ words, values, flags, isJson }, io) {
      const { all, ref, force, 'no-promote': stays, 'dry-run': dryRun } = values;
      const desk = await openDesk(io, flags);
      const customers = whom(desk, words, all);
      if (all) sayWhoIsLeftOut(desk, io);
      const { root, chooseCommit, buildRelease } = means;
      const chosen = await chooseCommit({ root, ref }).catch(verdictOn);
      if ('failure' in chosen) {
        const { failure, exit } = chosen;
        for (const line of [failure.message, failure.hint]) if (line) io.err(line);
        const nobody = customers.map(({ id }) => toJson(untouched(id)));
        if (isJson) io.out(plainJson({ release: null, commit: null, failure, customers: nobody }));
        return exit;
      }

      const wish = { commit: chosen, promote: !stays, force };
      const ownMeans = { ...means, buildRelease: onceForEachPlatform(buildRelease) };
      const outcomes = await runErrands({ io, desk, means: ownMeans, dryRun }, customers, async errandFor => {
        const { canary, batch: size } = desk.config;
        const deploy = (customer: Hosted) => attempt(errandFor(customer), errand => deployTo(errand, wish), resultOf);
        const batches = planBatches(customers, { canary, size });
        const { results, untouched: others } = await runBatches(batches, deploy, ({ exit }) => exit !== EXIT.ok);
        return [...results, ...others.map(({ id }) => untouched(id))];
      });
      if (!outcomes) return INTERRUPTED;
      report(chosen, outcomes, isJson, io);
      return exitOf(outcomes);
    },
  });
}

export const deployCommand = createDeployCommand();

// Private

function whom(desk: Desk, names: readonly string[], all: boolean): Hosted[] {
  if (all && names.length > 0) throw new WrongUsage('Name customers, or say --all: not both.');
  // Pinned to one customer, there is nobody else to mean.
  const isSaid = all || names.length > 0 || desk.settings.customer !== undefined;
  if (!isSaid) throw new WrongUsage('Name a customer, or say --all.');
  return chooseCustomers(desk, names);
}

function report({ id, commit }: Commit, outcomes: readonly Outcome[], isJson: boolean, io: Io): void {
  for (const outcome of outcomes) sayFailure(outcome.customer, outcome, io);
  const others = outcomes.filter(({ result }) => result === 'untouched').map(({ customer }) => customer);
  if (others.length > 0) io.err(`Nothing was begun at ${LIST.format(others)}.`);
  if (isJson) io.out(plainJson({ release: id, commit, customers: outcomes.map(toJson) }));
  else for (const line of outcomes.length > 1 ? tableOf(outcomes) : outcomes.flatMap(newsOf)) io.out(line);
}

const LIST = new Intl.ListFormat('en');
