import type { Right } from '../config/roles.ts';
import type { Customer, Entity } from '../customers/customer.ts';

/** Who is asking now. Everything is decided from it; only access/ makes one. */
export interface Caller {
  customer: Customer;
  person: Person;
  role: string;
  /** What the role and the scopes let them call: tool names, or `*`. */
  tools: ReadonlySet<string>;
  /** What the role would give, but the scopes do not; nothing when absent. */
  withheldTools?: ReadonlySet<string>;
  /** What tools show them beside what everybody sees; nothing when absent. Two credentials: what both have. */
  rights?: ReadonlySet<Right>;
  /** The entities this caller may work on, at least one. */
  entities: readonly Entity[];
  /** OAuth scopes of the credential, as sent. */
  scopes: readonly string[];
  /** The program they signed in with, where we know it better than it tells us. */
  client?: string;
  /** The key that came beside the person's token, or alone: then `person` only stands for it. */
  key?: KeyName;
  /** The access rule that admitted, as written; of a key alone, the key. */
  rule: string;
}

/** A member, known by (tenant id, object id); the names are for display only. */
export interface Person {
  tenantId: string;
  objectId: string;
  name: string;
  username: string;
}

/** An API key, without its secret. */
export interface KeyName {
  id: string;
  name: string;
  role: string;
}

/** Where a key comes alone: what its rows, plans and cursors belong to. No tenant has this id. */
export const NO_TENANT = 'key';

export function isKeyAlone({ person }: Pick<Caller, 'person'>): boolean {
  return person.tenantId === NO_TENANT;
}
