import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bringBackCustomers, isNewText, isUnsettled, keepCustomers, putCustomers } from './customers.ts';
import type { Deed, Scene } from './deed.ts';
import { bringDatabaseTo } from './fit-database.ts';
import { type Ended, type Undertaking, type Wish, whileLocked } from './locked.ts';
import { askReady } from './loopback.ts';
import { readCounts } from './metrics.ts';
import { look, type Outlook, requireRoom } from './outlook.ts';
import { makePassingFolder } from './passing-folder.ts';
import type { Activated, Activation } from './protocol.ts';
import { findRelease, requireRelease } from './release-file.ts';
import { check } from './release-programs.ts';
import { hasOldEnv, liveSlot, runnerOf } from './slots.ts';
import { stage } from './stage.ts';
import { knowsAllOf } from './step-back.ts';
import { proveServing, takeOver } from './take-over.ts';

/** A release that was uploaded comes into the idle slot, is proven there, and takes over. */
export const activate: Deed<'activate'> = (request, scene) =>
  whileLocked(scene, wishOf(request), undertaking =>
    orAsBefore(scene, undertaking, async () => {
      const outlook = await look(scene);
      const holdsIt = outlook.live?.release === request.id;
      const isLive = holdsIt && (undertaking.resumed !== undefined || (await servesWell(scene, outlook)));
      const target = isLive ? outlook.live?.slot : outlook.idle;
      const before = undertaking.resumed ?? { from: outlook.live?.release, before: outlook.live?.slot };
      Object.assign(undertaking.facts, { target, from: before.from, before: before.before });
      const parts = { scene, undertaking, outlook, request };
      await preflight(parts);
      if (isLive) return await stayLive(parts);
      await putAndMigrate(parts);
      await stage({ ...parts, release: request.id, limits: request.limits });
      return request.promote ? await promoteIt(parts) : stagedOnly(parts);
    }),
  );

// Private

function wishOf({ id, force, limits: { migrateSeconds } }: Activation): Wish {
  return { verb: 'deploy', force, to: id, migrateSeconds };
}

interface Parts {
  scene: Scene;
  undertaking: Undertaking;
  outlook: Outlook;
  request: Activation;
}

/** Its slot may be unwell, or have begun before shared/env was changed: then the release comes into the other one anew. */
async function servesWell({ layout, tell }: Scene, { host, live, idle }: Outlook): Promise<boolean> {
  if (!live) return false;
  const ready = await askReady(host.ports[live.slot]);
  const isOld = await hasOldEnv(layout, live.slot);
  if (ready?.status === 200 && ready.facts.release === live.release && !isOld) return true;
  const why = isOld ? 'began before shared/env was changed' : 'is unwell';
  tell({ kind: 'warning', sentence: `${live.slot}, which serves it already, ${why}: it comes into ${idle} anew.` });
  return false;
}

/** Nothing is changed by it, and much is refused. */
async function preflight({ scene, undertaking: { steps }, outlook, request }: Parts): Promise<void> {
  const { id, customers, limits } = request;
  await steps.look('preflight', async () => {
    await requireRoom(scene, outlook, limits.minFreeMegabytes);
    if (!scene.dryRun) await requireRelease(scene.layout, id);
  });
  // Before the upload, a dry run finds no release here that could check anything.
  if (scene.dryRun && !(await findRelease(scene.layout, id))) return await steps.run('check', id, async () => {});
  await steps.look('check', () =>
    withFile(customers, async file => {
      await check(scene.layout, id, file);
      await checkWithLive({ scene, outlook, request }, file);
    }),
  );
}

/** Staged only, the new text comes to the release that serves on, and must not keep it from starting after a crash. */
async function checkWithLive({ scene, outlook, request }: Omit<Parts, 'undertaking'>, file: string): Promise<void> {
  const { live } = outlook;
  if (request.promote || !live || live.release === request.id) return;
  if (!(await isNewText(scene.layout, request.customers))) return;
  const hint = `${live.release} serves on, with this file. Without --no-promote both come at once.`;
  await check(scene.layout, live.release, file, hint);
}

