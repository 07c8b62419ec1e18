import { bringBackCustomers, keepCustomers } from './customers.ts';
import type { Scene } from './deed.ts';
import { leaveDatabaseFit } from './fit-database.ts';
import { appendHistory, readHistory } from './history.ts';
import { type Facts, factsOf, type Journal, readJournal, removeJournal, writeJournal } from './journal.ts';
import type { Layout } from './layout.ts';
import type { Holder, Lock } from './lock.ts';
import type { Command, HistoryLine } from './protocol.ts';
import { flip, liveRelease, liveSlot } from './slots.ts';
import { createSteps, type Steps } from './steps.ts';

/**
 * Sets right what a process that was killed left behind, and writes its line of history. Resolves to what it had begun
 * when the verb that comes now goes on with it.
 */
export async function setRight(scene: Scene, wish: Coming, lock: Lock): Promise<Facts | undefined> {
  const { layout, tell } = scene;
  if (lock.broken) await noteBroken(scene, wish, lock, lock.broken);
  const dead = (await readJournal(layout)) ?? (lock.broken && ofHolder(lock.broken));
  if (!dead) {
    await removeJournal(layout);
    return undefined;
  }
  // It may have a line: it was killed between that and its end, or it could not bring everything back, or whoever set it
  // right was killed in turn.
  const line = (await readHistory(layout.history)).find(({ id }) => id === dead.id);
  const isProven = line !== undefined && line.result !== 'interrupted';
  const { resumes, outcome } = await undoOrGoOn(scene, wish, dead, isProven);
  if (!resumes) await leaveDatabaseFit(scene, unwritten(scene), dead, wish.migrateSeconds ?? 300);
  if (!line) {
    tell({
      kind: 'warning',
      sentence: `\`${dead.verb}\` of ${dead.by} was cut off in the step \`${dead.step}\`; ${outcome}.`,
    });
    await appendHistory(layout.history, await lineOf(layout, dead, resumes, outcome));
  }
  if (!resumes) {
    await removeJournal(layout);
    return undefined;
  }
  // Until the first step is written down, the next one must find here that traffic has moved.
  const facts = factsOf(dead);
  const at = new Date().toISOString();
  await writeJournal(layout, { ...facts, ...FIRST, id: lock.token, verb: wish.verb, by: scene.by, at, stepAt: at });
  return facts;
}

// Private

/** What the verb that comes now wants. */
interface Coming {
  verb: Command;
  to?: string;
  migrateSeconds?: number;
}

async function noteBroken({ layout, by }: Scene, { verb }: Coming, { token }: Lock, broken: Holder): Promise<void> {
  const reason = `the lock of ${broken.by} (${broken.verb}, process ${broken.pid}, since ${broken.at})`;
  const at = new Date().toISOString();
  await appendHistory(layout.history, { id: `${token} broke`, at, by, verb, result: 'lock-broken', ms: 0, reason });
}

/** Killed before its first step: its lock is all that is left of it. */
function ofHolder({ token, verb, by, at }: Holder): Journal {
  return { id: token, verb, by, at, ...FIRST, stepAt: at };
}

const FIRST = { step: 'lock' };

/** The journal still tells of the dead one. */
function unwritten(scene: Scene): Steps {
  return createSteps(scene, async () => {});
}

async function lineOf(
  layout: Layout,
  { id, at, by, verb, from, to, step, stepAt }: Journal,
  resumes: boolean,
  outcome: string,
): Promise<HistoryLine> {
  // Whoever goes on says what serves in the end.
  const live = resumes ? undefined : await liveRelease(layout);
  const ms = Math.max(0, Date.parse(stepAt) - Date.parse(at)) || 0;
  return {
    id,
    at,
    by,
    verb,
    from,
    to,
    live,
    result: 'interrupted',
    ms,
    reason: `cut off in the step ${step}; ${outcome}`,
  };
}

/** Before its flip: as if it had never been. After it: its release serves, and was proven in its slot. */
async function undoOrGoOn(
  { layout }: Scene,
  wish: Coming,
  { step, target, before, to }: Journal,
  isProven: boolean,
): Promise<{ resumes: boolean; outcome: string }> {
  const hasFlipped = target !== undefined && target !== before && (await liveSlot(layout)) === target;
  if (hasFlipped && step !== 'revert') {
    const resumes = !isProven && wish.verb === 'deploy' && wish.to === to;
    if (!resumes) await keepCustomers(layout);
    return { resumes, outcome: `${target} had taken over` };
  }
  if (hasFlipped) await flip(layout, before);
  await bringBackCustomers(layout);
  return { resumes: false, outcome: hasFlipped ? `${before ?? 'nothing'} serves again` : 'traffic had not moved' };
}
