import { open, stat } from 'node:fs/promises';
import type { Layout, Slot } from './layout.ts';
import { askReady } from './loopback.ts';
import type { Limits } from './protocol.ts';
import { runnerOf } from './slots.ts';
import { until } from './until.ts';

/** Is the slot what it shall be? Asked on its own port, so that no traffic is touched by the answer. */
export interface Gate {
  layout: Layout;
  slot: Slot;
  port: number;
  release: string;
  limits: Limits['gate'];
  stop?: AbortSignal;
}

/** Resolves to what is wrong, in a sentence, or to undefined after as many good answers in a row as are wanted. */
export async function findFault(gate: Gate): Promise<string | undefined> {
  const { layout, slot, limits, port, stop } = gate;
  let good = 0;
  let fault = '';
  const pids = new Set<number>();
  const ended = () => pids.size > MOST_ENDS;
  const isDecided = async () => {
    const runner = await runnerOf(layout, slot);
    if (runner) pids.add(runner.pid);
    fault = await faultOf(gate);
    good = fault === '' ? good + 1 : 0;
    return good >= limits.answers || fault.startsWith(OTHER) || ended();
  };
  const isDone = await until(isDecided, limits.seconds * 1000, { everyMs: EVERY_MS, stop });
  if (isDone && fault === '') return undefined;
  if (ended()) return `${slot} was started ${pids.size} times, and did not stay.`;
  if (isDone) return `${slot} ${fault}.`;
  if (fault === '') return `${slot} gave ${good} of ${limits.answers} good answers within ${limits.seconds} s.`;
  if (fault !== NOBODY || pids.size > 0) return `${slot} ${fault} after ${limits.seconds} s.`;
  return `Nothing runs the slot ${slot} (port ${port}): its daemon is not loaded. \`frame provision\` says how.`;
}

/** How long the log is now: what is written later is what comes behind. */
export async function logEnd(layout: Layout, slot: Slot): Promise<number> {
  return await stat(layout.log(slot)).then(
    ({ size }) => size,
    () => 0,
  );
}

/** The last 40 lines of what the slot has written since; all of it when the log was begun anew. */
export async function logSince(layout: Layout, slot: Slot, since: number): Promise<string[]> {
  const size = await logEnd(layout, slot);
  const begin = Math.max(since > size ? 0 : since, size - LOG_BYTES);
  if (begin >= size) return [];
  await using file = await open(layout.log(slot), 'r');
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(size - begin), position: begin });
  const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.slice(-LOG_LINES);
}

// Private

const EVERY_MS = 100;
const LOG_LINES = 40;
const LOG_BYTES = 64 * 1024;
const NOBODY = 'does not answer';
/** No waiting mends that, */
const OTHER = 'says that it ';
/** nor a program that ended so often: it may have been unlucky once or twice. */
const MOST_ENDS = 3;

/** What this one answer lacks; empty when it is good. */
async function faultOf({ port, release, slot }: Gate): Promise<string> {
  const answer = await askReady(port);
  if (!answer) return NOBODY;
  const { status, facts } = answer;
  if (facts.release !== release && facts.release !== undefined) return `${OTHER}runs ${facts.release}, not ${release}`;
  if (status !== 200) return `is not ready (${status}${failedChecks(facts)})`;
  if (facts.release !== release) return 'does not say which release it runs';
  return facts.slot === slot ? '' : `${OTHER}is the slot ${facts.slot}`;
}

function failedChecks({ checks }: Record<string, unknown>): string {
  const failed = Object.entries({ ...(checks as object) }).filter(([, outcome]) => outcome !== 'ok');
  return failed.length > 0 ? `: ${failed.map(([name]) => name).join(', ')}` : '';
}