async function putAndMigrate({ scene, undertaking, outlook, request }: Parts): Promise<void> {
  const { customers, id, limits } = request;
  const { steps } = undertaking;
  if (await isNewText(scene.layout, customers)) {
    await steps.run('customers', 'shared/customers.yaml', () => putCustomers(scene.layout, customers));
  } else {
    steps.skip('customers', 'shared/customers.yaml is the same');
  }
  await warnOfNoWayBack(scene, outlook, id);
  await bringDatabaseTo(scene, undertaking, id, limits.migrateSeconds);
}

/** Only said: whoever wrote it knows it, and whoever deploys it may not. */
async function warnOfNoWayBack({ layout, tell }: Scene, { live }: Outlook, id: string): Promise<void> {
  const [before, after] = await Promise.all([live?.release ?? '', id].map(release => findRelease(layout, release)));
  if (!before || !after || knowsAllOf(before, after)) return;
  const sentence = `${id} has a breaking migration: from here on ${before.release} may fail, and there is no way back to it.`;
  tell({ kind: 'warning', sentence });
}

/** Whoever serves in the end decides which customers.yaml stays. */
async function orAsBefore(
  { layout, dryRun }: Scene,
  { steps, facts }: Undertaking,
  work: () => Promise<Ended<Activated>>,
): Promise<Ended<Activated>> {
  const settle = async (isGood: () => Promise<boolean> | boolean) => {
    if (dryRun || !(await isUnsettled(layout))) return;
    await steps.undo('settle', 'shared/customers.yaml', async () => {
      const stays = await isGood();
      await (stays ? keepCustomers(layout) : bringBackCustomers(layout));
      return stays ? 'the new customers.yaml stays' : 'customers.yaml is the one before';
    });
  };
  try {
    const ended = await work();
    await settle(() => true);
    return ended;
  } catch (thrown) {
    const hasTakenOver = facts.target !== undefined && facts.target !== facts.before;
    await settle(async () => hasTakenOver && (await liveSlot(layout)) === facts.target);
    throw thrown;
  }
}

/** It serves already: only customers.yaml may be new, and what a killed process left unproven is proven now. */
async function stayLive(parts: Parts): Promise<Ended<Activated>> {
  const { scene, undertaking, outlook, request } = parts;
  const { facts, resumed, steps } = undertaking;
  const target = { slot: facts.target ?? outlook.idle, release: request.id };
  const before = facts.before && facts.from && resumed ? { slot: facts.before, release: facts.from } : undefined;
  await putAndMigrate(parts);
  if (resumed) {
    const baseline = before && (await readCounts(outlook.host.ports[before.slot]));
    const runner = await runnerOf(scene.layout, target.slot);
    await proveServing({ ...parts, target, before, limits: request.limits }, { baseline, runner });
  } else {
    steps.skip('stage', `${request.id} serves already, in ${target.slot}`);
  }
  const answer = { live: target.slot, release: target.release, previous: before, promoted: true };
  return { answer, reason: resumed ? 'proven after an interruption' : 'it served already' };
}

async function promoteIt(parts: Parts): Promise<Ended<Activated>> {
  const { outlook, request } = parts;
  const target = { slot: outlook.idle, release: request.id };
  return { answer: await takeOver({ ...parts, target, before: outlook.live, limits: request.limits }) };
}

function stagedOnly({ outlook: { idle, live }, request: { id } }: Parts): Ended<Activated> {
  // Before the first flip nobody is live yet.
  return { answer: { live: live?.slot ?? idle, release: id, previous: live, promoted: false }, result: 'staged' };
}

async function withFile<T>(text: string, work: (file: string) => Promise<T>): Promise<T> {
  const folder = await makePassingFolder(tmpdir(), 'frame-check-');
  try {
    const file = join(folder, 'customers.yaml');
    await writeFile(file, text, { mode: 0o600 });
    return await work(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
