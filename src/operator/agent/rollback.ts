import { type Deed, Refused, type Scene } from './deed.ts';
import { bringDatabaseTo } from './fit-database.ts';
import { previousOf, readHistory } from './history.ts';
import { whileLocked } from './locked.ts';
import { askReady } from './loopback.ts';
import { look, requireVariables } from './outlook.ts';
import { requireRelease } from './release-file.ts';
import { checkShared } from './release-programs.ts';
import { hasOldEnv, isHeld, releaseOf } from './slots.ts';
import { prove, type Staging, stage } from './stage.ts';
import { refuseStepBack } from './step-back.ts';
import { takeOver } from './take-over.ts';

/** The release that served before, or the one that is named, serves again; when it is warm, by a flip and nothing else. */
export const rollback: Deed<'rollback'> = ({ to, limits, force }, scene) =>
  whileLocked(scene, { verb: 'rollback', force, to, migrateSeconds: limits.migrateSeconds }, async undertaking => {
    const { layout } = scene;
    const outlook = await look(scene);
    const { idle, live } = outlook;
    if (!live) throw refused('Nothing serves on this machine, so there is nothing to go back from.', DEPLOY);
    const release = to ?? previousOf(await readHistory(layout.history), live.release);
    if (!release) throw refused(`The history knows no release before ${live.release}.`, NAME_ONE);
    const facts = { from: live.release, to: release, target: idle, before: live.slot };
    Object.assign(undertaking.facts, facts);
    if (release === live.release) {
      undertaking.steps.skip('stage', `${release} serves already, in ${live.slot}`);
      const answer = { live: live.slot, release, promoted: true };
      return { answer, reason: 'it served already' };
    }
    const staging = { scene, undertaking, outlook, release, limits };
    const serves = await isWarm(staging);
    const file = await undertaking.steps.look('preflight', async () => {
      await requireVariables(layout, outlook.host);
      const found = await requireRelease(layout, release);
      await (serves ? warnUnlessAccepted(scene, release) : checkShared(layout, release));
      return found;
    });
    if (!serves) {
      await bringDatabaseTo(scene, undertaking, release, limits.migrateSeconds);
      await stage(staging);
    } else {
      await refuseStepBack(scene, undertaking, file, limits.migrateSeconds);
      await prove(staging);
    }
    return { answer: await takeOver({ ...staging, target: { slot: idle, release }, before: live }) };
  });

// Private

async function isWarm({ scene: { layout }, outlook: { idle, host }, release }: Staging): Promise<boolean> {
  if ((await releaseOf(layout, idle)) !== release || (await isHeld(layout, idle))) return false;
  // A secret that was replaced meanwhile may not be good any more.
  if (await hasOldEnv(layout, idle)) return false;
  const ready = await askReady(host.ports[idle]);
  return ready?.status === 200 && ready.facts.release === release;
}

/** Whoever goes back has trouble now. That this release would not start again is for afterwards. */
async function warnUnlessAccepted({ layout, tell }: Scene, release: string): Promise<void> {
  await checkShared(layout, release).catch(thrown => {
    if (!(thrown instanceof Refused)) throw thrown;
    const why = 'does not accept shared/customers.yaml, and would not start again after a crash';
    tell({ kind: 'warning', sentence: `${release} ${why}: deploy one soon that it accepts, or a newer release.` });
  });
}

const DEPLOY = '`frame deploy` makes a release live.';
const NAME_ONE = '`frame rollback --to RELEASE` goes to any release that is here; `frame slot status` names them.';

function refused(message: string, hint: string): Refused {
  return new Refused({ code: 'deploy/refused', message, hint, exit: 2 });
}
