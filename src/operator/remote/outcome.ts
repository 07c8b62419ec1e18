import { type ErrorCode, toFrameError } from '../../errors.ts';
import type { Activated } from '../agent/protocol.ts';
import { EXIT, type Io } from '../command.ts';
import type { Errand } from './errand.ts';
import { AgentRefused } from './host.ts';
import { duration, inColumns } from './measure.ts';
import { plain, plainLines } from './plain.ts';
import type { EndedStep } from './steps.ts';

/** What came of a verb at one customer. */
export interface Outcome<T = Activated> {
  customer: string;
  result: Result;
  exit: number;
  ms: number;
  answer?: T;
  failure?: Failure;
  steps: readonly EndedStep[];
}

export type Result =
  | 'live'
  | 'staged'
  | 'cleaned'
  | 'planned'
  | 'failed'
  | 'refused'
  | 'gate-failed'
  | 'reverted'
  | 'locked'
  /** Says nothing about the release. */
  | 'unreachable'
  | 'untouched';

export interface Failure {
  code: ErrorCode;
  message: string;
  hint?: string;
}

/** Never rejects: at one of many machines, not even a defect of ours may hide what came of the others. */
export async function attempt<T>(
  errand: Errand,
  work: (errand: Errand) => Promise<T>,
  resultOf: (answer: T) => Result,
): Promise<Outcome<T>> {
  const { customer, dryRun, track } = errand;
  const begunAt = performance.now();
  const facts = () => ({ customer: customer.id, ms: Math.round(performance.now() - begunAt), steps: track.steps });
  try {
    const answer = await work(errand);
    if (dryRun) return { ...facts(), result: 'planned', exit: EXIT.ok, answer };
    return { ...facts(), result: resultOf(answer), exit: EXIT.ok, answer };
  } catch (thrown) {
    return { ...facts(), ...verdictOn(thrown) };
  }
}

export function resultOf({ promoted }: Activated): Result {
  return promoted ? 'live' : 'staged';
}

export interface Verdict {
  result: Result;
  exit: number;
  failure: Failure;
}

/** What it means that this was thrown. */
export function verdictOn(thrown: unknown): Verdict {
  const { code, message, hint, detail } = toFrameError(thrown);
  // Nobody foresaw it: what it says is all that there is to say, and where in our sources it came up helps no operator.
  const [unforeseen] = code === 'internal' ? (detail?.split('\n') ?? []) : [];
  const failure = { code, message: unforeseen ?? message, ...(hint && { hint }) };
  return { ...verdictOf(code), failure, ...(thrown instanceof AgentRefused && { exit: thrown.refusal.exit }) };
}

export function untouched(customer: string): Outcome<never> {
  return { customer, result: 'untouched', exit: EXIT.ok, ms: 0, steps: [] };
}

/** Of several, that of the first failure. */
export function exitOf(outcomes: readonly Pick<Outcome, 'exit'>[]): number {
  return outcomes.find(({ exit }) => exit !== EXIT.ok)?.exit ?? EXIT.ok;
}

/** Good news: data, for standard output. */
export function newsOf({ customer, result, answer }: Outcome): string[] {
  if (result === 'planned') return [`${customer}: nothing was changed.`];
  if (!answer) return [];
  const { live, release, previous, promoted } = answer;
  const before = previous ? `; before: ${previous.release} on ${previous.slot}` : '';
  const waits = previous ? `, while ${previous.release} serves on ${previous.slot}` : '';
  const words = promoted
    ? `${release} is live on ${live}${before}.`
    : `${release} waits, proven${waits}. \`frame promote ${customer}\` lets it take over.`;
  return [`${customer}: ${plain(words)}`];
}

/** Why it came to nothing, and what to do next: for people, on standard error. */
export function sayFailure(customer: string, { result, failure }: Pick<Outcome, 'result' | 'failure'>, io: Io): void {
  if (!failure) return;
  const [first, ...more] = plainLines(failure.message);
  io.err(`${customer}: ${WORDS[result]}: ${first}`);
  const hint = failure.hint ?? NEXT[result] ?? `\`frame slot status ${customer}\` says how it is there.`;
  for (const line of [...more, ...plainLines(hint)]) io.err(`  ${line}`);
}

/** All of them on one screen. */
export function tableOf(outcomes: readonly Outcome[]): string[] {
  const rows = outcomes.map(({ customer, result, answer, ms }) => [
    customer,
    WORDS[result],
    plain(result === 'live' && answer ? `${answer.release} on ${answer.live}` : ''),
    result === 'untouched' ? '' : duration(ms),
  ]);
  return inColumns([['customer', 'result', 'serves', 'took'], ...rows]);
}

/** One customer's part of the document of --json. */
export function toJson({ answer, ...outcome }: Outcome<object>): object {
  return outcome.result === 'planned' ? outcome : { ...outcome, ...answer };
}

// Private

const WORDS: Readonly<Record<Result, string>> = {
  live: 'live',
  staged: 'staged',
  cleaned: 'cleaned',
  planned: 'planned',
  failed: 'failed',
  refused: 'refused',
  'gate-failed': 'gate failed',
  reverted: 'reverted',
  locked: 'locked',
  unreachable: 'unreachable',
  untouched: 'untouched',
};

/** When the machine itself has said nothing about it. */
const NEXT: Readonly<Partial<Record<Result, string>>> = {
  'gate-failed': 'Traffic never moved. Mend the release, and deploy it again.',
  reverted: 'What served before serves again. Mend the release, and deploy it again.',
  locked: 'Wait until it is done, or break its lock with --force.',
};

function verdictOf(code: ErrorCode): { result: Result; exit: number } {
  switch (code) {
    case 'deploy/gate-failed':
      return { result: 'gate-failed', exit: EXIT.gateFailed };
    case 'deploy/reverted':
      return { result: 'reverted', exit: EXIT.reverted };
    case 'deploy/locked':
      return { result: 'locked', exit: EXIT.locked };
    case 'deploy/refused':
      return { result: 'refused', exit: EXIT.wrong };
    case 'deploy/unreachable':
      return { result: 'unreachable', exit: EXIT.wrong };
    default:
      return { result: 'failed', exit: EXIT.failed };
  }
}
