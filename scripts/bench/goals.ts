import { lastRssOf, ratioOf, type Sample } from './compare.ts';
import type { ColdStart } from './frame.ts';

/** Where we want to be, and where we are. */
export interface Goal {
  what: string;
  unit: '' | 'x' | 'ms' | 'MB';
  /** First landing, then, dream. */
  steps: readonly [number, number, number];
  better: 'more' | 'less';
  /** NaN when it was not measured. */
  value: number;
}

export function goalsOf(samples: readonly Sample[], coldStart: ColdStart | undefined): Goal[] {
  const { milliseconds, idleRssMb } = coldStart ?? { milliseconds: Number.NaN, idleRssMb: Number.NaN };
  const rate = (base: 'toolbox select' | 'dbhub select', c: number) =>
    ratioOf(samples, 'frame select', base, c, 'rate');
  return [
    {
      what: 'rate against toolbox, c=16',
      unit: 'x',
      steps: [0.35, 0.5, 1],
      better: 'more',
      value: rate('toolbox select', 16),
    },
    {
      what: 'rate against toolbox, c=64',
      unit: 'x',
      steps: [0.35, 0.5, 1],
      better: 'more',
      value: rate('toolbox select', 64),
    },
    {
      what: 'rate against dbhub, c=16',
      unit: 'x',
      steps: [1.8, 2.5, 5],
      better: 'more',
      value: rate('dbhub select', 16),
    },
    {
      what: 'p50 against toolbox, c=1',
      unit: 'x',
      steps: [2, 1.5, 1.2],
      better: 'less',
      value: ratioOf(samples, 'frame select', 'toolbox select', 1, 'p50'),
    },
    {
      what: 'CPU per call against a bare tool, c=16',
      unit: 'x',
      steps: [2.5, 2, 1.6],
      better: 'less',
      value: ratioOf(samples, 'frame select', 'bare tool', 16, 'cpuMicros'),
    },
    { what: 'cold start to first answer', unit: 'ms', steps: [500, 250, 150], better: 'less', value: milliseconds },
    { what: 'memory when idle', unit: 'MB', steps: [130, 110, 80], better: 'less', value: idleRssMb },
    {
      what: 'memory at c=64',
      unit: 'MB',
      steps: [330, 220, 160],
      better: 'less',
      value: lastRssOf(samples, 'frame select', 64),
    },
  ];
}

export function standingOf({ steps, better, value }: Goal): string {
  if (Number.isNaN(value)) return 'not measured';
  const reached = steps.filter(step => (better === 'more' ? value >= step : value <= step)).length;
  return ['not yet', 'first landing', 'then', 'dream'][reached] ?? '';
}
