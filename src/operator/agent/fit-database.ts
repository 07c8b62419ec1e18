import { join } from 'node:path';
import { Refused, type Scene } from './deed.ts';
import type { Facts } from './journal.ts';
import type { Layout } from './layout.ts';
import { readManifest, treeHashOf } from './manifest.ts';
import { migrate } from './release-programs.ts';
import { liveRelease } from './slots.ts';
import type { Steps } from './steps.ts';

/**
 * Two releases work on one database, but logins and rights in it are as the one wants them that migrated last; another
 * one that wants them different works on, and does not start again. So whoever serves has the last word.
 */
export async function bringDatabaseTo(
  { layout }: Scene,
  { steps, facts }: { steps: Steps; facts: Facts },
  release: string,
  seconds: number,
): Promise<void> {
  const before = facts.migrated;
  facts.migrated = release;
  try {
    await steps.run('migrate', release, () => migrate(layout, release, seconds));
  } catch (thrown) {
    // It was refused before it changed anything.
    if (thrown instanceof Refused && thrown.refusal.exit !== 1) facts.migrated = before;
    throw thrown;
  }
}

/** At the end of a verb, however it ends. Nothing can be undone then any more: what goes wrong is told. */
export async function leaveDatabaseFit(
  { layout, tell }: Scene,
  steps: Steps,
  { from, migrated = from }: Facts,
  seconds: number,
): Promise<void> {
  // Unclear who serves: whoever asked before has said so, and that is what is to be heard.
  const serving = await liveRelease(layout).catch(() => undefined);
  if (!serving || !migrated || serving === migrated || (await wantTheSame(layout, serving, migrated))) return;
  const fit = async () => `${serving}, which serves: ${await migrate(layout, serving, seconds)}`;
  await steps.finish('fit', `${serving}, which serves`, fit).catch(thrown => {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const sentence = `The database is as ${migrated} wants it, and ${serving}, which serves, might not start again: ${why}`;
    tell({ kind: 'warning', sentence });
  });
}

// Private

/** What says how the database shall be, and which passwords are in it. */
const DECISIVE = ['src/database', 'src/vault'];

/** Of a release that is gone nobody knows what it wanted. */
async function wantTheSame(layout: Layout, one: string, other: string): Promise<boolean> {
  const [ones, others] = await Promise.all([wishOf(layout, one), wishOf(layout, other)]);
  return ones !== undefined && ones === others;
}

function wishOf(layout: Layout, release: string): Promise<string | undefined> {
  const folders = DECISIVE.map(folder => readManifest(join(layout.release(release), folder)));
  return Promise.all(folders).then(
    manifests => manifests.map(treeHashOf).join(' '),
    () => undefined,
  );
}
