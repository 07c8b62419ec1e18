import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Deed } from './deed.ts';
import { inOrderOfUse, readHistory } from './history.ts';
import { type Layout, SLOTS } from './layout.ts';
import { whileLocked } from './locked.ts';
import { listReleases } from './release-file.ts';
import { releaseOf } from './slots.ts';

/**
 * Removes releases that nobody will go back to, uploads that were given up, and old agents. What a slot links stays, the
 * last `keep` in the order of history stay, and so does everything whose name or content is not of our making.
 */
export const cleanup: Deed<'cleanup'> = ({ keep, force }, scene) =>
  whileLocked(scene, { verb: 'cleanup', force }, async ({ steps }) => {
    const { layout } = scene;
    const { releases, kept } = await sortReleases(layout, keep);
    const leftovers = await findLeftovers(layout);
    const agents = await findOldAgents(layout);
    // Leftovers first: one may have the name that a release gets on its way out.
    const removed = [...leftovers, ...releases, ...agents];
    for (const path of removed) await steps.run('remove', path, () => removeWhole(join(layout.home, path)));
    return { answer: { removed, kept }, reason: removed.length > 0 ? `removed ${removed.join(', ')}` : undefined };
  });

// Private

/** Nobody works on it any more. */
const GRACE_MS = 3_600_000;
/** One upload may take a day, and whoever sends a release to many machines activates it after the last one. */
const UNUSED_GRACE_MS = 2 * 86_400_000;
const AGENTS_KEPT = 3;

/** Paths below the home of what goes, ids of what stays. */
async function sortReleases(layout: Layout, keep: number): Promise<{ releases: string[]; kept: string[] }> {
  const here = await listReleases(layout);
  const used = inOrderOfUse(await readHistory(layout.history)).filter(id => here.includes(id));
  const linked = await Promise.all(SLOTS.map(slot => releaseOf(layout, slot)));
  const fresh = await Promise.all(
    here.map(async id => !used.includes(id) && (await isYoung(layout.release(id), UNUSED_GRACE_MS))),
  );
  const last = keep > 0 ? used.filter(id => !linked.includes(id)).slice(-keep) : [];
  const stays = (id: string, index: number) => linked.includes(id) || last.includes(id) || fresh[index];
  return {
    kept: here.filter(stays),
    releases: here.filter((id, index) => !stays(id, index)).map(id => `releases/${id}`),
  };
}

/** Halves of uploads and of earlier removals; what is left of a lock whose owner was killed. */
async function findLeftovers(layout: Layout): Promise<string[]> {
  const wanted = [
    { folder: 'releases', isOurs: (name: string) => name.endsWith('.partial') },
    { folder: 'agent', isOurs: (name: string) => /^[0-9a-f]+\./.test(name) },
    { folder: 'state', isOurs: (name: string) => name.startsWith('deploy.lock.') },
  ];
  const found: string[] = [];
  for (const { folder, isOurs } of wanted) {
    for (const name of (await namesIn(join(layout.home, folder))).filter(isOurs)) {
      if (!(await isYoung(join(layout.home, folder, name)))) found.push(`${folder}/${name}`);
    }
  }
  return found;
}

async function findOldAgents({ agents }: Layout): Promise<string[]> {
  const names = (await namesIn(agents)).filter(name => /^[0-9a-f]+$/.test(name));
  const aged = await Promise.all(names.map(async name => ({ name, at: await changedAt(join(agents, name)) })));
  const oldestLast = aged.sort((one, other) => other.at - one.at);
  return oldestLast
    .slice(AGENTS_KEPT)
    .filter(({ name }) => join(agents, name) !== import.meta.dirname)
    .map(({ name }) => `agent/${name}`);
}

/** Under its own name it is whole or not there: whoever is killed in between leaves a `*.partial`. */
async function removeWhole(path: string): Promise<void> {
  const going = path.endsWith('.partial') ? path : `${path}.removed.partial`;
  if (going !== path) {
    // Of one that was killed: not empty, it would be in the way.
    await rm(going, { recursive: true, force: true });
    await rename(path, going);
  }
  await rm(going, { recursive: true, force: true });
}

async function namesIn(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
}

async function isYoung(path: string, graceMs = GRACE_MS): Promise<boolean> {
  return Date.now() - (await changedAt(path)) < graceMs;
}

async function changedAt(path: string): Promise<number> {
  return await lstat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}
