import { z } from 'zod';
import { orDidYouMean } from '../did-you-mean.ts';
import type { Report } from '../yaml-file.ts';
import type { Path } from '../yaml-source.ts';
import { parseWho } from './who.ts';

/**
 * What entries of customers.yaml say against each other or against roles.yaml. It reads what it can and passes over the
 * rest, which the schema reports: so one run shows all mistakes. Without `roles`, roles are not checked.
 */
export function reportContradictions(tree: unknown, roles: ReadonlySet<string> | undefined, report: Report): void {
  const customers = Object.entries(Readable.parse(tree).customers).flatMap(([id, entry]) =>
    entry ? [{ id, entry, path: ['customers', id] }] : [],
  );
  const taken = (what: string) => (written: string, owner: string) =>
    `\`${written}\` is ${what} of \`${owner}\` already`;
  reportRepeats(customers.flatMap(domainsOf), report, taken('a domain'));
  reportRepeats(customers.flatMap(tenantOf), report, taken('the tenant'));
  reportSharedOrigins(customers, report);
  for (const customer of customers) {
    reportBroker(customer, report);
    reportRepeats(portsOf(customer), report, (address, owner) => `\`${address}\` has the port of \`${owner}\``);
    reportRepeats(
      schemasOf(customer),
      report,
      (id, owner) => `\`${id}\` and \`${owner}\` would share one schema, for - becomes _ there`,
      'key',
    );
    reportRules(customer, roles, report);
  }
}

// Private

const text = z.string().catch('');
const texts = z.array(text).catch([]);
const Rule = z.object({ who: text, role: text, entities: texts }).catch({ who: '', role: '', entities: [] });
const Entry = z.object({
  origin: text,
  sign_in: z.string().default('broker').catch(''),
  domains: texts,
  entra: z
    .object({ tenant_id: text, client_id: z.unknown().optional(), client_secret: z.unknown().optional() })
    .catch({ tenant_id: '', client_id: '', client_secret: '' }),
  entities: z.record(z.string(), z.unknown()).catch({}),
  access: z.array(Rule).catch([]),
  services: z.record(z.string(), text).catch({}),
});
const Readable = z
  .object({ customers: z.record(z.string(), Entry.optional().catch(undefined)).catch({}) })
  .catch({ customers: {} });

interface Named {
  id: string;
  entry: z.output<typeof Entry>;
  path: Path;
}

/** Something that only one may have. */
interface Claim {
  key: string;
  path: Path;
  owner: string;
}

function reportRepeats(
  claims: readonly Claim[],
  report: Report,
  say: (written: string, owner: string) => string,
  at?: 'key',
): void {
  const owners = new Map<string, string>();
  for (const { key, path, owner } of claims) {
    const first = owners.get(key);
    if (first === undefined) owners.set(key, owner);
    else if (key !== '') report(path, written => say(written, first), at);
  }
}

function domainsOf({ id, entry, path }: Named): Claim[] {
  return entry.domains.map((domain, i) => ({ key: domain.toLowerCase(), path: [...path, 'domains', i], owner: id }));
}

function tenantOf({ id, entry, path }: Named): Claim[] {
  return [{ key: entry.entra.tenant_id.toLowerCase(), path: [...path, 'entra', 'tenant_id'], owner: id }];
}

/** Clients are sent to one authorization server per origin: only people who sign in at ours may share one. */
function reportSharedOrigins(customers: readonly Named[], report: Report): void {
  const byOrigin = Map.groupBy(customers, ({ entry }) => entry.origin);
  for (const [origin, [first, ...others]] of byOrigin) {
    if (origin === '' || !first) continue;
    for (const { entry, path } of others) {
      if (entry.sign_in === 'broker' && first.entry.sign_in === 'broker') continue;
      report([...path, 'origin'], written => `\`${written}\` is the origin of \`${first.id}\` already`);
    }
  }
}

function portsOf({ entry, path }: Named): Claim[] {
  return Object.entries(entry.services).map(([name, address]) => ({
    key: /:(\d+)$/.exec(address)?.[1] ?? '',
    path: [...path, 'services', name],
    owner: name,
  }));
}

function schemasOf({ entry, path }: Named): Claim[] {
  return Object.keys(entry.entities).map(id => ({
    key: id.replaceAll('-', '_'),
    path: [...path, 'entities', id],
    owner: id,
  }));
}

/** Through the gateway, Frame itself is the program that signs in at Entra, and has to prove that it is. */
function reportBroker({ entry, path }: Named, report: Report): void {
  if (entry.sign_in !== 'broker') return;
  const { client_id, client_secret } = entry.entra;
  const missing = Object.entries({ client_id, client_secret }).flatMap(([key, value]) =>
    value === undefined ? [key] : [],
  );
  if (missing.length === 0) return;
  const needed = missing.map(key => `\`${key}\``).join(' and ');
  report([...path, 'entra'], () => `\`entra\` must have ${needed} for sign_in: broker, which is the default`, 'key');
}

function reportRules({ entry, path }: Named, roles: ReadonlySet<string> | undefined, report: Report): void {
  const entities = Object.keys(entry.entities);
  const domains = entry.domains.map(domain => domain.toLowerCase());
  entry.access.forEach((rule, i) => {
    const at = [...path, 'access', i];
    if (roles && rule.role !== '' && !roles.has(rule.role)) {
      report([...at, 'role'], role => `config/roles.yaml has no role \`${role}\`${orDidYouMean(rule.role, roles)}`);
    }
    rule.entities.forEach((entity, j) => {
      if (entity === '' || entities.length === 0 || entities.includes(entity)) return;
      report([...at, 'entities', j], id => `this customer has no entity \`${id}\`${orDidYouMean(entity, entities)}`);
    });
    const domain = domainOf(rule.who);
    if (domain !== undefined && domains.length > 0 && !domains.includes(domain)) {
      report([...at, 'who'], who => `\`${who}\` can never match: its domain is not one of this customer's domains`);
    }
  });
}

function domainOf(who: string): string | undefined {
  const parsed = parseWho(who);
  if (parsed?.kind === 'domain') return parsed.domain;
  return parsed?.kind === 'person' ? parsed.username.split('@')[1] : undefined;
}
