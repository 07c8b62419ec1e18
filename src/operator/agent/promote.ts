import { type Deed, Refused, type Scene } from './deed.ts';
import { readHistory } from './history.ts';
import { whileLocked } from './locked.ts';
import { look } from './outlook.ts';
import { requireRelease } from './release-file.ts';
import { checkShared } from './release-programs.ts';
import { isHeld, releaseOf } from './slots.ts';
import { prove } from './stage.ts';
import { refuseStepBack } from './step-back.ts';
import { takeOver } from './take-over.ts';

/** What is staged in the idle slot takes over, after it was proven once more. */
export const promote: Deed<'promote'> = ({ limits, force }, scene) =>
  whileLocked(scene, { verb: 'promote', force, migrateSeconds: limits.migrateSeconds }, async undertaking => {
    const { layout } = scene;
    const outlook = await look(scene);
    const { idle, live } = outlook;
    const release = await releaseOf(layout, idle);
    const facts = { from: live?.release, to: release, target: idle, before: live?.slot };
    Object.assign(undertaking.facts, facts);
    if (!release) throw nothingStaged(idle, release);
    const file = await undertaking.steps.look('preflight', async () => {
      if (await isHeld(layout, idle)) throw nothingStaged(idle, release);
      const found = await requireRelease(layout, release);
      await checkShared(layout, release);
      return found;
    });
    await warnOfGoingBack(scene, idle, release);
    const parts = { scene, undertaking, outlook, limits };
    await refuseStepBack(scene, undertaking, file, limits.migrateSeconds);
    await prove({ ...parts, release });
    return { answer: await takeOver({ ...parts, target: { slot: idle, release }, before: live }) };
  });

// Private

/** After a deploy the idle slot holds what served before it: whoever meant to go forward should hear it. */
async function warnOfGoingBack({ layout, tell }: Scene, idle: string, release: string): Promise<void> {
  const history = await readHistory(layout.history);
  const last = history.findLast(({ to, result }) => to === release && (result === 'staged' || result === 'ok'));
  if (last?.result !== 'ok') return;
  tell({ kind: 'warning', sentence: `${idle} holds ${release}, which served before: this goes back to it.` });
}

function nothingStaged(slot: string, release: string | undefined): Refused {
  const state = release ? `it is held, with ${release}, since that did not pass its gate` : 'it has no release';
  return new Refused({
    code: 'deploy/refused',
    message: `There is nothing to promote in ${slot}: ${state}.`,
    hint: '`frame deploy --no-promote` stages a release.',
    exit: 2,
  });
}
