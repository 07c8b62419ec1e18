import { Refused, type Scene } from './deed.ts';
import { findFault, logEnd, logSince } from './gate.ts';
import type { Slot } from './layout.ts';
import type { Undertaking } from './locked.ts';
import type { Outlook } from './outlook.ts';
import type { Limits } from './protocol.ts';
import { readSecrets } from './secrets.ts';
import { hold, letGo, relink } from './slots.ts';
import { refuseIfStopped } from './steps.ts';

/** Brings a release into the idle slot and proves it there. Traffic goes on elsewhere. */
export interface Staging {
  scene: Scene;
  undertaking: Undertaking;
  outlook: Outlook;
  release: string;
  limits: Limits;
}

/** @throws Refused (20) with the slot held again */
export async function stage(staging: Staging): Promise<void> {
  const { scene, undertaking, outlook, release, limits } = staging;
  const { layout } = scene;
  const { steps } = undertaking;
  const slot = outlook.idle;
  const stop = () => hold(layout, slot, outlook.host.ports[slot], limits.stopSeconds);
  await steps.run('hold', `${slot} ends`, stop);
  await steps.run('link', `${slot} → ${release}`, () => relink(layout, slot, release));
  const since = await logEnd(layout, slot);
  try {
    await steps.run('start', slot, () => letGo(layout, slot));
    await prove(staging, since);
  } catch (thrown) {
    await steps.undo('hold', `${slot} ends again; traffic never moved`, stop);
    throw thrown;
  }
}

/** @throws Refused (20) after the last lines that the slot wrote behind `since` were told; the slot runs on. */
export async function prove(staging: Staging, since = 0): Promise<void> {
  const { scene, undertaking, outlook, release, limits } = staging;
  const { layout, stop } = scene;
  const slot = outlook.idle;
  await undertaking.steps.run('gate', `${slot} answers as ${release}`, async () => {
    const port = outlook.host.ports[slot];
    const fault = await findFault({ layout, slot, port, release, limits: limits.gate, stop });
    if (!fault) return `${limits.gate.answers} of ${limits.gate.answers} good answers of ${slot}`;
    refuseIfStopped('gate', stop);
    await tellLog(scene, slot, since);
    throw gateFailed(fault);
  });
}

// Private

async function tellLog({ layout, tell }: Scene, slot: Slot, since: number): Promise<void> {
  const { hide } = await readSecrets(layout);
  tell({ kind: 'log', slot, lines: (await logSince(layout, slot, since)).map(hide) });
}

function gateFailed(message: string): Refused {
  const hint = 'What it wrote last was shown. Traffic never moved: mend the release, and deploy it again.';
  return new Refused({ code: 'deploy/gate-failed', message, hint, exit: 20 });
}
