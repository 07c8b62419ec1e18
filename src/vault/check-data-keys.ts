import { type Mistake, WrongConfiguration } from '../errors.ts';
import { unwrap } from './data-key.ts';
import { onControl, readDataKeys, readShredded, type StoredKey } from './data-key-table.ts';
import { isOf, type KeyStore, lackingKeys, requireEntityKey } from './make-data-keys.ts';
import type { KeyPlace } from './place-keys.ts';

/**
 * Whether the personal data of these places can be read and written here. Changes nothing. Throws WrongConfiguration with
 * every file that is missing or wrong: a gateway that went on would answer with broken cells, or seal with a new key.
 */
export async function checkDataKeys(store: KeyStore, places: readonly KeyPlace[]): Promise<void> {
  if ((await findMistakes(store, places)).length === 0) return;
  // The key of an entity may have been replaced between the look at the table and the look at its file.
  const mistakes = await findMistakes(store, places);
  if (mistakes.length > 0) throw new WrongConfiguration(mistakes);
}

// Private

async function findMistakes({ pools, folder }: KeyStore, places: readonly KeyPlace[]): Promise<Mistake[]> {
  const run = onControl(pools);
  const [known, shredded] = [await readDataKeys(run), await readShredded(run)];
  const lacks = lackingKeys(known, shredded, places).map(({ place: { customer, entity, environment } }) => ({
    file: 'database',
    sentence: `${customer}/${entity}:${environment} has no data keys; run \`frame migrate\``,
  }));
  const ofPlaces = known.filter(key => places.some(place => isOf(key, place)));
  const wrong = (await Promise.all(ofPlaces.map(key => tryKey(folder, key)))).flat();
  const mistakes = new Map([...lacks, ...wrong].map(mistake => [`${mistake.file} ${mistake.sentence}`, mistake]));
  return [...mistakes.values()];
}

async function tryKey(folder: string, key: StoredKey): Promise<readonly Mistake[]> {
  try {
    if (unwrap(key, await requireEntityKey(folder, key))) return [];
  } catch (thrown) {
    if (thrown instanceof WrongConfiguration) return thrown.mistakes;
    throw thrown;
  }
  const whose = `${key.customer}/${key.entity}:${key.environment}`;
  return [{ file: 'database', sentence: `a data key of ${whose} was altered; restore the control database` }];
}
