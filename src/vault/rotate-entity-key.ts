import { CONTROL_LOGIN } from '../database/place.ts';
import { rewrap, unwrap, type WrappedKey } from './data-key.ts';
import { replaceWrapping } from './data-key-table.ts';
import { type Entity, keyFileOf, makeNextEntityKey, promoteNextEntityKey, readNextEntityKey } from './entity-key.ts';
import { wrongKeyFile } from './key-file.ts';
import { type KeyStore, readLocked, requireEntityKey } from './make-data-keys.ts';

/**
 * A new key for an entity, under which its data keys are wrapped anew; what they sealed stays as it is, and no running
 * gateway notices. Killed at any moment, it leaves keys that work, and the next run finishes. Returns the number of data
 * keys; throws WrongConfiguration when the key in force is not there.
 */
export async function rotateEntityKey({ pools, folder }: KeyStore, entity: Entity): Promise<number> {
  const count = await pools.transaction(CONTROL_LOGIN, async session => {
    const keys = await readLocked(session, entity);
    if (keys.length === 0) return 0;
    const next = await makeNextEntityKey(folder, entity);
    for (const key of keys.filter(({ kekId }) => kekId !== next.id)) {
      await replaceWrapping(session.query, key, rewrap(key, await open(folder, key), next));
    }
    return keys.length;
  });
  // Until that is committed both files are needed, and whoever reads keys looks at both. Then the next one takes over,
  // under the lock again: the entity may have been shredded meanwhile, or somebody else have done this.
  await pools.transaction(CONTROL_LOGIN, async session => {
    const keys = await readLocked(session, entity);
    const next = await readNextEntityKey(folder, entity);
    if (next && keys.length > 0 && keys.every(({ kekId }) => kekId === next.id)) {
      await promoteNextEntityKey(folder, entity);
    }
  });
  return count;
}

// Private

async function open(folder: string, key: WrappedKey): Promise<Buffer> {
  const bare = unwrap(key, await requireEntityKey(folder, key));
  if (bare) return bare;
  throw wrongKeyFile(keyFileOf(folder, key), `does not open the data key ${key.kid}; restore the control database`);
}
