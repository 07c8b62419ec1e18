import { rename, rm } from 'node:fs/promises';
import { isMissing, readIfThere, syncFolderOf, writeWhole } from './durable.ts';
import type { Layout } from './layout.ts';

/**
 * shared/customers.yaml, which both slots read. Until a verb has succeeded, the text before it lies beside it, so that
 * whoever comes after a process that was killed can bring it back.
 */
export async function isNewText(layout: Layout, text: string): Promise<boolean> {
  return (await readIfThere(layout.customers)) !== text;
}

export async function putCustomers(layout: Layout, text: string): Promise<void> {
  const before = await readIfThere(layout.customers);
  if (before === text) return;
  // One that is there is older, and known to be good.
  if (before !== undefined && (await readIfThere(kept(layout))) === undefined) await writeWhole(kept(layout), before);
  await writeWhole(layout.customers, text);
}

/** Is there a text to bring back? */
export async function isUnsettled(layout: Layout): Promise<boolean> {
  return (await readIfThere(kept(layout))) !== undefined;
}

/** The new text is good. */
export async function keepCustomers(layout: Layout): Promise<void> {
  await rm(kept(layout), { force: true });
}

/** The text before comes back, if there was another one. */
export async function bringBackCustomers(layout: Layout): Promise<void> {
  await rename(kept(layout), layout.customers).catch(thrown => {
    if (!isMissing(thrown)) throw thrown;
  });
  await syncFolderOf(layout.customers);
}

// Private

function kept(layout: Layout): string {
  return `${layout.customers}.before`;
}
