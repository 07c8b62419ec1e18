import { existsSync } from 'node:fs';
import { readDeployConfig } from '../../config/deploy-config.ts';
import { inspectSettings, type Settings } from '../../config/settings.ts';
import type { Customers } from '../../customers/customer.ts';
import { readCustomers, servedCustomers } from '../../customers/customers-file.ts';
import { formatMistake, type Mistake, WrongConfiguration } from '../../errors.ts';
import { readMasterKey } from '../../vault/master-key.ts';
import { type Command, defineCommand, EXIT, fromFolder, type Io } from '../command.ts';

/** Reads everything that a start would read, and starts nothing. */
export function createCheckCommand(toolNames: ReadonlySet<string>): Command {
  return defineCommand({
    usage: `Usage: frame check [options]

Reads all configuration (environment, gateway.yaml, roles.yaml, deploy.yaml, customers.yaml, the master key) and prints
every mistake as file:line:column  sentence. Exit code 2 if there is any.`,
    options: {},
    async run({ flags, isJson }, io) {
      const { settings, mistakes } = await inspectSettings(io.env, flags, io.cwd, { toolNames });
      const roles = new Set(settings.roles.keys());
      const customers = await collect(mistakes, async () => {
        // Roles that could not be read must not make every rule a mistake.
        const read = await readCustomers(settings.customersFile, {
          roles: roles.size > 0 ? roles : undefined,
          env: io.env,
        });
        servedCustomers(read, settings.customer);
        return read;
      });
      await collect(mistakes, () => readDeployConfig(settings.configFolder, customers?.all));
      await collect(mistakes, () => readKeyThatIsThere(settings));
      if (!customers || mistakes.length > 0) return refuse(mistakes, isJson, io);
      return approve(customers, roles.size, isJson, io);
    },
  });
}

// Private

/** The first local start makes the key; one that is there, or was named, must be good. */
async function readKeyThatIsThere({ masterKeyFile, masterKeyMayBeCreated }: Settings): Promise<void> {
  if (!masterKeyMayBeCreated || existsSync(masterKeyFile)) await readMasterKey(masterKeyFile, false);
}

async function collect<T>(mistakes: Mistake[], read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof WrongConfiguration)) throw error;
    mistakes.push(...error.mistakes);
    return undefined;
  }
}

function refuse(mistakes: readonly Mistake[], isJson: boolean, io: Io): number {
  if (isJson) io.out(JSON.stringify({ ok: false, mistakes: mistakes.map(mistake => fromFolder(mistake, io.cwd)) }));
  else for (const mistake of mistakes) io.out(formatMistake(fromFolder(mistake, io.cwd)));
  return EXIT.wrong;
}

function approve({ all }: Customers, roles: number, isJson: boolean, io: Io): number {
  const entities = all.reduce((sum, customer) => sum + customer.entities.length, 0);
  if (isJson) io.out(JSON.stringify({ ok: true, customers: all.length, entities, roles, mistakes: [] }));
  else
    io.out(`ok: ${count(all.length, 'customer')}, ${count(entities, 'entity', 'entities')}, ${count(roles, 'role')}`);
  return EXIT.ok;
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
