import { readSettings } from '../../config/settings.ts';
import { readCustomers, servedCustomers } from '../../customers/customers-file.ts';
import { type CustomerReport, type ProvisionReport, provision } from '../../database/provision.ts';
import { FrameError } from '../../errors.ts';
import { observeNothing } from '../../observe.ts';
import { prepareDataKeys } from '../../vault/prepare-data-keys.ts';
import { defineCommand, EXIT, type Io, WrongUsage } from '../command.ts';
import { openDatabase } from '../open-database.ts';

/** Creates or upgrades what customers.yaml asks for, and prints what was done. */
export const migrateCommand = defineCommand({
  usage: `Usage: frame migrate [options]

Creates or upgrades databases, schemas, logins and rights for all customers in customers.yaml. Safe to repeat and to
race. No data is ever dropped. An entity that has no keys for personal data gets them, in a file of its own; one that has
some keeps them, and its key file must be there. Exit code 75 when another one, or a lock on a table, is in the way for too long.
  --wait SECONDS      how long another one may take; default: 60`,
  options: { wait: { type: 'string', default: '60' } },
  async run({ values: { wait }, flags, isJson }, io) {
    if (!/^[1-9]\d{0,4}$/.test(wait)) throw new WrongUsage('--wait takes a number of seconds.');
    const settings = await readSettings(io.env, flags, io.cwd);
    const roles = new Set(settings.roles.keys());
    const all = await readCustomers(settings.customersFile, { roles, env: io.env });
    const customers = servedCustomers(all, settings.customer);
    await using database = await openDatabase(settings, []);
    try {
      const report = await provision(database.server, customers, database.passwordOf, observeNothing, {
        lockWaitSeconds: Number(wait),
      });
      await prepareDataKeys(database.keyStore, customers, { mayMake: true });
      print(settings.customer ? onlyOf(settings.customer, report) : report, isJson, io);
      return EXIT.ok;
    } catch (thrown) {
      if (!(thrown instanceof FrameError) || thrown.code !== 'limit/lock') throw thrown;
      io.err([thrown.message, thrown.hint].join(' '));
      return EXIT.locked;
    }
  },
});

// Private

/** Customers that were not asked about are not absent. */
function onlyOf(customer: string, report: ProvisionReport): ProvisionReport {
  return { ...report, absent: report.absent.filter(place => place.customer === customer) };
}

function print(report: ProvisionReport, isJson: boolean, io: Io): void {
  if (isJson) {
    io.out(JSON.stringify(report));
    return;
  }
  for (const customer of report.customers) io.out(`${customer.customer}: ${summaryOf(customer)}`);
  if (report.mended.length > 0) io.out(`server: ${count(report.mended.length, 'wall')} built or mended`);
  // On a server that was whole before, each of them is news.
  if (report.customers.every(({ created }) => created.length === 0)) {
    for (const sentence of [report, ...report.customers].flatMap(({ mended }) => mended)) io.out(`  ${sentence}`);
  }
  for (const { customer, entity, environment } of report.absent) {
    io.out(`${customer}/${entity}:${environment} is not in customers.yaml any more; its data was left alone`);
  }
  for (const warning of report.warnings) io.err(`warning: ${warning}`);
}

function summaryOf({ created, mended, migrated }: CustomerReport): string {
  const done = [
    ...(created.length > 0 ? [`created ${created.join(', ')}`] : []),
    ...(mended.length > 0 ? [`${count(mended.length, 'wall')} built or mended`] : []),
    ...(migrated.length > 0 ? [`${count(migrated.length, 'migration')} applied`] : []),
  ];
  return done.join('; ') || 'up to date';
}

function count(number: number, one: string): string {
  return `${number} ${one}${number === 1 ? '' : 's'}`;
}
