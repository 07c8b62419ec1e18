import { Refused, type Scene } from './deed.ts';
import type { Slot } from './layout.ts';
import type { Undertaking } from './locked.ts';
import { askReady } from './loopback.ts';
import { readCounts } from './metrics.ts';
import type { Outlook } from './outlook.ts';
import type { Activated, Limits } from './protocol.ts';
import { flip, runnerOf } from './slots.ts';
import { until } from './until.ts';
import { findWrongAnswer } from './verify.ts';
import { baselineOf, watch, type Yardstick } from './watch.ts';

/** The flip, and what must hold after it; else everything is as it was before. */
export interface TakeOver {
  scene: Scene;
  undertaking: Undertaking;
  outlook: Outlook;
  /** What takes over. */
  target: { slot: Slot; release: string };
  /** What served before, and serves again if need be. */
  before?: { slot: Slot; release: string };
  limits: Limits;
}

/** @throws Refused (21) when it went back. */
export async function takeOver(parts: TakeOver): Promise<Activated> {
  const { scene, undertaking, outlook, target, before, limits } = parts;
  const { layout } = scene;
  const { ports } = outlook.host;
  const [atFlip, start, runner] = await Promise.all([
    before && readCounts(ports[before.slot]),
    readCounts(ports[target.slot]),
    runnerOf(layout, target.slot),
  ]);
  const from = before ? `${before.slot} → ${target.slot}` : target.slot;
  await undertaking.steps.run('flip', from, () => flip(layout, target.slot));
  const baseline = baselineOf(outlook.counts, atFlip, limits.watch.minRequests);
  await proveServing(parts, { baseline, start, runner });
  return { live: target.slot, release: target.release, previous: before, promoted: true };
}

/** What comes after a flip, also after one that a killed process made. */
export async function proveServing(parts: TakeOver, yardstick: Yardstick): Promise<void> {
  const { scene, undertaking, outlook, target, limits } = parts;
  const { layout, stop } = scene;
  const { steps } = undertaking;
  const { ports } = outlook.host;
  const { answers } = limits.verify;
  await orGoBack(parts, () =>
    steps.finish('verify', `${answers} answers through the proxy`, async () => {
      const fault = await findWrongAnswer({ ...target, layout, ports, limits: limits.verify });
      if (fault) throw new Error(fault);
      return `${answers} of ${answers} answers from ${target.release}, and 401 without a token`;
    }),
  );
  if (limits.watch.seconds === 0) return steps.skip('watch', 'for 0 s');
  await orGoBack(parts, () =>
    steps.finish('watch', `${target.slot} for ${limits.watch.seconds} s`, async () => {
      const { slot } = target;
      const { fault, seen } = await watch({ ...yardstick, slot, port: ports[slot], limits: limits.watch, stop });
      if (fault) throw new Error(fault);
      return seen;
    }),
  );
}

// Private

const READY_MS = 5000;

/** Whatever goes wrong now, for reasons that nobody foresaw too: what served before is known to be good. */
async function orGoBack(parts: TakeOver, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof Refused) throw thrown;
    throw await goBack(parts, thrown instanceof Error ? thrown.message : String(thrown));
  }
}

/** One slow answer says nothing: the machine may be busy with just what is wrong with the new release. */
async function isReady(port: number): Promise<boolean> {
  return await until(async () => (await askReady(port))?.status === 200, READY_MS, { everyMs: 200 });
}

/** To the slot before, if it is any better. The new one runs on, for whoever wants to know why. */
async function goBack({ scene, undertaking, outlook, target, before }: TakeOver, fault: string): Promise<Refused> {
  const release = `The release ${target.release}`;
  if (before && !(await isReady(outlook.host.ports[before.slot]))) {
    return new Refused({
      code: 'deploy/failed',
      message: `${release} serves in ${target.slot}, but ${fault}. It did not go back: ${before.slot} is not ready either.`,
      hint: '`frame health` shows what both slots lack.',
      exit: 1,
    });
  }
  const back = before ? `${before.slot} serves again` : 'nothing serves, as before';
  await undertaking.steps.undo('revert', back, () => flip(scene.layout, before?.slot));
  return new Refused({
    code: 'deploy/reverted',
    message: `${release} took over and went back: ${fault}.`,
    hint:
      before &&
      `${before.slot} serves ${before.release} again. ${target.slot} runs on: log/${target.slot}.log says more.`,
    exit: 21,
  });
}
