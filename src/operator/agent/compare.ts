import type { Counts } from './metrics.ts';
import type { WatchLimits } from './protocol.ts';

/**
 * Is the new slot worse than the old one was? Plain numbers in, a sentence or undefined out. `old` is undefined on a first
 * deploy: then the new one is measured against a slot without errors.
 */
export function whyWorse(fresh: Counts, old: Counts | undefined, limits: WatchLimits): string | undefined {
  return (
    worseShare('answers are errors of the server (5xx)', errorsOf(fresh), old && errorsOf(old), limits) ??
    worseShare(
      'calls of tools failed through no fault of the caller',
      failuresOf(fresh),
      old && failuresOf(old),
      limits,
    ) ??
    slower(fresh, old, limits)
  );
}

/** For people: what was seen. */
export function describe(fresh: Counts, old: Counts | undefined): string {
  const of = (counts: Counts) =>
    `requests: ${counts.requests}, ${percent(errorsOf(counts))} errors; tool calls: ${counts.calls}, ${percent(failuresOf(counts))} failed`;
  return old ? `${of(fresh)} (before: ${of(old)})` : of(fresh);
}

// Private

/** A difference that nobody notices is no reason to go back: a process that has just started is slower for a while. */
const NOTICEABLE_SECONDS = 0.05;

interface Share {
  all: number;
  bad: number;
}

const errorsOf = ({ requests, errors }: Counts): Share => ({ all: requests, bad: errors });
const failuresOf = ({ calls, failures }: Counts): Share => ({ all: calls, bad: failures });

function worseShare(what: string, fresh: Share, old: Share | undefined, limits: WatchLimits): string | undefined {
  if (fresh.all < limits.minRequests) return undefined;
  const before = old && old.all >= limits.minRequests ? old : { all: 1, bad: 0 };
  const points = pointsOf(fresh) - pointsOf(before);
  if (points <= limits.errorPoints) return undefined;
  return `${percent(fresh)} of ${fresh.all} ${what}; before it were ${percent(before)}`;
}

/** Tool by tool, so that a different mixture of calls is no difference. */
function slower(fresh: Counts, old: Counts | undefined, limits: WatchLimits): string | undefined {
  const known = [...fresh.tools].flatMap(([name, now]) => {
    const before = old?.tools.get(name);
    return before && before.calls > 0 ? [{ now, expected: (before.seconds / before.calls) * now.calls, before }] : [];
  });
  const calls = sum(known.map(({ now }) => now.calls));
  if (calls < limits.minRequests || sum(known.map(({ before }) => before.calls)) < limits.minRequests) return undefined;
  const mean = sum(known.map(({ now }) => now.seconds)) / calls;
  const expected = sum(known.map(tool => tool.expected)) / calls;
  if (mean <= expected * limits.latencyFactor || mean - expected < NOTICEABLE_SECONDS) return undefined;
  return `a call of a tool takes ${milliseconds(mean)} on average; the same calls took ${milliseconds(expected)} before`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function pointsOf({ all, bad }: Share): number {
  return all === 0 ? 0 : (bad / all) * 100;
}

function percent(share: Share): string {
  return `${pointsOf(share).toFixed(1)} %`;
}

function milliseconds(seconds: number): string {
  return `${Math.round(seconds * 1000)} ms`;
}
