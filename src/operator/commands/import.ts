import { readSettings, type Settings } from '../../config/settings.ts';
import { type Customer, ENVIRONMENTS, type Environment } from '../../customers/customer.ts';
import { readCustomers, servedCustomers } from '../../customers/customers-file.ts';
import { CONTROL_LOGIN, type Place } from '../../database/place.ts';
import { readPlaces } from '../../database/registry.ts';
import { orDidYouMean } from '../../did-you-mean.ts';
import { unavailable } from '../../errors.ts';
import { createCatalog } from '../../tables/catalog.ts';
import { defineCommand, EXIT, WrongUsage } from '../command.ts';
import { openImportFile } from '../import/file.ts';
import { load } from '../import/load.ts';
import { createProgress } from '../import/progress.ts';
import { survey } from '../import/survey.ts';
import { type OpenDatabase, openDatabase } from '../open-database.ts';
import { openAudit, recordDeed } from '../record-deed.ts';

/** Loads a file into a table, all of it or nothing. */
export const importCommand = defineCommand({
  usage: `Usage: frame import <entity>[:<environment>] <file.csv|file.json|-> --table T [--customer ID] [options]

Loads a CSV or JSON file (an array of objects, or one object per line; - reads standard input) into a table. Types are
inferred from all of the file, and the table is made if it is missing. One bad row stops it with its line number, and
nothing is loaded. The environment is prod unless it is named. Times without a zone are UTC.
  --table NAME        the table`,
  options: { table: { type: 'string' } },
  words: { least: 2, most: 2 },
  async run({ words: [target = '', name = ''], values: { table }, flags, isJson }, io) {
    if (!table) throw new WrongUsage('--table is missing.');
    const settings = await readSettings(io.env, flags, io.cwd);
    const { customer, entity, environment } = await findTarget(settings, target, io.env);

    await using closing = new AsyncDisposableStack();
    const file = await openImportFile(name, io.stdin);
    closing.defer(() => file.close());
    const reading = createProgress('reading', file.bytes, io.status);
    let bytes = 0;
    const counted = file.rows(count => {
      bytes += count;
    });
    const found = await survey(counted, rows => reading.show(bytes, rows)).finally(reading.clear);

    const database = closing.use(await openDatabase(settings, [customer]));
    const place = await findPlace(database, customer, entity, environment);
    const audit = openAudit(settings, database);
    closing.defer(() => audit.close());
    const catalog = createCatalog({ pools: database.pools, now: Date.now, ttlMs: 60_000 });
    const loading = createProgress('loading', file.bytes, io.status);
    const started = performance.now();
    const asked = { table, rows: found.rows };
    const deed = { customer: customer.id, entity, environment, tool: 'import', arguments: asked };
    const work = () =>
      load({ database, catalog, place, table, file, survey: found, onProgress: loading.show }).finally(loading.clear);
    const { created } = await recordDeed(audit, deed, work, () => ({ rows: found.rows }));

    const seconds = (performance.now() - started) / 1000;
    const rate = Math.round(found.rows / seconds);
    const moved = found.columns.filter(({ source, name }) => source !== name);
    if (isJson) {
      io.out(
        JSON.stringify({ table, created, rows: found.rows, seconds, rows_per_second: rate, columns: found.columns }),
      );
      return EXIT.ok;
    }
    if (created) io.out(`${table} is new: ${found.columns.map(({ name, type }) => `${name} ${type}`).join(', ')}`);
    if (moved.length > 0) io.out(`renamed: ${moved.map(({ source, name }) => `${source} → ${name}`).join(', ')}`);
    const rows = `${found.rows.toLocaleString('en')} ${found.rows === 1 ? 'row' : 'rows'}`;
    io.out(`${rows} in ${seconds.toFixed(1)} s, ${rate.toLocaleString('en')} rows per second`);
    return EXIT.ok;
  },
});

// Private

interface Target {
  customer: Customer;
  entity: string;
  environment: Environment;
}

/** An entity may be called the same in two companies; then somebody has to say which. */
async function findTarget(settings: Settings, target: string, env: NodeJS.ProcessEnv): Promise<Target> {
  const [entity = '', wanted = 'prod', more] = target.split(':');
  if (more !== undefined) throw new WrongUsage(`\`${target}\` has one part too many: <entity>[:<environment>].`);
  const environment = ENVIRONMENTS.find(known => known === wanted);
  if (!environment) throw new WrongUsage(`There is no environment \`${wanted}\`: ${ENVIRONMENTS.join(', ')}.`);
  const roles = new Set(settings.roles.keys());
  const all = await readCustomers(settings.customersFile, { roles, env });
  const customers = servedCustomers(all, settings.customer);
  const owners = customers.filter(({ entities }) => entities.some(({ id }) => id === entity));
  const [customer, ...others] = owners;
  if (!customer) {
    const known = customers.flatMap(({ entities }) => entities.map(({ id }) => id));
    throw new WrongUsage(`There is no entity \`${entity}\`${orDidYouMean(entity, known) || '.'}`);
  }
  if (others.length > 0) {
    throw new WrongUsage(`Several customers have an entity \`${entity}\`: add --customer ${customer.id}, for example.`);
  }
  if (customer.entities.some(({ id, environments }) => id === entity && environments.includes(environment))) {
    return { customer, entity, environment };
  }
  throw new WrongUsage(`\`${entity}\` has no environment \`${environment}\` in customers.yaml.`);
}

async function findPlace(
  { pools }: OpenDatabase,
  customer: Customer,
  entity: string,
  environment: Environment,
): Promise<Place> {
  const places = await readPlaces((text, params) => pools.query(CONTROL_LOGIN, text, params), [customer]);
  const place = places.find(known => known.entity === entity && known.environment === environment);
  if (place) return place;
  throw unavailable(`${entity}:${environment} has no schema yet.`, { hint: 'Run `frame migrate` first.' });
}
