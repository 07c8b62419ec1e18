import { readlink, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Refused } from './deed.ts';
import { codeOf, readIfThere, replaceLink } from './durable.ts';
import type { Layout, Slot } from './layout.ts';
import { SLOTS } from './layout.ts';
import { isPortOpen } from './loopback.ts';
import { commandLineOf, isAlive, type Life, lifeOf, signal } from './processes.ts';
import { until } from './until.ts';

/** The two slots as they lie on the disk. Nothing is remembered: whoever asks gets what is there now. */

/** Undefined when the link is missing or leads to no slot. */
export async function liveSlot(layout: Layout): Promise<Slot | undefined> {
  const target = await linkedFrom(layout.live);
  return SLOTS.find(slot => target === `../slots/${slot}`);
}

/** The id of the release that serves. */
export async function liveRelease(layout: Layout): Promise<string | undefined> {
  const slot = await liveSlot(layout);
  return slot && (await releaseOf(layout, slot));
}

/** The id of the release that this slot is linked to. */
export async function releaseOf(layout: Layout, slot: Slot): Promise<string | undefined> {
  const target = await linkedFrom(layout.slot(slot).release);
  return target === undefined ? undefined : basename(target);
}

export async function isHeld(layout: Layout, slot: Slot): Promise<boolean> {
  return (await writtenAt(layout.slot(slot).hold)) !== undefined;
}

/** Whoever runs this slot now: run-slot while it waits, then the gateway. Undefined when nobody of ours does. */
export async function runnerOf(layout: Layout, slot: Slot): Promise<Life | undefined> {
  const pid = Number((await readIfThere(layout.slot(slot).pid))?.trim());
  const life = await lifeOf(pid);
  return life && (await isOurs(layout, slot, pid)) ? life : undefined;
}

/** Has shared/env changed since the slot read it, which was when it started? */
export async function hasOldEnv(layout: Layout, slot: Slot): Promise<boolean> {
  const [began, env] = await Promise.all([writtenAt(layout.slot(slot).began), writtenAt(layout.env)]);
  return began !== undefined && env !== undefined && env > began;
}

/** Makes the slot wait: afterwards its process is gone and nobody listens on its port. */
export async function hold(layout: Layout, slot: Slot, port: number, stopSeconds: number): Promise<void> {
  await createHold(layout.slot(slot).hold);
  const runner = await runnerOf(layout, slot);
  if (runner && !(await waits(layout, slot, runner))) await end(runner, stopSeconds);
  if (await until(async () => !(await isPortOpen(port)), PORT_MS)) return;
  throw new Refused({
    code: 'deploy/failed',
    message: `The slot ${slot} has ended, but another process still listens on its port ${port}.`,
    hint: `Find it with \`lsof -nP -iTCP:${port} -sTCP:LISTEN\` and end it.`,
    exit: 1,
  });
}

/** Which release the slot runs when it runs again. Only while it is held, and never the one that serves. */
export async function relink(layout: Layout, slot: Slot, release: string): Promise<void> {
  if ((await liveSlot(layout)) === slot) throw new Error(`${slot} serves: its release must not be changed.`);
  if (!(await isHeld(layout, slot))) throw new Error(`${slot} is not held: its release must not be changed.`);
  await replaceLink(layout.slot(slot).release, `../../releases/${release}`);
}

/** Whoever waits in the slot goes on. */
export async function letGo(layout: Layout, slot: Slot): Promise<void> {
  await rm(layout.slot(slot).hold, { force: true });
}

/** From the next request on, the proxy sends everything there; without a slot, nowhere. */
export async function flip(layout: Layout, slot: Slot | undefined): Promise<void> {
  if (slot) await replaceLink(layout.live, `../slots/${slot}`);
  else await rm(layout.live, { force: true });
}

// Private

const PORT_MS = 5000;
const KILL_MS = 5000;

async function linkedFrom(link: string): Promise<string | undefined> {
  return await readlink(link).catch(() => undefined);
}

/** An older hold stays as it is: its age says who came after it. */
async function createHold(file: string): Promise<void> {
  await writeFile(file, '', { flag: 'wx' }).catch(thrown => {
    if (codeOf(thrown) !== 'EEXIST') throw thrown;
  });
}

async function writtenAt(file: string): Promise<bigint | undefined> {
  return await stat(file, { bigint: true }).then(
    ({ mtimeNs }) => mtimeNs,
    () => undefined,
  );
}

/** A number in a file proves nothing: after a restart of the machine it may be anybody's. */
async function isOurs(layout: Layout, slot: Slot, pid: number): Promise<boolean> {
  const line = await commandLineOf(pid);
  const home = await realpath(layout.home);
  const isWaiting = [home, layout.home].some(folder => line.includes(`${folder}/bin/run-slot ${slot} `));
  return isWaiting || (line.includes(`${home}/releases/`) && line.includes('/src/main.ts serve'));
}

/**
 * run-slot that began after the slot was held: it saw that, and need not be ended. (One that is started twice within ten
 * seconds is kept waiting by launchd.) One that began before may be past its look.
 */
async function waits(layout: Layout, slot: Slot, { pid }: Life): Promise<boolean> {
  const [began, held] = await Promise.all([writtenAt(layout.slot(slot).pid), writtenAt(layout.slot(slot).hold)]);
  const isAfter = began !== undefined && held !== undefined && began > held;
  return isAfter && (await commandLineOf(pid)).includes('/bin/run-slot ');
}

async function end(runner: Life, stopSeconds: number): Promise<void> {
  const isGone = async () => !(await isAlive(runner));
  signal(runner, 'SIGTERM');
  if (await until(isGone, stopSeconds * 1000)) return;
  signal(runner, 'SIGKILL');
  if (await until(isGone, KILL_MS)) return;
  throw new Error(`Process ${runner.pid} does not end, not even by SIGKILL.`);
}
