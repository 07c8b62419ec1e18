import { Refused, type Scene } from './deed.ts';
import { leaveDatabaseFit } from './fit-database.ts';
import { appendHistory } from './history.ts';
import { type Facts, removeJournal, writeJournal } from './journal.ts';
import { type Lock, takeLock } from './lock.ts';
import type { Command, HistoryLine } from './protocol.ts';
import { setRight } from './recover.ts';
import { liveRelease } from './slots.ts';
import { type Begin, createSteps, type Steps } from './steps.ts';

/** What a verb that changes this machine works with, while it alone does so. */
export interface Undertaking {
  steps: Steps;
  /** For journal and history; what is said here is written with the next step. */
  facts: Facts;
  /** Another one was killed after its flip, and this one asks for the same release: what is left is to prove it. */
  resumed?: Facts;
}

export interface Wish {
  verb: Command;
  force?: boolean;
  /** The release that is asked for. */
  to?: string;
  /** How long a migration may take. Default 300. */
  migrateSeconds?: number;
}

export interface Ended<T> {
  answer: T;
  result?: 'ok' | 'staged';
  reason?: string;
}

/**
 * Takes the lock, sets right what a killed process left behind, does the work, and writes one line of history however it
 * ends. A dry run does the work without any of that.
 */
export async function whileLocked<T>(
  scene: Scene,
  wish: Wish,
  work: (undertaking: Undertaking) => Promise<Ended<T>>,
): Promise<T> {
  const facts: Facts = { to: wish.to };
  if (scene.dryRun) return (await work({ steps: createSteps(scene, async () => {}), facts })).answer;

  const { layout, by } = scene;
  const at = new Date().toISOString();
  const started = performance.now();
  const record = async (id: string | undefined, result: HistoryLine['result'], reason?: string) => {
    const ms = Math.round(performance.now() - started);
    // A line without it is better than none.
    const live = await liveRelease(layout).catch(() => undefined);
    const { from, to } = facts;
    await appendHistory(layout.history, { id, at, by, verb: wish.verb, from, to, live, result, ms, reason });
  };

  // What went wrong first is what people must hear; a full disk may be the reason for both.
  const hideNothing = () => {
    scene.tell({ kind: 'warning', sentence: 'The history could not be written.' });
    return false;
  };

  const warnOfRest = () => scene.tell({ kind: 'warning', sentence: 'The journal could not be removed.' });

  const lock = await takeLock(layout.lock, { ...wish, by }).catch(async thrown => {
    if (thrown instanceof Refused) await record(undefined, 'refused', reasonOf(thrown)).catch(hideNothing);
    throw thrown;
  });
  const begin: Begin = async (step, isVital) => {
    await requireLock(lock, step);
    const stepAt = new Date().toISOString();
    await writeJournal(layout, { ...facts, id: lock.token, verb: wish.verb, by, at, step, stepAt }).catch(thrown => {
      if (!isVital) throw thrown;
      scene.tell({ kind: 'warning', sentence: `The step \`${step}\` could not be written down: ${reasonOf(thrown)}.` });
    });
  };
  const steps = createSteps(scene, begin);
  // Until then, the journal on the disk is that of a dead one.
  let isRight = false;
  let isOver = false;
  try {
    const resumed = await setRight(scene, wish, lock);
    isRight = true;
    Object.assign(facts, resumed);
    const working = work({ steps, facts, resumed });
    const ended = working.finally(() => leaveDatabaseFit(scene, steps, facts, wish.migrateSeconds ?? 300));
    const { answer, result = 'ok', reason } = await ended;
    await requireLock(lock, 'end');
    await record(lock.token, result, reason);
    isOver = true;
    return answer;
  } catch (thrown) {
    // Whoever broke our lock has written our line.
    if (!(await lock.isHeld())) throw thrown;
    const isWritten = await record(lock.token, resultOf(thrown), reasonOf(thrown)).then(() => true, hideNothing);
    isOver = isRight && isWritten && !steps.isOwing();
    throw thrown;
  } finally {
    // Else whoever comes next reads there what is left to do.
    if (isOver && (await lock.isHeld())) await removeJournal(layout).catch(warnOfRest);
    await lock.release();
  }
}

// Private

const MAX_REASON = 2000;

async function requireLock(lock: Lock, step: string): Promise<void> {
  if (await lock.isHeld()) return;
  throw new Refused({
    code: 'deploy/locked',
    message: `Somebody broke the lock by force before the step \`${step}\`: nothing more was done.`,
    hint: '`frame status` says how things are now.',
    exit: 75,
  });
}

function resultOf(thrown: unknown): HistoryLine['result'] {
  if (!(thrown instanceof Refused)) return 'failed';
  switch (thrown.refusal.code) {
    case 'deploy/gate-failed':
      return 'gate-failed';
    case 'deploy/reverted':
      return 'reverted';
    case 'deploy/failed':
      return 'failed';
    default:
      return 'refused';
  }
}

function reasonOf(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, MAX_REASON);
}
