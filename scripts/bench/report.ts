import { lastRssOf, type Measure, median, medianOf, ratioOf, type Sample } from './compare.ts';
import type { ColdStart } from './frame.ts';
import { type Goal, standingOf } from './goals.ts';
import type { Profile, Share } from './profile.ts';
import type { Stage } from './stage.ts';
import { show, toTable } from './table.ts';
import { TARGETS, type TargetName } from './targets.ts';
import type { Trend } from './traps.ts';

/** The samples of one concurrency: medians of the rounds, and ratios within them. */
export function comparisonTable(samples: readonly Sample[], missing: ReadonlyMap<string, string>): string {
  const connections = samples[0]?.connections ?? 0;
  const measured = TARGETS.filter(target => samples.some(sample => sample.target === target));
  const rows = measured.map(target => {
    const value = (measure: Measure) => medianOf(samples, target, connections, measure);
    return [
      target,
      `${connections}`,
      show(value('rate')),
      show(value('p50'), 2),
      show(value('p99'), 1),
      show(value('cpuMicros')),
      show(value('postgresMicros')),
      show(lastRssOf(samples, target, connections)),
      `${samples.reduce((sum, sample) => sum + (sample.target === target ? sample.bad : 0), 0)}`,
      show(ratioOf(samples, target, BASES[target] ?? 'toolbox select', connections, 'rate'), 2),
    ];
  });
  const complaints = measured.flatMap(target => {
    const complaint = samples.find(sample => sample.target === target && sample.firstBad)?.firstBad;
    return complaint === undefined ? [] : [`${target}: the first bad answer was ${complaint}`];
  });
  const absences = [...missing].map(([target, why]) => `${target}: not measured. ${why}`);
  const others = median(samples.map(sample => sample.others));
  const disturbance = others > DISTURBING ? [`Others used ${show(others * 100)} % of this machine meanwhile.`] : [];
  const head = ['target', 'c', 'rate', 'p50 ms', 'p99 ms', 'cpu us', 'pg us', 'RSS MB', 'bad', 'ratio'];
  return [toTable([head, ...rows]), ...complaints, ...absences, ...disturbance].join('\n');
}

export const LEGEND = `rate: good answers per second. cpu, pg: CPU of the server's processes and of Postgres, per answer.
ratio: of rates, within a round, against toolbox; of inserts against postgres.js, which is this process and no server;
of calls by key, of run_sql and of sealed values against frame's own select or insert.
frame checks a token, logs in as the entity, keeps a durable audit and a log. dbhub, toolbox, the bare tool and
postgres.js do none of it.`;

export function coldStartLine({ milliseconds, idleRssMb }: ColdStart): string {
  return `frame serve: ${show(milliseconds)} ms from its start to the first good answer, ${show(idleRssMb)} MB when idle`;
}

export function goalsTable(goals: readonly Goal[]): string {
  const rows = goals.map(goal => {
    const { what, unit, steps, better, value } = goal;
    const digits = unit === 'x' ? 2 : 0;
    const sign = better === 'more' ? '>=' : '<=';
    return [what, ...steps.map(step => `${sign} ${step}`), `${show(value, digits)} ${unit}`.trim(), standingOf(goal)];
  });
  return toTable([['goal', 'first landing', 'then', 'dream', 'now', ''], ...rows]);
}

export function trendTable(trends: readonly Trend[]): string {
  const rows = trends.map(({ name, cpuMicros }) => [name, ...cpuMicros.map(micros => show(micros))]);
  const heads = rows[0]?.slice(1).map((_, i) => `window ${i + 1}`) ?? [];
  return `CPU us per query at c=64, in windows of 5 s\n${toTable([['', ...heads], ...rows])}`;
}

export function profileTables({ file, cpuMicros, places, functions }: Profile): string {
  const table = (title: string, shares: readonly Share[]) =>
    toTable([[title, 'share', 'us per call'], ...shares.slice(0, SHOWN).map(toRow)]);
  const toRow = ({ name, share }: Share) => [name, `${show(share * 100, 1)} %`, show(share * cpuMicros)];
  return [
    `${show(cpuMicros)} us of CPU per select at c=16, the profiler's own included; the profile is in ${file}`,
    table('for whom', places),
    table('in which function itself', functions),
  ].join('\n\n');
}

/** How this tree does against another one: medians of the ratios within each round. */
export function treesTable(samples: readonly Sample[]): string {
  const connections = samples[0]?.connections ?? 0;
  const rows = (['select', 'insert'] as const).map(tool => {
    const [here, there] = [`here ${tool}`, `there ${tool}`] as const;
    const ratio = (measure: Measure) => show(ratioOf(samples, here, there, connections, measure), 3);
    const bad = samples.filter(({ target }) => target.endsWith(tool)).reduce((sum, sample) => sum + sample.bad, 0);
    return [tool, `${connections}`, ratio('rate'), ratio('p50'), ratio('cpuMicros'), ratio('postgresMicros'), `${bad}`];
  });
  return toTable([['here / there', 'c', 'rate', 'p50', 'cpu', 'pg', 'bad'], ...rows]);
}

export function migrationLine({ entities, migrationMilliseconds }: Stage): string {
  return `frame migrate: ${show(migrationMilliseconds / 1000, 1)} s for a new customer with ${entities} entities`;
}

// Private

/** What a target is compared with when that is not toolbox. */
const BASES: Partial<Record<TargetName, TargetName>> = {
  'frame insert': 'postgres.js insert',
  'postgres.js insert': 'postgres.js insert',
  'frame select by key': 'frame select',
  'frame run_sql': 'frame select',
  'frame select sealed': 'frame select',
  'frame insert sealed': 'frame insert',
};

const SHOWN = 25;
const DISTURBING = 0.05;
