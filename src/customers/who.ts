import type { Who } from './customer.ts';

/** What stands behind `who:` in customers.yaml; undefined when it is none of the five forms. */
export function parseWho(text: string): Who | undefined {
  const [, kind, rest = ''] = /^(oid|group|role):(.+)$/.exec(text) ?? [];
  if (kind === 'oid') return GUID.test(rest) ? { kind: 'object', objectId: rest.toLowerCase() } : undefined;
  if (kind === 'group') return GUID.test(rest) ? { kind: 'group', groupId: rest.toLowerCase() } : undefined;
  if (kind === 'role') return /^\S+$/.test(rest) ? { kind: 'app-role', appRole: rest } : undefined;
  const name = parseUsername(text);
  if (!name) return undefined;
  return name.local === '*' ? { kind: 'domain', domain: name.domain } : { kind: 'person', username: name.username };
}

export interface Username {
  /** The whole, in lower case. */
  username: string;
  local: string;
  domain: string;
}

/** A sign-in name in lower case, in two; undefined when it has no such form. */
export function parseUsername(text: string): Username | undefined {
  // ASCII only: lower-casing turns other letters into these (U+212A, the Kelvin sign, becomes k) and names into others.
  if (!/^[\x21-\x7e]+$/.test(text)) return undefined;
  const [, local, domain] = /^([^@]+)@([^@]+)$/.exec(text.toLowerCase()) ?? [];
  if (local === undefined || domain === undefined || !DOMAIN.test(domain)) return undefined;
  return { username: `${local}@${domain}`, local, domain };
}

export const GUID = /^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/;
export const DOMAIN = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])$/;
