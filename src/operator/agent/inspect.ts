import { createHash } from 'node:crypto';
import { readdir, readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type Deed, Refused } from './deed.ts';
import { logSince } from './gate.ts';
import { readHistory } from './history.ts';
import type { Layout, Slot } from './layout.ts';
import { readLock, secondsSince } from './lock.ts';
import { askReady, isPortOpen } from './loopback.ts';
import { readHost } from './outlook.ts';
import type { Inspection, SlotState } from './protocol.ts';
import { listReleases } from './release-file.ts';
import { readSecrets, readVariables } from './secrets.ts';
import { hasOldEnv, isHeld, liveSlot, releaseOf, runnerOf } from './slots.ts';

/** How things are, from the disk and from those who answer. Takes no lock, changes nothing, waits for nobody. */
export const inspect: Deed<'inspect'> = async (_, { layout }) => {
  const host = await readHost(layout.host);
  const [live, blue, green, releases, proxy, disk, lock, history, files, variables] = await Promise.all([
    liveSlot(layout).catch(asNone),
    inspectSlot(layout, 'blue', host.ports.blue),
    inspectSlot(layout, 'green', host.ports.green),
    listReleases(layout),
    inspectProxy(host.ports.proxy),
    statfs(layout.home),
    readLock(layout.lock),
    readHistory(layout.history),
    digestFiles(layout),
    readVariables(layout),
  ]);
  return {
    host,
    platform: `${process.platform}-${process.arch}`,
    live,
    slots: { blue, green },
    releases,
    proxy,
    disk: { freeBytes: disk.bavail * disk.bsize, totalBytes: disk.blocks * disk.bsize },
    lock: lock && { by: lock.by, verb: lock.verb, ageSeconds: secondsSince(lock.at), alive: lock.alive },
    history: history.slice(-HISTORY_LINES),
    files,
    envNames: Object.keys(variables).sort(),
  };
};

// Private

const HISTORY_LINES = 50;
const LOG_LINES = 10;

async function inspectSlot(layout: Layout, slot: Slot, port: number): Promise<SlotState> {
  const [release, runner, held, ready, oldEnv] = await Promise.all([
    releaseOf(layout, slot).catch(asNone),
    runnerOf(layout, slot).catch(asNone),
    isHeld(layout, slot),
    askReady(port),
    hasOldEnv(layout, slot),
  ]);
  const isUnwell = release !== undefined && !held && ready?.status !== 200;
  return {
    release,
    pid: runner?.pid,
    held,
    ready: ready && { status: ready.status, body: ready.facts },
    ...(ready && oldEnv && { oldEnv }),
    ...(isUnwell && { log: await lastLog(layout, slot) }),
  };
}

/** A link that says nothing keeps others from changing things, not from being looked at. */
function asNone(thrown: unknown): undefined {
  if (!(thrown instanceof Refused)) throw thrown;
}

async function lastLog(layout: Layout, slot: Slot): Promise<string[]> {
  const [{ hide }, lines] = await Promise.all([readSecrets(layout), logSince(layout, slot, 0)]);
  return lines.slice(-LOG_LINES).map(hide);
}

async function inspectProxy(port: number): Promise<Inspection['proxy']> {
  const answer = await askReady(port);
  // Caddy waits longer than we do for a slot that is gone.
  if (!answer) return (await isPortOpen(port)) ? { status: 0 } : undefined;
  const { status, headers } = answer;
  return { status, slot: headers['x-frame-slot']?.toString(), release: headers['x-frame-release']?.toString() };
}

async function digestFiles(layout: Layout): Promise<Inspection['files']> {
  const units = await readdir(layout.units).catch(() => []);
  const wanted = {
    customers: layout.customers,
    caddyfile: layout.caddyfile,
    services: layout.services,
    'run-slot': layout.runSlot,
    ...Object.fromEntries(units.map(name => [`units/${name}`, join(layout.units, name)])),
  };
  const digests = Object.entries(wanted).map(async ([name, file]) => [name, await digest(file)]);
  return Object.fromEntries(await Promise.all(digests));
}

async function digest(file: string): Promise<string | undefined> {
  return await readFile(file).then(
    bytes => createHash('sha256').update(bytes).digest('hex'),
    () => undefined,
  );
}
