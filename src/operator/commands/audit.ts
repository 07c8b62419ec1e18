import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { archiveMonth } from '../../audit/archive.ts';
import { AuditRefusal, createMonths } from '../../audit/months.ts';
import { readSettings, type Settings } from '../../config/settings.ts';
import { asOwner } from '../../database/as-owner.ts';
import { CONTROL_DATABASE } from '../../database/place.ts';
import { defineCommand, EXIT, type Io, WrongUsage } from '../command.ts';
import { openCheckpoints, readAudit } from '../open-checkpoints.ts';
import { joinDatabase, type OpenDatabase } from '../open-database.ts';
import { exportLog } from './audit-export.ts';
import { verifyFile, verifyLog } from './audit-verify.ts';
import { readMonth, readSpan } from './audit-words.ts';

/** The record of all that was done: is it whole, give it to its company, take old months out. */
export const auditCommand = defineCommand({
  usage: `Usage: frame audit verify [--customer ID] [--entity ID] [--public-key FILE] [--checkpoints FILE] [options]
       frame audit verify --file FILE [--public-key FILE] [options]
       frame audit export --customer ID [--entity ID] [--since DAY] [--until DAY] [--to FILE] [options]
       frame audit seal [options]
       frame audit archive <month> --to FOLDER [options]

verify computes the hash chains of the audit log again, one per customer and entity (- for calls without an entity), and
holds them against the signed checkpoints outside the database. The exit code is that of the gravest fault, in this order:
  5  checkpoints are missing or forged        3  records are missing
  4  records below a checkpoint were cut off  2  a record was altered     0  whole
1 when there is no chain of the customer or entity that was named.
  --entity ID         this entity only
  --public-key FILE   for auditors without the master key: audit/public-key.pem of the data folder
  --checkpoints FILE  other checkpoints than audit/checkpoints.ndjson of the data folder, such as an older copy
  --file FILE         a file of export or archive, on any machine and without a database
export writes the records of one company, and what verifies them elsewhere. Days are in UTC, both included. Exit code 1
when they are not whole, or none: an export is signed.
  --to FILE           there instead of standard output; never over another file
seal does what every gateway does by itself: it signs what each month that is over holds.
archive takes the oldest month, such as 2026-09, out of the database: it writes it to a file, verifies that file, and then
drops the month. Exit code 75 when others read the log for too long; run it again.`,
  options: {
    entity: { type: 'string' },
    'public-key': { type: 'string' },
    checkpoints: { type: 'string' },
    file: { type: 'string' },
    since: { type: 'string' },
    until: { type: 'string' },
    to: { type: 'string' },
  },
  words: { least: 1, most: 2 },
  async run({ words: [verb = '', word], values, flags, isJson }, io) {
    refuseStrangers(verb, word, values);
    const settings = await readSettings(io.env, flags, io.cwd);
    const path = (name: string | undefined) => (name === undefined ? undefined : resolve(io.cwd, name));
    const { entity, since, until } = values;
    const publicKey = path(values['public-key']);
    const file = path(values.file);
    const to = path(values.to);
    switch (verb) {
      case 'verify': {
        if (file !== undefined) return await verifyFile(settings, { file, publicKey }, isJson, io);
        const isNamed = flags.customer !== undefined || entity !== undefined;
        const asked = {
          customer: settings.customer,
          entity,
          isNamed,
          publicKey,
          checkpoints: path(values.checkpoints),
        };
        return await verifyLog(settings, asked, isJson, io);
      }
      case 'export':
        if (settings.customer === undefined) throw new WrongUsage('Say whose records: --customer.');
        return await exportLog(settings, { customer: settings.customer, entity, ...readSpan(since, until) }, to, io);
      case 'seal':
        return await seal(settings, isJson, io);
      case 'archive':
        if (to === undefined) throw new WrongUsage('Say where it goes: --to.');
        return await archive(settings, readMonth(word), to, isJson, io);
      default:
        throw new WrongUsage(`\`audit ${verb}\` is nothing that can be done.`);
    }
  },
});

// Private

const LOCK_NOT_AVAILABLE = '55P03';

const OPTIONS_OF: Record<string, readonly string[]> = {
  verify: ['entity', 'public-key', 'checkpoints', 'file'],
  export: ['entity', 'since', 'until', 'to'],
  seal: [],
  archive: ['to'],
};

/** An option that a verb does not know would be ignored, and somebody would believe in it. */
function refuseStrangers(verb: string, word: string | undefined, values: Record<string, unknown>): void {
  const known = OPTIONS_OF[verb];
  if (!known) return;
  if (word !== undefined && verb !== 'archive') throw new WrongUsage(`\`${word}\` is one word too many.`);
  const all = new Set(Object.values(OPTIONS_OF).flat());
  const stranger = [...all].find(name => values[name] !== undefined && !known.includes(name));
  if (stranger) throw new WrongUsage(`--${stranger} does not go with \`audit ${verb}\`.`);
}

async function seal(settings: Settings, isJson: boolean, io: Io): Promise<number> {
  await using database = await joinDatabase(settings);
  return await orRefusal(io, async () => {
    const sealed = await createMonths(monthParts(settings, database)).keep();
    if (isJson) io.out(JSON.stringify(sealed));
    else io.out(sealed.length > 0 ? `sealed ${sealed.join(', ')}` : 'Every month that is over is sealed.');
  });
}

async function archive(settings: Settings, month: string, to: string, isJson: boolean, io: Io): Promise<number> {
  const isFolder = await stat(to).then(
    found => found.isDirectory(),
    () => false,
  );
  if (!isFolder) throw new WrongUsage(`${to} is no folder.`);
  await using database = await joinDatabase(settings);
  const parts = monthParts(settings, database);
  return await orRefusal(io, () =>
    asOwner(database.server, CONTROL_DATABASE, async owner => {
      const file = await archiveMonth(month, {
        ...parts,
        owner,
        folder: to,
        keepMonths: settings.gateway.audit.keepMonths,
        onProgress: records => io.status(`${records} records written`),
      }).finally(() => io.status(''));
      io.out(isJson ? JSON.stringify({ month, file }) : `${month} is in ${file}, and no longer in the database`);
    }),
  );
}

function monthParts(settings: Settings, database: OpenDatabase) {
  return {
    read: readAudit(database.pools),
    dataFolder: settings.dataFolder,
    publicKey: database.checkpointKey.publicKey,
    say: openCheckpoints(settings, database).say,
  };
}

async function orRefusal(io: Io, work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return EXIT.ok;
  } catch (thrown) {
    if (thrown instanceof AuditRefusal) {
      io.err(`${thrown.message}.`);
      return EXIT.failed;
    }
    if ((thrown as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw thrown;
    io.err('Others read the log for too long. Run it again: it goes on where it stopped.');
    return EXIT.locked;
  }
}
