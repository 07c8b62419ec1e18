import { orDidYouMean } from '../did-you-mean.ts';
import { type Mistake, WrongConfiguration } from '../errors.ts';
import { parseYaml, readConfigurationFile } from '../yaml-file.ts';
import { reportContradictions } from './contradictions.ts';
import type { Customer, Customers } from './customer.ts';
import { type CustomerEntry, customersSchema } from './customers-schema.ts';
import { expandVariables } from './variables.ts';

/** customers.yaml → Customers, or every mistake in it. Nothing of the file is used while one is left. */
export interface CustomersOptions {
  /** The roles of config/roles.yaml; undefined leaves them unchecked. */
  roles: ReadonlySet<string> | undefined;
  /** Where `${NAME}` is read. */
  env: NodeJS.ProcessEnv;
}

export function parseCustomers(
  file: string,
  text: string,
  { roles, env }: CustomersOptions,
): { customers: Customers } | { mistakes: Mistake[] } {
  const parsed = parseYaml(file, text, customersSchema, (written, report) => {
    const tree = expandVariables(written, env, report);
    reportContradictions(tree, roles, report);
    return tree;
  });
  if ('mistakes' in parsed) return parsed;
  const all = Object.entries(parsed.value.customers).map(([id, entry]) => toCustomer(id, entry));
  return { customers: indexCustomers(all) };
}

/** @throws WrongConfiguration with every mistake. */
export async function readCustomers(file: string, options: CustomersOptions): Promise<Customers> {
  const parsed = parseCustomers(file, await readConfigurationFile(file), options);
  if ('mistakes' in parsed) throw new WrongConfiguration(parsed.mistakes);
  return parsed.customers;
}

/** Ids as written; tenants and domains in any case. */
export function indexCustomers(all: readonly Customer[]): Customers {
  const byId = new Map(all.map(customer => [customer.id, customer]));
  const byTenant = new Map(all.map(customer => [customer.entra.tenantId, customer]));
  const byDomain = new Map(all.flatMap(customer => customer.domains.map(domain => [domain, customer])));
  return {
    all,
    byId: id => byId.get(id),
    byTenant: tenantId => byTenant.get(tenantId.toLowerCase()),
    byDomain: domain => byDomain.get(domain.toLowerCase()),
  };
}

/**
 * Whom a process serves: everybody, or the one customer it is pinned to.
 * @throws WrongConfiguration when customers.yaml lacks that one.
 */
export function servedCustomers(customers: Customers, pinnedTo: string | undefined): readonly Customer[] {
  if (pinnedTo === undefined) return customers.all;
  const customer = customers.byId(pinnedTo);
  if (customer) return [customer];
  const guess = orDidYouMean(
    pinnedTo,
    customers.all.map(({ id }) => id),
  );
  const sentence = `customers.yaml has no customer \`${pinnedTo}\`${guess}`;
  throw new WrongConfiguration([{ file: 'FRAME_CUSTOMER', sentence }]);
}

// Private

function toCustomer(id: string, entry: CustomerEntry): Customer {
  const { entra } = entry;
  return {
    id,
    name: entry.name,
    origin: entry.origin,
    host: entry.host,
    domains: entry.domains,
    entra: {
      tenantId: entra.tenant_id,
      audience: entra.audience,
      scope: entra.scope,
      clientId: entra.client_id,
      clientSecret: entra.client_secret,
      authority: entra.authority,
      guests: entra.guests,
    },
    signIn: entry.sign_in,
    entities: Object.entries(entry.entities).map(([entityId, entity]) => ({ id: entityId, ...entity })),
    access: entry.access.map(({ who, role, entities }, index) => ({
      number: index + 1,
      text: who.text,
      who: who.parsed,
      role,
      entities,
    })),
    services: entry.services,
  };
}
