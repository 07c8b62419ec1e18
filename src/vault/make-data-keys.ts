import { CONTROL_LOGIN } from '../database/place.ts';
import type { Pools, Session } from '../database/pools.ts';
import { makeDataKey, type Purpose, type WrappedKey } from './data-key.ts';
import { insertDataKey, lockDataKeys, onControl, readDataKeys, readShredded, setKeyState } from './data-key-table.ts';
import { type Entity, type EntityKey, keyFileOf, makeEntityKey, readEntityKeys } from './entity-key.ts';
import { wrongKeyFile } from './key-file.ts';
import type { KeyPlace } from './place-keys.ts';

/** Where keys are kept: data keys in the control database, what wraps them in files. */
export interface KeyStore {
  pools: Pick<Pools, 'query' | 'transaction'>;
  /** Of the entities' key files. */
  folder: string;
}

/**
 * Gives every place that has none its data keys, and its entity the key that wraps them. An entity that has data keys
 * gets no other key: without the right one this throws WrongConfiguration. Safe to repeat and to race.
 */
export async function makeDataKeys({ pools, folder }: KeyStore, places: readonly KeyPlace[]): Promise<void> {
  const run = onControl(pools);
  const lacking = lackingKeys(await readDataKeys(run), await readShredded(run), places);
  for (const place of new Set(lacking.map(({ place }) => place))) {
    await pools.transaction(CONTROL_LOGIN, session => makeLacking(session, folder, place));
  }
}

/** What these places lack of keys that they should have. */
export function lackingKeys<P extends KeyPlace>(
  known: readonly WrappedKey[],
  shredded: ReadonlySet<string>,
  places: readonly P[],
): { place: P; purpose: Purpose }[] {
  const alive = places.filter(({ customer, entity }) => !shredded.has(`${customer}/${entity}`));
  return alive.flatMap(place =>
    PURPOSES.filter(
      purpose => !known.some(key => isOf(key, place) && key.purpose === purpose && key.state === 'current'),
    ).map(purpose => ({ place, purpose })),
  );
}

/** A new key for the cells of a place; the one before opens until it is retired. Returns the number of the new one. */
export async function replaceCellKey({ pools, folder }: KeyStore, place: KeyPlace, from: number): Promise<number> {
  return await pools.transaction(CONTROL_LOGIN, async session => {
    const keys = await readLocked(session, place);
    const current = keys.find(key => isOf(key, place) && key.purpose === 'cells' && key.state === 'current');
    // Somebody else was faster, or the keys are gone for good.
    if (!current || current.kid !== from) return current?.kid ?? from;
    const next = makeDataKey(place, 'cells', await requireEntityKey(folder, current));
    await setKeyState(session.query, current.kid, 'current', 'retiring');
    if (!(await insertDataKey(session.query, next))) throw new Error('The number of the new key is taken.');
    return next.kid;
  });
}

/** The key of an entity that wraps this data key. Throws WrongConfiguration when it is not there. */
export async function requireEntityKey(folder: string, { customer, entity, kekId }: WrappedKey): Promise<EntityKey> {
  const find = async () => {
    const keys = await readEntityKeys(folder, { customer, entity });
    return { keys, found: keys.find(({ id }) => id === kekId) };
  };
  const first = await find();
  // One file may have taken the place of the other between the two looks.
  const { keys, found } = first.found ? first : await find();
  if (found) return found;
  const file = keyFileOf(folder, { customer, entity });
  const whose = `the personal data of ${customer}/${entity} is sealed under`;
  throw keys.length > 0
    ? wrongKeyFile(
        file,
        `is not the key that ${whose}; bring back your copy of the right one (its key has the id ${kekId})`,
      )
    : wrongKeyFile(
        file,
        `is not there, but ${whose} it; put it back from where you keep it. If it was destroyed on purpose: frame entity shred ${entity} --customer ${customer} --yes-shred ${entity}`,
      );
}

export function isOf(key: KeyPlace, place: KeyPlace): boolean {
  return isOfEntity(key, place) && key.environment === place.environment;
}

export function isOfEntity(key: Entity, { customer, entity }: Entity): boolean {
  return key.customer === customer && key.entity === entity;
}

/** All keys of an entity, which nobody else changes until the transaction ends. */
export async function readLocked(session: Session, { customer, entity }: Entity) {
  await lockDataKeys(session);
  return await readDataKeys(session.query, { customer, entity });
}

// Private

/** Nobody replaces or destroys the key of the entity meanwhile; whoever did so before is heard of here. */
async function makeLacking(session: Session, folder: string, place: KeyPlace): Promise<void> {
  const known = await readLocked(session, place);
  const lacking = lackingKeys(known, await readShredded(session.query), [place]);
  if (lacking.length === 0) return;
  const [wrapping] = known;
  const kek = wrapping ? await requireEntityKey(folder, wrapping) : await makeEntityKey(folder, place);
  for (const { purpose } of lacking) await insertDataKey(session.query, makeDataKey(place, purpose, kek));
}

const PURPOSES: readonly Purpose[] = ['cells', 'index'];
