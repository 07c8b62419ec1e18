import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Changes } from './changes.ts';
import { readIfThere } from './durable.ts';
import { type Layout, SLOTS } from './layout.ts';
import type { Chore } from './protocol.ts';
import { releaseOf } from './slots.ts';

/** The folders and files that are only there or not: nothing in them is ever replaced. */
export async function makeFolders(layout: Layout, changes: Changes): Promise<Chore[]> {
  const at = (name: string) => join(layout.home, name);
  for (const name of ['bin', 'releases', 'slots', 'proxy', 'units']) await changes.folder(at(name), 0o755);
  await changes.folder(at('log'), 0o700);
  for (const slot of SLOTS) {
    const { folder, marker, hold } = layout.slot(slot);
    await changes.folder(folder, 0o755);
    await changes.newFile(marker, () => '', 0o644);
    // Until the first deploy brings something to run.
    if ((await releaseOf(layout, slot)) === undefined) await changes.newFile(hold, () => '', 0o644);
  }
  // Supervisors would make them as root.
  for (const name of ['blue', 'green', 'proxy', 'logs']) await changes.newFile(at(`log/${name}.log`), () => '', 0o600);
  return await makeMasterKey(layout, changes);
}

// Private

const KEY_BYTES = 32;

/** Made here, and it never leaves this machine by us: what it sealed is lost with it. */
async function makeMasterKey({ masterKey }: Layout, changes: Changes): Promise<Chore[]> {
  await changes.newFile(masterKey, () => `${randomBytes(KEY_BYTES).toString('base64')}\n`, 0o600);
  const text = (await readIfThere(masterKey))?.trim();
  const key = Buffer.from(text ?? '', 'base64');
  if (text === undefined || (key.length === KEY_BYTES && key.toString('base64') === text)) return [];
  const sentence = `shared/master.key does not hold ${KEY_BYTES} bytes in base64, so no slot can start: bring back the copy that you kept.`;
  return [{ sentence, commands: [] }];
}
