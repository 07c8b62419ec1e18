import { setTimeout as pass } from 'node:timers/promises';
import { createPatience } from './quiet.ts';
import type { Target, TargetName } from './targets.ts';
import type { Reading } from './window.ts';

/** One window of load on one target. */
export interface Sample extends Reading {
  target: TargetName;
  connections: number;
  round: number;
}

export interface Plan {
  connections: readonly number[];
  rounds: number;
  seconds: number;
  /** To wait in all for a quiet machine. */
  patienceSeconds: number;
}

/**
 * All targets in turn, inside each round: what else happens on the machine happens to all of them. Each round begins
 * with another one, so that none always runs behind the same neighbour. Yields the samples of one concurrency, without
 * the rounds in which others kept the machine busy.
 */
export async function* compare(
  targets: readonly Target[],
  { connections, rounds, seconds, patienceSeconds }: Plan,
): AsyncGenerator<readonly Sample[]> {
  const waitForQuiet = createPatience(patienceSeconds);
  for (const { run } of targets) await run(FIRST);
  for (const c of connections) {
    const samples: Sample[] = [];
    for (let round = 0; round < rounds; round += 1) {
      for (const { name, run } of [...targets.slice(round), ...targets.slice(0, round)]) {
        await waitForQuiet();
        const reading = await run({ connections: c, warmSeconds: WARM_SECONDS, seconds });
        samples.push({ target: name, connections: c, round, ...reading });
        await pass(BREAK_MS);
      }
    }
    yield keepQuietest(samples);
  }
}

export type Measure = 'rate' | 'p50' | 'p99' | 'cpuMicros' | 'postgresMicros';

export function medianOf(
  samples: readonly Sample[],
  target: TargetName,
  connections: number,
  measure: Measure,
): number {
  return median(pick(samples, target, connections).map(sample => sample[measure]));
}

/** Of the last round: memory does not shrink, so a median would be of another time. */
export function lastRssOf(samples: readonly Sample[], target: TargetName, connections: number): number {
  return pick(samples, target, connections).at(-1)?.rssMb ?? Number.NaN;
}

/** The median of the ratios within each round; NaN when one of the two was not measured. */
export function ratioOf(
  samples: readonly Sample[],
  target: TargetName,
  base: TargetName,
  connections: number,
  measure: Measure,
): number {
  const bases = new Map(pick(samples, base, connections).map(sample => [sample.round, sample[measure]]));
  return median(
    pick(samples, target, connections).map(
      ({ round, ...sample }) => sample[measure] / (bases.get(round) ?? Number.NaN),
    ),
  );
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

// Private

/** Before the first round: connections open, and code that runs often is compiled. */
const FIRST = { connections: 16, warmSeconds: 0, seconds: 2 };
const WARM_SECONDS = 0.3;
const BREAK_MS = 150;
const KEPT_SHARE = 0.6;

/** On a machine that others use too: the rounds in which they did least. */
function keepQuietest(samples: readonly Sample[]): readonly Sample[] {
  const noiseOf = (round: readonly Sample[]) => round.reduce((sum, { others }) => sum + others, 0);
  const rounds = [...Map.groupBy(samples, ({ round }) => round).values()].sort((a, b) => noiseOf(a) - noiseOf(b));
  return rounds.slice(0, Math.ceil(rounds.length * KEPT_SHARE)).flat();
}

function pick(samples: readonly Sample[], target: TargetName, connections: number): Sample[] {
  return samples
    .filter(sample => sample.target === target && sample.connections === connections)
    .sort((a, b) => a.round - b.round);
}
