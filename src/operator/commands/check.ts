import { inspectSettings } from '../../config/settings.ts';
import type { Customers } from '../../customers/customer.ts';
import { readCustomers, servedCustomers } from '../../customers/customers-file.ts';
import { type Mistake, WrongConfiguration } from '../../errors.ts';
import { type Command, defineCommand, EXIT, fromFolder, type Io, printMistakes } from '../command.ts';

/** Reads everything that a start would read, and starts nothing. */
export function createCheckCommand(toolNames: ReadonlySet<string>): Command {
  return defineCommand({
    usage: `Usage: frame check [options]

Reads all configuration (environment, gateway.yaml, roles.yaml, customers.yaml) and prints every mistake as
file:line:column  sentence. Exit code 2 if there is any.`,
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
      if (!customers || mistakes.length > 0) return refuse(mistakes, isJson, io);
      return approve(customers, roles.size, isJson, io);
    },
  });
}

// Private

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
  else printMistakes(mistakes, io);
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
