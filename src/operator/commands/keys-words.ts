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
  if (!owner || rest.length > 0) {
    const all = customers.flatMap(({ entities }) => entities.map(entity => entity.id));
    throw new WrongUsage(`customers.yaml has no entity \`${id}\`${orDidYouMean(id, all)}`);
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

export function readRole(roles: Roles, role: string | undefined): string {
  if (role === undefined) throw new WrongUsage(`--role is one of ${[...roles.keys()].join(', ')}.`);
  if (roles.has(role)) return role;
  throw new WrongUsage(`config/roles.yaml has no role \`${role}\`${orDidYouMean(role, [...roles.keys()])}`);
}

export function readDays(text: string | undefined, byDefault: number, most: number): number {
  if (text === undefined) return byDefault;
  const days = Number(text);
  if (/^\d+$/.test(text) && days >= 1 && days <= most) return days;
  throw new WrongUsage(`\`${text}\` must be a number of days, 1 to ${most}.`);
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
