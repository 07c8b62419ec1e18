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
  /** The entities this caller may work on, at least one. */
  entities: readonly Entity[];
  /** OAuth scopes of the credential, as sent. */
  scopes: readonly string[];
  /** The program they signed in with, where we know it better than it tells us. */
  client?: string;
  /** The access rule that admitted, as written. */
  rule: string;
}

/** A member, known by (tenant id, object id); the names are for display only. */
export interface Person {
  tenantId: string;
  objectId: string;
  name: string;
  username: string;
}
