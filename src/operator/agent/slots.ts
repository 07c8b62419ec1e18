import { readlink, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { Refused } from './deed.ts';
import { codeOf, isMissing, readIfThere, replaceLink } from './durable.ts';
import type { Layout, Slot } from './layout.ts';
import { otherSlot, SLOTS } from './layout.ts';
import { isPortOpen } from './loopback.ts';
import { commandLineOf, isAlive, type Life, lifeOf, signal } from './processes.ts';
import { until } from './until.ts';

/** The two slots as they lie on the disk. Nothing is remembered: whoever asks gets what is there now. */

/**
 * Undefined when the link is missing or leads nowhere: then the proxy finds nobody either. However it is written, it
 * leads where the proxy follows it to.
 * @throws Refused when nobody can tell: to take that for "none" would be to end whoever serves.
 */
export async function liveSlot(layout: Layout): Promise<Slot | undefined> {
  try {
    const target = await whereTo(layout.live);
    if (target === undefined) return undefined;
    for (const slot of SLOTS) if ((await whereTo(layout.slot(slot).folder)) === target) return slot;
    throw new Error(`it leads to ${target}, which is no slot`);
  } catch (thrown) {
    throw unclear('state/live', 'which slot serves', thrown);
  }
}

/** The id of the release that serves. */
export async function liveRelease(layout: Layout): Promise<string | undefined> {
  const slot = await liveSlot(layout);
  return slot && (await releaseOf(layout, slot));
}

/**
 * The id of the release that this slot is linked to.
 * @throws Refused when it is no link that can be read
 */
export async function releaseOf(layout: Layout, slot: Slot): Promise<string | undefined> {
  try {
    return basename(await readlink(layout.slot(slot).release));
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw unclear(`slots/${slot}/release`, `which release ${slot} runs`, thrown);
  }
}

export async function isHeld(layout: Layout, slot: Slot): Promise<boolean> {
  return (await writtenAt(layout.slot(slot).hold)) !== undefined;
}

/** Whoever runs this slot now: run-slot while it waits, then the gateway. Undefined when nobody of ours does. */
export async function runnerOf(layout: Layout, slot: Slot): Promise<Life | undefined> {
  const pid = await writtenPid(layout, slot);
  const life = await lifeOf(pid);
  return life && (await isOurs(layout, slot, pid)) ? life : undefined;
}

/** Has shared/env changed since the slot read it, which was when it started? */
export async function hasOldEnv(layout: Layout, slot: Slot): Promise<boolean> {
  const [began, env] = await Promise.all([writtenAt(layout.slot(slot).began), writtenAt(layout.env)]);
  return began !== undefined && env !== undefined && env > began;
}

/** Makes the slot wait: afterwards its process is gone and nobody listens on its port. Never the one that serves. */
export async function hold(layout: Layout, slot: Slot, port: number, stopSeconds: number): Promise<void> {
  if ((await liveSlot(layout)) === slot) throw new Error(`${slot} serves: it must not be held.`);
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
const EXEC_MS = 50;

/** Undefined when nothing is there, or at the end of the links that begin there. */
async function whereTo(path: string): Promise<string | undefined> {
  return await realpath(path).catch(thrown => {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  });
}

function unclear(link: string, what: string, thrown: unknown): Refused {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new Refused({
    code: 'deploy/refused',
    message: `The link ${link} on this machine does not say ${what}: ${why}.`,
    hint: 'Somebody else has changed it: put it right by hand, then try again.',
    exit: 2,
  });
}

async function writtenPid(layout: Layout, slot: Slot): Promise<number> {
  return Number((await readIfThere(layout.slot(slot).pid))?.trim());
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
    thrown => {
      if (isMissing(thrown)) return undefined;
      throw thrown;
    },
  );
}

/** A number in a file proves nothing: after a restart of the machine it may be anybody's, the other slot's too. */
async function isOurs(layout: Layout, slot: Slot, pid: number): Promise<boolean> {
  const line = await settledLineOf(pid);
  const home = await realpath(layout.home);
  if ([home, layout.home].some(folder => line.includes(`${folder}/bin/run-slot ${slot} `))) return true;
  const release = await releaseOf(layout, slot);
  if (release === undefined || !line.includes(`${home}/releases/${release}/src/main.ts serve`)) return false;
  return (await writtenPid(layout, otherSlot(slot))) !== pid || (await isNewer(layout, slot));
}

/** It is empty for an instant while a process becomes another program, as run-slot becomes the gateway. */
async function settledLineOf(pid: number): Promise<string> {
  let line = '';
  const isThere = async () => {
    line = await commandLineOf(pid);
    return line !== '';
  };
  await until(isThere, EXEC_MS, { everyMs: 10 });
  return line;
}

/** Of two files with one number, the older is left from a process that is no more. */
async function isNewer(layout: Layout, slot: Slot): Promise<boolean> {
  const [ours, others] = await Promise.all([slot, otherSlot(slot)].map(each => writtenAt(layout.slot(each).pid)));
  return ours !== undefined && (others === undefined || ours > others);
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
