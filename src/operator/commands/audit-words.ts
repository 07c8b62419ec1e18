import type { ExtractScope } from '../../audit/extract.ts';
import type { ChainVerdict, Verdict } from '../../audit/walk.ts';
import { WrongUsage } from '../command.ts';
import { plain } from '../remote/plain.ts';

/** What `frame audit` says, and how it reads what it is told. */
export interface CheckpointVerdict {
  checkpoints: string;
  lines: number;
  verdict: 'whole' | 'missing' | 'forged';
  why?: string;
  /** When the last one was written. */
  last?: string;
}

/** The gravest one wins: 5 says that there is nothing to measure by, 4 that the newest records are gone. */
export const EXIT_CODES: Record<Verdict | CheckpointVerdict['verdict'], number> = {
  whole: 0,
  altered: 2,
  gap: 3,
  'cut-off': 4,
  missing: 5,
  forged: 5,
};

export function worstOf(verdicts: readonly { verdict: keyof typeof EXIT_CODES }[]): number {
  return Math.max(0, ...verdicts.map(({ verdict }) => EXIT_CODES[verdict]));
}

export function sentenceOfChain({ chain, records, verdict, at }: ChainVerdict): string {
  const name = plain(chain);
  switch (verdict) {
    case 'whole':
      return `${name}  whole, ${count(records, 'record')}`;
    case 'cut-off':
      return `${name}  cut off at ${at}, below a checkpoint`;
    default:
      return `${name}  ${verdict} at ${at}`;
  }
}

export function sentenceOfCheckpoints({ verdict, lines, last, why }: CheckpointVerdict): string {
  if (verdict !== 'whole') return `checkpoints  ${verdict}: ${why}`;
  return `checkpoints  whole, ${count(lines, 'line')}${last ? `, the last of ${last}` : ''}`;
}

/** Days in UTC, both of them included. */
export function readSpan(since: string | undefined, until: string | undefined): Pick<ExtractScope, 'since' | 'until'> {
  const from = since === undefined ? undefined : readDay(since, '--since');
  const to = until === undefined ? undefined : readDay(until, '--until') + DAY_MS;
  if (from !== undefined && to !== undefined && from >= to) throw new WrongUsage('--since is later than --until.');
  return { ...(from !== undefined && { since: from }), ...(to !== undefined && { until: to }) };
}

export function readMonth(text: string | undefined): string {
  if (text !== undefined && /^\d{4}-(0[1-9]|1[0-2])$/.test(text)) return text;
  throw new WrongUsage('Say which month, such as 2026-09.');
}

export function count(number: number, one: string): string {
  return `${number} ${one}${number === 1 ? '' : 's'}`;
}

// Private

const DAY_MS = 86_400_000;

function readDay(text: string, option: string): number {
  const time = Date.parse(text);
  // What is no day of the calendar would be taken for one of the next month.
  const isDay = !Number.isNaN(time) && new Date(time).toISOString().slice(0, 10) === text;
  if (!isDay) throw new WrongUsage(`${option} takes a day, such as 2026-09-30.`);
  return time;
}
