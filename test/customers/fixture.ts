import type { Customer, Customers } from '../../src/customers/customer.ts';
import { parseCustomers } from '../../src/customers/customers-file.ts';

/** Two companies, right in every respect. Tests break one thing at a time and count lines from here. */
export const TWO_CUSTOMERS = `customers:
  axe:
    name: AXE LLC
    origin: https://axe.example
    host: axe-macmini
    domains: [axellc.com, axe.example]
    entra:
      tenant_id: 122fb574-0000-4000-8000-000000000001
      audience: [api://axe.example/frame]
      scope: access_as_user
    sign_in: direct
    entities:
      axe: { name: AXE LLC, environments: [prod, dev] }
      studio: { name: AXE Studio }
    access:
      - { who: ai@axellc.com, role: admin }
      - { who: "role:Frame.Developer", role: dev, entities: [axe] }
      - { who: "oid:00000000-0000-4000-8000-000000000042", role: editor }
      - { who: "group:00000000-0000-4000-8000-000000000077", role: view }
      - { who: "*@axellc.com", role: view, entities: [axe] }
    services:
      vault: 127.0.0.1:8443
      stream: 127.0.0.1:8780
  nordwind:
    name: Nordwind GmbH
    origin: https://nordwind.example
    domains: [nordwind.example]
    entra:
      tenant_id: 122fb574-0000-4000-8000-0000000000bb
      audience: [6f0c0000-0000-4000-8000-00000000000b]
      scope: access_as_user
    sign_in: direct
    entities:
      nordwind: { name: Nordwind GmbH }
    access:
      - { who: "*@nordwind.example", role: view }
`;

export const ROLES: ReadonlySet<string> = new Set(['admin', 'dev', 'editor', 'view']);

/** TWO_CUSTOMERS with one passage changed; a passage that is not there once is a mistake of the test. */
export function changed(passage: string, replacement: string, text = TWO_CUSTOMERS): string {
  if (text.split(passage).length !== 2) throw new Error(`\`${passage}\` does not stand there once`);
  return text.replace(passage, () => replacement);
}

/** The mistakes in `text` as `line:column sentence`. */
export function mistakesIn(text: string, env: NodeJS.ProcessEnv = {}): string[] {
  const parsed = parseCustomers('customers.yaml', text, { roles: ROLES, env });
  if (!('mistakes' in parsed)) return [];
  return parsed.mistakes.map(({ line, column, sentence }) => `${line}:${column} ${sentence}`);
}

export function customersIn(text: string, env: NodeJS.ProcessEnv = {}): Customers {
  const parsed = parseCustomers('customers.yaml', text, { roles: ROLES, env });
  if ('mistakes' in parsed) throw new Error(mistakesIn(text, env).join('\n'));
  return parsed.customers;
}

export function customerIn(text: string, id = 'axe'): Customer {
  const customer = customersIn(text).byId(id);
  if (!customer) throw new Error(`no customer ${id}`);
  return customer;
}
