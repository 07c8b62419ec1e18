import { hostname, userInfo } from 'node:os';
import { type DeployConfig, readDeployConfig } from '../../config/deploy-config.ts';
import { readSettings, type Settings } from '../../config/settings.ts';
import type { Customer } from '../../customers/customer.ts';
import { readCustomers, servedCustomers } from '../../customers/customers-file.ts';
import { orDidYouMean } from '../../did-you-mean.ts';
import { type Given, type Io, WrongUsage } from '../command.ts';
import { withoutSecrets } from '../customers-part.ts';

/** Where an operator's command begins: all configuration of the laptop, read and right. */
export interface Desk {
  settings: Settings;
  config: DeployConfig;
  customers: readonly Customer[];
  /** Who asks, for lock and history. */
  by: string;
}

/** A customer with a machine. */
export type Hosted = Customer & { host: string };

/** @throws WrongConfiguration with every mistake of the first file that has some. */
export async function openDesk({ env, cwd }: Io, flags: Given<Record<never, never>>['flags']): Promise<Desk> {
  const settings = await readSettings(env, flags, cwd);
  const roles = new Set(settings.roles.keys());
  const all = await readCustomers(settings.customersFile, {
    roles,
    env: await withoutSecrets(settings.customersFile, env),
  });
  const config = await readDeployConfig(settings.configFolder, all.all);
  return { settings, config, customers: servedCustomers(all, settings.customer), by: whoAsks() };
}

/**
 * The customers that were named, once each; those that have a machine when nobody was.
 * @throws WrongUsage for a name that customers.yaml lacks, that has no `host` there, or that --customer leaves out.
 */
export function chooseCustomers(desk: Known, names: readonly string[]): Hosted[] {
  const hosted = desk.customers.filter(isHosted);
  if (names.length === 0) {
    if (hosted.length > 0) return hosted;
    throw new WrongUsage('No customer has a `host` in customers.yaml, so there is no machine to speak to.');
  }
  return [...new Set(names)].map(name => chooseCustomer(desk, name));
}

/** @throws WrongUsage */
export function chooseCustomer({ customers, settings }: Known, name = ''): Hosted {
  const customer = customers.find(({ id }) => id === name);
  if (!customer && settings.customer !== undefined) {
    throw new WrongUsage(`\`${name}\` was named, but --customer or FRAME_CUSTOMER says \`${settings.customer}\`.`);
  }
  if (!customer) {
    const ids = customers.map(({ id }) => id);
    throw new WrongUsage(`customers.yaml has no customer \`${name}\`${orDidYouMean(name, ids) || '.'}`);
  }
  if (isHosted(customer)) return customer;
  throw new WrongUsage(`\`${name}\` has no \`host\` in customers.yaml: add the ssh destination of its machine.`);
}

/** For commands that mean all: nobody shall take those without a machine for well. */
export function sayWhoIsLeftOut({ customers }: Known, io: Pick<Io, 'err'>): void {
  const others = customers.filter(customer => !isHosted(customer)).map(({ id }) => id);
  if (others.length === 0) return;
  io.err(`Left out, for want of a host in customers.yaml: ${new Intl.ListFormat('en').format(others)}.`);
}

// Private

type Known = Pick<Desk, 'customers' | 'settings'>;

function isHosted(customer: Customer): customer is Hosted {
  return customer.host !== undefined;
}

function whoAsks(): string {
  return `${loginName()}@${hostname()}`;
}

/** In a container, whoever runs this may have a number and no name. */
function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${process.getuid?.()}`;
  }
}
