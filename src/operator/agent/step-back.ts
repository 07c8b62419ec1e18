import type { Scene } from './deed.ts';
import { bringDatabaseTo } from './fit-database.ts';
import { readHistory } from './history.ts';
import type { Undertaking } from './locked.ts';
import type { HistoryLine, ReleaseFile } from './protocol.ts';
import { findRelease } from './release-file.ts';

/**
 * A release that is older than what the database has been brought to must not serve. The truth is the release's own
 * `migrate`, which refuses what it does not know. It is asked when a release that came after it may have broken with it,
 * and spared when none has: then a step back is a flip and nothing else.
 * @throws Refused (2) with the reason
 */
export async function refuseStepBack(
  scene: Scene,
  undertaking: Undertaking,
  target: ReleaseFile,
  migrateSeconds: number,
): Promise<void> {
  const { layout } = scene;
  const later = releasesAfter(await readHistory(layout.history), target.release);
  const files = await Promise.all(later.map(id => findRelease(layout, id)));
  if (files.every(file => file && knowsAllOf(target, file))) return;
  await bringDatabaseTo(scene, undertaking, target.release, migrateSeconds);
}

/** Is there no breaking migration in the other one that this one lacks? */
export function knowsAllOf(one: ReleaseFile, other: ReleaseFile): boolean {
  return (['control', 'entity'] as const).every(part => one.schema[part].breaking >= other.schema[part].breaking);
}

// Private

/** Those that were brought here after this one had last been, and got further than being refused. */
function releasesAfter(history: readonly HistoryLine[], release: string): string[] {
  const migrated = history.filter(({ verb, result }) => verb === 'deploy' && result !== 'refused');
  const last = migrated.findLastIndex(({ to }) => to === release);
  return [...new Set(migrated.slice(last + 1).flatMap(({ to }) => to ?? []))];
}
