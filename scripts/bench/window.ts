import { availableParallelism } from 'node:os';
import { setTimeout as pass } from 'node:timers/promises';
import { cpuBetween, type Meter, machineMicros, meterOfMyself } from './processes.ts';

/** How long to look, and through how many concurrent lines of questions. */
export interface Window {
  connections: number;
  warmSeconds: number;
  seconds: number;
}

/** At whom to look meanwhile. */
export interface Meters {
  server: Meter;
  postgres: Meter;
}

export interface Reading {
  /** Good answers per second. */
  rate: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  bad: number;
  firstBad: string | undefined;
  /** CPU microseconds per answer. */
  cpuMicros: number;
  postgresMicros: number;
  /** Megabytes of the server at the end. */
  rssMb: number;
  /** The share of the machine that went to processes that have nothing to do with this; NaN where nobody says. */
  others: number;
}

/** One line of questions: it asks the next when it has the answer, until the window is over. */
export interface Line {
  isOver(): boolean;
  report(milliseconds: number, complaint: string | undefined): void;
}

/** Looks at lines that it starts. `cut` ends those that do not end by themselves. */
export async function watch(
  { connections, warmSeconds, seconds }: Window,
  meters: Meters,
  runLine: (line: Line) => Promise<void>,
  cut = () => {},
): Promise<Reading> {
  const tally = { times: [] as number[], bad: 0, firstBad: undefined as string | undefined };
  let phase: 'warm' | 'measured' | 'over' = 'warm';
  const line: Line = {
    isOver: () => phase === 'over',
    report(milliseconds, complaint) {
      tally.firstBad ??= complaint;
      if (phase !== 'measured') return;
      tally.times.push(milliseconds);
      if (complaint !== undefined) tally.bad += 1;
    },
  };
  const lines = Array.from({ length: connections }, () => runLine(line));

  await pass(warmSeconds * 1000);
  const before = look(meters);
  phase = 'measured';
  await pass(seconds * 1000);
  phase = 'over';
  const after = look(meters);
  // A server that is cut off in mid-call would have to clear up in the next window.
  await Promise.race([Promise.all(lines), pass(FAREWELL_MS)]);
  cut();
  await Promise.all(lines);

  const { bad, firstBad } = tally;
  const times = tally.times.sort((a, b) => a - b);
  const elapsedMicros = (after.at - before.at) * 1000;
  const machine = after.machine - before.machine;
  return {
    rate: (times.length - bad) / (elapsedMicros / 1e6),
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    bad,
    firstBad,
    cpuMicros: cpuBetween(before.server.cpuMicros, after.server.cpuMicros) / times.length,
    postgresMicros: cpuBetween(before.postgres.cpuMicros, after.postgres.cpuMicros) / times.length,
    rssMb: after.server.rssMb,
    others: Math.max(0, machine - cpuBetween(before.ours, after.ours)) / (elapsedMicros * availableParallelism()),
  };
}

// Private

const FAREWELL_MS = 2000;

function look({ server, postgres }: Meters) {
  const looks = { server: server(), postgres: postgres(), myself: meterOfMyself()() };
  const ours = new Map(Object.values(looks).flatMap(({ cpuMicros }) => [...cpuMicros]));
  return { ...looks, ours, machine: machineMicros(), at: performance.now() };
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
