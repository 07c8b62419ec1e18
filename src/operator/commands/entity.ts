import { readSettings, type Settings } from '../../config/settings.ts';
import type { Place } from '../../database/place.ts';
import { observeNothing } from '../../observe.ts';
import { createDataKeys } from '../../vault/data-keys.ts';
import { keyFileOf } from '../../vault/entity-key.ts';
import { announceKeys } from '../../vault/share-data-keys.ts';
import { shredEntity } from '../../vault/shred.ts';
import { defineCommand, EXIT, WrongUsage } from '../command.ts';
import { findPlaces } from '../find-places.ts';
import { joinDatabase, type OpenDatabase } from '../open-database.ts';
import { openAudit, recordDeed } from '../record-deed.ts';
import { countOpening, takeSamples } from '../shred-proof.ts';

/** Destroys the keys of an entity's personal data, and tries to read it all the same. */
export const entityCommand = defineCommand({
  usage: `Usage: frame entity shred <entity> --customer ID --yes-shred <entity> [options]

Destroys the keys of all personal data of an entity, in every environment, for good: the key file, and the data keys that
it wraps. From then on nobody reads its sealed columns, in no backup either that does not hold that key file; destroy the
copies of it that you keep elsewhere. Everything else of the entity stays. An entity never gets new keys; who comes after
it gets another id. Then a value of every sealed column is tried: exit code 1 if any of them still opens.
  --yes-shred ENTITY  the same id again`,
  options: { 'yes-shred': { type: 'string' } },
  words: { least: 2, most: 2 },
  async run({ words: [verb, entity = ''], values: { 'yes-shred': again }, flags, isJson }, io) {
    if (verb !== 'shred') throw new WrongUsage(`There is no \`entity ${verb}\`.`);
    if (flags.customer === undefined) throw new WrongUsage('Say whose entity it is: --customer.');
    const settings = await readSettings(io.env, flags, io.cwd);
    await using database = await joinDatabase(settings);
    const places = await findPlaces(database, { customer: settings.customer, entity });
    if (again !== entity) {
      const names = places.map(({ environment }) => environment).join(', ');
      throw new WrongUsage(`This cannot be undone (${entity}: ${names}). If you mean it: --yes-shred ${entity}`);
    }
    const done = await shred(settings, database, places, { customer: flags.customer, entity });
    if (isJson) io.out(JSON.stringify(done));
    else {
      io.out(`${flags.customer}/${entity}  ${done.data_keys} data keys deleted, ${done.key_file} is gone`);
      io.out(sentenceOf(done));
    }
    return done.samples_that_open === 0 ? EXIT.ok : EXIT.failed;
  },
});

// Private

async function shred(
  settings: Settings,
  database: OpenDatabase,
  places: readonly Place[],
  entity: { customer: string; entity: string },
) {
  await using closing = new AsyncDisposableStack();
  const audit = openAudit(settings, database);
  closing.defer(() => audit.close());
  const { keyStore, pools, dataKeys } = database;

  const samples = await takeSamples(database, places);
  // Where the key file is gone already, nothing opens before either.
  const opened = await countOpening(dataKeys, samples).catch(() => 0);
  const work = async () => {
    const deleted = await shredEntity(keyStore, entity);
    for (const place of places) await announceKeys(pools, place);
    // As a process that starts now would: what this one remembers proves nothing.
    const fresh = createDataKeys({ ...keyStore, observe: observeNothing, now: () => performance.now() });
    return { deleted, opening: await countOpening(fresh, samples) };
  };
  const deed = { ...entity, tool: 'entity.shred', arguments: { environments: places.map(place => place.environment) } };
  const { deleted, opening } = await recordDeed(audit, deed, work, ({ deleted, opening }) => ({
    done: { data_keys: deleted, samples: samples.length, samples_that_open: opening },
  }));
  return {
    ...entity,
    data_keys: deleted,
    key_file: keyFileOf(keyStore.folder, entity),
    samples: samples.length,
    samples_that_opened_before: opened,
    samples_that_open: opening,
  };
}

function sentenceOf(done: Awaited<ReturnType<typeof shred>>): string {
  const { samples, samples_that_opened_before: before, samples_that_open: now } = done;
  if (samples === 0) return 'There is no sealed value that could be tried.';
  return `${samples} sealed values were tried, one of every column: ${before} opened before, ${now} open now`;
}
