import { bringBackCustomers, keepCustomers } from './customers.ts';
import type { Scene } from './deed.ts';
import { leaveDatabaseFit } from './fit-database.ts';
import { appendHistory, readHistory } from './history.ts';
import { type Facts, type Journal, readJournal, removeJournal } from './journal.ts';
import type { Holder, Lock } from './lock.ts';
import type { Command } from './protocol.ts';
import { flip, liveRelease, liveSlot } from './slots.ts';
import { createSteps } from './steps.ts';

/**
 * Sets right what a process that was killed left behind, and writes its line of history. Resolves to what it had begun
 * when the verb that comes now goes on with it.
 */
export async function setRight(scene: Scene, wish: Coming, lock: Lock): Promise<Facts | undefined> {
  const { layout, tell } = scene;
  if (lock.broken) await noteBroken(scene, wish, lock, lock.broken);
  const dead = (await readJournal(layout)) ?? (lock.broken && ofHolder(lock.broken));
  // It may have been killed between its line and its end.
  if (!dead || (await hasLine(layout.history, dead.id))) {
    await removeJournal(layout);
    return undefined;
  }
  const { resumes, outcome } = await undoOrGoOn(scene, wish, dead);
  if (!resumes)
    await leaveDatabaseFit(
      scene,
      createSteps(scene, async () => {}),
      dead,
      wish.migrateSeconds ?? 300,
    );
  const { id, at, by, verb, from, to, step, stepAt } = dead;
  tell({ kind: 'warning', sentence: `\`${verb}\` of ${by} was cut off in the step \`${step}\`; ${outcome}.` });
  await appendHistory(layout.history, {
    id,
    at,
    by,
    verb,
    from,
    to,
    // Whoever goes on says what serves in the end.
    live: resumes ? undefined : await liveRelease(layout),
    result: 'interrupted',
    ms: Math.max(0, Date.parse(stepAt) - Date.parse(at)) || 0,
    reason: `cut off in the step ${step}; ${outcome}`,
  });
  await removeJournal(layout);
  return resumes ? dead : undefined;
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
  return { id: token, verb, by, at, step: 'lock', stepAt: at };
}

async function hasLine(file: string, id: string): Promise<boolean> {
  return (await readHistory(file)).some(line => line.id === id);
}

/** Before its flip: as if it had never been. After it: its release serves, and was proven in its slot. */
async function undoOrGoOn(
  { layout }: Scene,
  wish: Coming,
  { step, target, before, to }: Journal,
): Promise<{ resumes: boolean; outcome: string }> {
  const hasFlipped = target !== undefined && target !== before && (await liveSlot(layout)) === target;
  if (hasFlipped && step !== 'revert') {
    const resumes = wish.verb === 'deploy' && wish.to === to;
    if (!resumes) await keepCustomers(layout);
    return { resumes, outcome: `${target} had taken over` };
  }
  if (hasFlipped) await flip(layout, before);
  await bringBackCustomers(layout);
  return { resumes: false, outcome: hasFlipped ? `${before ?? 'nothing'} serves again` : 'traffic had not moved' };
}
