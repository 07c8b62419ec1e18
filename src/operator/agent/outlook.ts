import { statfs } from 'node:fs/promises';
import { Refused, type Scene } from './deed.ts';
import { readIfThere } from './durable.ts';
import { type Layout, otherSlot, type Slot } from './layout.ts';
import { askReady } from './loopback.ts';
import { type Counts, readCounts } from './metrics.ts';
import type { HostFacts } from './protocol.ts';
import { readVariables } from './secrets.ts';
import { liveSlot, releaseOf } from './slots.ts';
import { isShaped, readWritten } from './written.ts';

/** How things stand when a verb begins. */
export interface Outlook {
  host: HostFacts;
  /** Who serves; undefined before the first deploy. */
  live?: { slot: Slot; release: string };
  /** The one that may be changed. */
  idle: Slot;
  /** What the live slot has done so far. */
  counts?: Counts;
}

/** @throws Refused when it cannot be told who serves: a first deploy would end them, and going back shut everybody out. */
export async function look({ layout }: Scene): Promise<Outlook> {
  const host = await readHost(layout.host);
  const slot = await liveSlot(layout);
  if (!slot) return { host, idle: 'blue' };
  const release = await releaseOf(layout, slot);
  if (!release) throw withoutRelease(slot);
  return { host, live: { slot, release }, idle: otherSlot(slot), counts: await readCounts(host.ports[slot]) };
}

/** @throws Refused when the disk is too full; a live slot that is unwell is only told, for this may be what mends it. */
export async function requireRoom(
  { layout, tell }: Scene,
  { host, live }: Outlook,
  minFreeMegabytes: number,
): Promise<void> {
  const { bavail, bsize } = await statfs(layout.home);
  const free = Math.floor((bavail * bsize) / 1e6);
  if (free < minFreeMegabytes) {
    throw new Refused({
      code: 'deploy/refused',
      message: `Only ${free} MB are free on this machine; ${minFreeMegabytes} MB must be.`,
      hint: '`frame slot cleanup` removes releases that nobody needs.',
      exit: 2,
    });
  }
  await requireVariables(layout, host);
  if (!live) return;
  const ready = await askReady(host.ports[live.slot]);
  if (ready?.status === 200) return;
  const how = ready ? `is not ready (${ready.status})` : 'does not answer';
  tell({ kind: 'warning', sentence: `The slot ${live.slot}, which serves now, ${how}.` });
}

/**
 * Without them a slot would find no database, or serve whomever its customers.yaml names.
 * @throws Refused
 */
export async function requireVariables(layout: Layout, { customer }: HostFacts): Promise<void> {
  if ((await readIfThere(layout.env)) === undefined) throw notProvisioned('shared/env');
  const { FRAME_DATABASE_URL: url, FRAME_CUSTOMER: owner } = await readVariables(layout);
  if (url && owner === customer) return;
  throw new Refused({
    code: 'deploy/refused',
    message: `shared/env on this machine lacks ${url ? `FRAME_CUSTOMER=${customer}` : 'FRAME_DATABASE_URL'}.`,
    hint: `\`frame provision ${customer}\` puts it there.`,
    exit: 2,
  });
}

/** @throws Refused when this machine is not prepared, or what was written down of it cannot be read any more */
export async function readHost(file: string): Promise<HostFacts> {
  const text = await readIfThere(file);
  if (text === undefined) throw notProvisioned('state/host.json');
  const host = readWritten<HostFacts>(text, { customer: 'string', supervisor: 'string' });
  if (host && isShaped(host.ports, { blue: 'number', green: 'number', proxy: 'number' })) return host;
  throw new Refused({
    code: 'deploy/refused',
    message: 'state/host.json is not what `frame provision` wrote there.',
    hint: '`frame provision` writes it anew when it is told its --ports and its --supervisor.',
    exit: 2,
  });
}

// Private

function withoutRelease(slot: Slot): Refused {
  return new Refused({
    code: 'deploy/refused',
    message: `The slot ${slot} serves, but its link slots/${slot}/release is missing: nobody can tell what would be gone back to.`,
    hint: `Link it to the release that it runs: \`ln -s ../../releases/RELEASE slots/${slot}/release\`.`,
    exit: 2,
  });
}

function notProvisioned(missing: string): Refused {
  return new Refused({
    code: 'deploy/refused',
    message: `This machine is not prepared: ${missing} is missing.`,
    hint: '`frame provision` prepares it.',
    exit: 2,
  });
}
