import { isIP } from 'node:net';
import type { Roles } from '../../config/roles.ts';
import type { Customer, Environment } from '../../customers/customer.ts';
import { orDidYouMean } from '../../did-you-mean.ts';
import { WrongUsage } from '../command.ts';

/** The words of `frame keys`, checked. All of them throw WrongUsage with a sentence that says how to mend it. */

/** `studio:dev` → what a key is bound to. The entity must be one of exactly one of these customers. */
export function readPlace(
  customers: readonly Customer[],
  text: string,
): { customer: string; entity: string; environment: Environment } {
  const [id = '', environment, ...rest] = text.split(':');
  const owners = customers.filter(({ entities }) => entities.some(entity => entity.id === id));
  const [owner] = owners;
  if (rest.length > 0) throw new WrongUsage(`\`${text}\` has one part too many: <entity>[:<environment>].`);
  if (!owner) {
    const all = customers.flatMap(({ entities }) => entities.map(entity => entity.id));
    const of = customers.length === 1 ? ` of ${customers[0]?.id}` : '';
    throw new WrongUsage(`customers.yaml has no entity \`${id}\`${of}${orDidYouMean(id, all)}`);
  }
  if (owners.length > 1) throw new WrongUsage(`Several customers have an entity \`${id}\`: say which with --customer.`);
  const environments = owner.entities.find(entity => entity.id === id)?.environments ?? [];
  const [only, ...others] = environments;
  const byDefault = only && others.length === 0 ? only : environments.find(name => name === 'prod');
  const chosen = environment === undefined ? byDefault : environments.find(name => name === environment);
  if (chosen) return { customer: owner.id, entity: id, environment: chosen };
  const asked =
    environment === undefined ? `\`${id}\` has several environments` : `\`${id}\` has no \`${environment}\``;
  throw new WrongUsage(`${asked}: write one of ${environments.map(name => `${id}:${name}`).join(', ')}.`);
}

const VERBS = ['create', 'list', 'revoke', 'rotate'] as const;

export type Verb = (typeof VERBS)[number];

/** The verb, and the word after it where it needs one. */
export function readVerb([verb = '', word]: readonly string[]): [Verb, string] {
  const known = VERBS.find(name => name === verb);
  if (!known) throw new WrongUsage(`There is no \`keys ${verb}\`${orDidYouMean(verb, VERBS)}`);
  if (word === undefined && known === 'create') {
    throw new WrongUsage('`keys create` needs a word more: for which entity, such as axe or axe:dev.');
  }
  if (word === undefined && known !== 'list') {
    throw new WrongUsage(`\`keys ${known}\` needs a word more: the id of the key, as \`frame keys list\` shows it.`);
  }
  return [known, word ?? ''];
}

const OPTIONS_OF: Readonly<Record<Verb, readonly string[]>> = {
  create: ['role', 'name', 'days', 'from'],
  list: [],
  revoke: [],
  rotate: ['days', 'overlap'],
};

/** What is ignored in silence, somebody believes in. */
export function requireOptionsOf(verb: Verb, values: Readonly<Record<string, unknown>>): void {
  for (const option of new Set(Object.values(OPTIONS_OF).flat())) {
    if (values[option] === undefined || OPTIONS_OF[verb].includes(option)) continue;
    const why = verb === 'rotate' ? ': the new key is like the old one' : '';
    throw new WrongUsage(`\`keys ${verb}\` takes no --${option}${why}.`);
  }
}

/** Ten letters. Whoever gives the whole key is told what to give instead, and that it is a secret no more. */
export function readKeyId(text: string): string {
  const id = /^frame_[a-z0-9-]+_(?<id>[0-9A-Za-z]{10})[0-9A-Za-z]*$/.exec(text)?.groups?.id;
  if (id === undefined) return text;
  throw new WrongUsage(
    `This is a key, not its id, and the history of your shell has it now: name it \`${id}\`, and revoke or rotate it.`,
  );
}

/** `studio` or `studio:dev`, of which keys may be left although customers.yaml has it no more. */
export function readListed(text: string): { entity?: string; environment?: string } {
  const [entity, environment, ...rest] = text.split(':');
  if (rest.length > 0) throw new WrongUsage(`\`${text}\` is no <entity>[:<environment>].`);
  return { ...(entity && { entity }), ...(environment && { environment }) };
}

export function readRole(roles: Roles, role: string | undefined): string {
  if (role === undefined) throw new WrongUsage(`--role is one of ${[...roles.keys()].join(', ')}.`);
  if (roles.has(role)) return role;
  throw new WrongUsage(`config/roles.yaml has no role \`${role}\`${orDidYouMean(role, [...roles.keys()])}`);
}

export function readDays(
  text: string | undefined,
  byDefault: number,
  { least = 1, most }: { least?: number; most: number },
): number {
  if (text === undefined) return byDefault;
  const days = Number(text);
  if (/^\d+$/.test(text) && days >= least && days <= most) return days;
  throw new WrongUsage(`\`${text}\` must be a number of days, ${least} to ${most}.`);
}

/** Undefined: from anywhere. An address alone is a network of one. */
export function readNetworks(texts: readonly string[] | undefined): string[] | undefined {
  return texts?.map(text => {
    const [address = '', bits, ...rest] = text.split('/');
    const family = isIP(address);
    const most = family === 6 ? 128 : 32;
    const length = bits === undefined ? most : Number(bits);
    if (family === 0 || rest.length > 0 || !/^\d*$/.test(bits ?? '') || bits === '' || length > most) {
      throw new WrongUsage(`\`${text}\` is no network: write 203.0.113.0/24 or 2001:db8::/32.`);
    }
    return `${address}/${length}`;
  });
}
