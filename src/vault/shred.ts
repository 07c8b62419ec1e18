import { CONTROL_LOGIN } from '../database/place.ts';
import { deleteDataKeys, lockDataKeys, rememberShredded } from './data-key-table.ts';
import { destroyEntityKeys, type Entity } from './entity-key.ts';
import type { KeyStore } from './make-data-keys.ts';

/**
 * Destroys the keys of an entity, for good: the key file and what it wraps. Safe to repeat, and to go on with after
 * whatever stopped it. Returns the number of data keys that were still there.
 */
export async function shredEntity({ pools, folder }: KeyStore, entity: Entity): Promise<number> {
  const deleted = await pools.transaction(CONTROL_LOGIN, async session => {
    await lockDataKeys(session);
    await rememberShredded(session.query, entity);
    return await deleteDataKeys(session.query, entity);
  });
  await destroyEntityKeys(folder, entity);
  return deleted;
}
