import { readSettings, type Settings } from '../../config/settings.ts';
import { asOwner } from '../../database/as-owner.ts';
import { CONTROL_DATABASE, type Place } from '../../database/place.ts';
import { FrameError } from '../../errors.ts';
import { DATA_KEY_LIMITS } from '../../vault/data-keys.ts';
import { rotateEntityKey } from '../../vault/rotate-entity-key.ts';
import { defineCommand, EXIT, type Io, WrongUsage } from '../command.ts';
import { findPlaces } from '../find-places.ts';
import { joinDatabase, type OpenDatabase } from '../open-database.ts';
import { type PiiStatus, readPiiStatus } from '../pii-status.ts';
import { openAudit, recordDeed } from '../record-deed.ts';
import { type Rotation, rotateDataKey } from '../rotate-data-key.ts';

/** The keys of personal data: how it is kept, and new ones. */
export const piiCommand = defineCommand({
  usage: `Usage: frame pii status [--entity ID] [options]
       frame pii rotate --kek|--dek [--entity ID] [options]

status says for every environment which key seals its personal data, where the key file of its entity is, and for every
sealed column how many cells which keys have sealed. Exit code 1 when a key file is missing or wrong, or cells do not open.
rotate makes new keys, while everybody works on. Killed, it leaves nothing that does not open, and the next run goes on.
It says so when it only finished what was begun before: run it again for a new key. Exit code 75 when another one is at
work, 1 when cells do not open, which are named and left as they are (old keys are kept).
  --kek               of the entity: the file is replaced and the data keys are wrapped anew; quick, changes no row
  --dek               of the data: every sealed value is sealed anew
  --entity ID         this entity only`,
  options: {
    entity: { type: 'string' },
    kek: { type: 'boolean', default: false },
    dek: { type: 'boolean', default: false },
  },
  words: { least: 1, most: 1 },
  async run({ words: [verb], values: { entity, kek, dek }, flags, isJson }, io) {
    if (verb !== 'status' && verb !== 'rotate') throw new WrongUsage(`There is no \`pii ${verb}\`.`);
    if (verb === 'rotate' && kek === dek) throw new WrongUsage('Say --kek or --dek.');
    if (verb === 'status' && (kek || dek)) throw new WrongUsage('--kek and --dek go with `pii rotate`.');
    const settings = await readSettings(io.env, flags, io.cwd);
    await using database = await joinDatabase(settings);
    const places = await findPlaces(database, { customer: settings.customer, entity });
    if (verb === 'status') return await showStatus(database, places, isJson, io);
    return await alone(database, io, () =>
      kek ? rotateKeks(settings, database, places, isJson, io) : rotateDeks(settings, database, places, isJson, io),
    );
  },
});

// Private

async function showStatus(
  database: OpenDatabase,
  places: readonly Place[],
  isJson: boolean,
  { out }: Io,
): Promise<number> {
  const all: PiiStatus[] = [];
  for (const place of places) {
    const status = await readPiiStatus(database, place);
    all.push(status);
    if (!isJson) for (const line of linesOf(status)) out(line);
  }
  if (isJson) out(JSON.stringify(all));
  const isWhole = all.every(({ wrong, columns }) => !wrong && columns.every(({ cells }) => cells.unreadable === 0));
  return isWhole ? EXIT.ok : EXIT.failed;
}

function linesOf({ place, keyFile, wrong, keys, columns }: PiiStatus): string[] {
  return [
    `${place}  key file ${keyFile}: ${wrong ?? 'opens all keys'}`,
    ...keys.map(({ kid, state, seals, since }) => {
      const share = ((100 * seals) / DATA_KEY_LIMITS.replaceAt).toFixed(1);
      return `  key ${kid}  ${state} since ${since.slice(0, 10)}, at most ${number(seals)} seals (${share} % of its life)`;
    }),
    ...columns.map(({ column, kind, cells: { current, older, unreadable }, resealed }) =>
      [
        `  ${column}  ${kind}, ${number(current + older + unreadable)} cells`,
        ...(older > 0 ? [`${number(older)} under older keys: run \`frame pii rotate --dek\``] : []),
        ...(resealed === undefined ? [] : [`a rotation was stopped after ${number(resealed)}`]),
        ...(unreadable > 0 ? [`${number(unreadable)} DO NOT OPEN`] : []),
      ].join(', '),
    ),
  ];
}

