import { openDriver } from './driver.ts';
import { askBySql, askForItem, askToInsert, createKeys, startFrame } from './frame.ts';
import { createNewItems, SEALED_TABLE } from './items.ts';
import { type Asking, putCalls, putLoad } from './load.ts';
import { type Peer, startBareTool, startDbhub, startToolbox } from './peers.ts';
import { meterOf, meterOfMyself } from './processes.ts';
import type { Stage } from './stage.ts';
import type { TREE_TARGETS } from './trees.ts';
import type { Meters, Reading, Window } from './window.ts';

/** Something that load can be put on. */
export interface Target {
  name: TargetName;
  run(window: Window): Promise<Reading>;
}

export const TARGETS = [
  'frame select',
  'frame select 2025',
  'frame insert',
  'frame select by key',
  'frame run_sql',
  'frame select sealed',
  'frame insert sealed',
  'postgres.js select',
  'postgres.js insert',
  'bare tool',
  'dbhub select',
  'toolbox select',
] as const;
export type TargetName = (typeof TARGETS)[number] | (typeof TREE_TARGETS)[number];

export const isFrame = (name: TargetName) => name.startsWith('frame ');

export interface Targets extends AsyncDisposable {
  all: readonly Target[];
  /** A peer that could not be installed or started, and why. */
  missing: ReadonlyMap<string, string>;
}

/** Starts what the wanted targets need, each server once. */
export async function openTargets(stage: Stage, wanted: ReadonlySet<TargetName>): Promise<Targets> {
  await using opening = new AsyncDisposableStack();
  const nextItem = createNewItems();
  const all: Target[] = [];
  const missing = new Map<string, string>();

  const isWanted = (...names: TargetName[]) => names.some(name => wanted.has(name));
  function add(name: TargetName, run: Target['run']): void {
    if (wanted.has(name)) all.push({ name, run });
  }
  function addServer(name: TargetName, pid: number, asking: Asking): void {
    const meters: Meters = { server: meterOf(pid), postgres: stage.postgres };
    add(name, window => putLoad(asking, window, meters));
  }
  async function addPeer(name: TargetName, start: (stage: Stage) => Promise<Peer>): Promise<void> {
    if (!isWanted(name)) return;
    try {
      const { child, asking } = await start(stage);
      opening.use(child);
      addServer(name, child.pid, asking);
    } catch (thrown) {
      missing.set(name, String(thrown));
    }
  }

  if (isWanted(...TARGETS.filter(isFrame))) {
    const { pid } = opening.use(await startFrame(stage, askForItem(stage)));
    addServer('frame select', pid, askForItem(stage));
    addServer('frame select 2025', pid, askForItem(stage, { era: '2025' }));
    addServer('frame insert', pid, askToInsert(stage, nextItem));
    addServer('frame run_sql', pid, askBySql(stage));
    addServer('frame select sealed', pid, askForItem(stage, { table: SEALED_TABLE }));
    addServer('frame insert sealed', pid, askToInsert(stage, nextItem, SEALED_TABLE));
    if (isWanted('frame select by key')) {
      addServer('frame select by key', pid, askForItem({ ...stage, tokens: await createKeys(stage) }));
    }
  }
  const driver = opening.use(openDriver(stage.databaseUrl, nextItem));
  const meters = { server: meterOfMyself(), postgres: stage.postgres };
  add('postgres.js select', window => putCalls(driver.select, window, meters));
  add('postgres.js insert', window => putCalls(driver.insert, window, meters));
  await addPeer('bare tool', startBareTool);
  await addPeer('dbhub select', startDbhub);
  await addPeer('toolbox select', startToolbox);

  const open = opening.move();
  return { all, missing, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
