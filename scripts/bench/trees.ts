import { resolve } from 'node:path';
import { askForItem, askToInsert, fillTables, startFrame } from './frame.ts';
import { createNewItems } from './items.ts';
import { putLoad } from './load.ts';
import { meterOf } from './processes.ts';
import { openStage, ROOT } from './stage.ts';
import type { Target } from './targets.ts';

/** What stands in both trees. */
export const TREE_TARGETS = ['here select', 'there select', 'here insert', 'there insert'] as const;

/** The same load on two trees, each with its own configuration as it ships, on a Postgres of its own. */
export async function openTrees(closing: AsyncDisposableStack, other: string): Promise<Target[]> {
  const targets: Target[] = [];
  for (const [where, root] of [
    ['here', ROOT],
    ['there', resolve(other)],
  ] as const) {
    const stage = await openStage(closing, { root });
    await fillTables(stage);
    const { pid } = closing.use(await startFrame(stage, askForItem(stage)));
    const meters = { server: meterOf(pid), postgres: stage.postgres };
    const insert = askToInsert(stage, createNewItems());
    targets.push(
      { name: `${where} select`, run: window => putLoad(askForItem(stage), window, meters) },
      { name: `${where} insert`, run: window => putLoad(insert, window, meters) },
    );
  }
  return targets;
}