async function rotateKeks(
  settings: Settings,
  database: OpenDatabase,
  places: readonly Place[],
  isJson: boolean,
  io: Io,
): Promise<number> {
  await using closing = new AsyncDisposableStack();
  const audit = openAudit(settings, database);
  closing.defer(() => audit.close());
  const entities = new Map(places.map(({ customer, entity }) => [`${customer}/${entity}`, { customer, entity }]));
  const done: Record<string, number> = {};
  for (const [name, entity] of entities) {
    const deed = { ...entity, tool: 'pii.rotate', arguments: { key: 'kek' } };
    const keys = await recordDeed(audit, deed, () => rotateEntityKey(database.keyStore, entity));
    done[name] = keys;
    if (!isJson) io.out(keys > 0 ? `${name}  a new key wraps its ${keys} data keys` : `${name}  has no data keys`);
  }
  if (isJson) io.out(JSON.stringify(done));
  return EXIT.ok;
}

async function rotateDeks(
  settings: Settings,
  database: OpenDatabase,
  places: readonly Place[],
  isJson: boolean,
  io: Io,
): Promise<number> {
  await using closing = new AsyncDisposableStack();
  const audit = openAudit(settings, database);
  closing.defer(() => audit.close());
  const all: (Partial<Rotation> & { place: string })[] = [];
  for (const place of places) {
    const { customer, entity, environment } = place;
    const name = `${customer}/${entity}:${environment}`;
    let cells = 0;
    const onCells = (count: number) => {
      cells += count;
      io.status(`${name}  ${number(cells)} cells sealed anew`);
    };
    const deed = { customer, entity, environment, tool: 'pii.rotate', arguments: { key: 'dek' } };
    const work = () => rotateDataKey({ database, place, onCells }).finally(() => io.status(''));
    const rotation = await recordDeed(audit, deed, work, rotated => ({ rows: rotated?.cells }));
    all.push({ place: name, ...rotation });
    if (!isJson) for (const line of sentencesOf(name, rotation)) io.out(line);
  }
  if (isJson) io.out(JSON.stringify(all));
  return all.some(({ broken }) => broken && broken.length > 0) ? EXIT.failed : EXIT.ok;
}

function sentencesOf(name: string, rotation: Rotation | undefined): string[] {
  if (!rotation) return [`${name}  has no data keys`];
  const { isNew, cells, broken, retired } = rotation;
  const begun = isNew ? 'a new key' : 'no new key was made, for this finished what was begun before';
  return [
    `${name}  ${begun}: ${number(cells)} cells sealed anew, ${retired} old ${retired === 1 ? 'key' : 'keys'} retired`,
    ...(isNew ? [] : ['  Run it again for a new key.']),
    ...broken.map(cell => `  DOES NOT OPEN  ${cell}`),
  ];
}

/** One at a time on a server, whatever became of the one before. */
async function alone(database: OpenDatabase, { err }: Io, work: () => Promise<number>): Promise<number> {
  return await asOwner(database.server, CONTROL_DATABASE, async owner => {
    const { rows } = await owner.query(`select pg_try_advisory_lock(${LOCK})`);
    if (rows[0]?.[0] !== true) {
      err('Another `frame pii rotate` is at work.');
      return EXIT.locked;
    }
    return await work().catch(thrown => {
      if (!(thrown instanceof FrameError) || thrown.code !== 'limit/lock') throw thrown;
      err([thrown.message, thrown.hint].join(' '));
      return EXIT.locked;
    });
  });
}

/** `pii` */
const LOCK = 0x706969;

function number(count: number): string {
  return count.toLocaleString('en');
}
