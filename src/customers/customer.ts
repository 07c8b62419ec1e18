import type { Secret } from '../secret.ts';

/** The nouns of customers.yaml, checked and completed. Nothing here reads files; see customers-file.ts. */
export const ENVIRONMENTS = ['prod', 'staging', 'dev'] as const;
export type Environment = (typeof ENVIRONMENTS)[number];

export interface Entity {
  /** `^[a-z][a-z0-9_-]{0,30}$` */
  id: string;
  name: string;
  /** In the order of customers.yaml, at least one; default `[prod]`. */
  environments: readonly Environment[];
}

/** The customer's own Microsoft Entra tenant, as an issuer and as an audience. */
export interface EntraTenant {
  tenantId: string;
  /** Exact values accepted as `aud`; at least one. */
  audience: readonly string[];
  /** Must stand in `scp` as a whole word. */
  scope: string;
  clientId: string | undefined;
  clientSecret: Secret | undefined;
  /** Without a slash at the end. */
  authority: string;
  /** Guests of the tenant may sign in. */
  guests: boolean;
}

/** Who a rule is about, parsed from `who`. */
export type Who =
  | { kind: 'person'; username: string }
  | { kind: 'domain'; domain: string }
  | { kind: 'object'; objectId: string }
  | { kind: 'group'; groupId: string }
  | { kind: 'app-role'; appRole: string };

export interface AccessRule {
  /** 1 for the first rule of the customer: `can` and the audit name it. */
  number: number;
  /** As written in customers.yaml. */
  text: string;
  who: Who;
  role: string;
  /** Entity ids; `undefined` means all of the customer's. */
  entities: readonly string[] | undefined;
}

export interface Customer {
  id: string;
  name: string;
  origin: string | undefined;
  host: string | undefined;
  /** Lower case. */
  domains: readonly string[];
  entra: EntraTenant;
  signIn: 'broker' | 'direct';
  entities: readonly Entity[];
  access: readonly AccessRule[];
  /** name → host:port */
  services: Readonly<Record<string, string>>;
}

/** The registry in force: a value that is replaced as a whole, never changed. */
export interface Customers {
  all: readonly Customer[];
  byId(id: string): Customer | undefined;
  byTenant(tenantId: string): Customer | undefined;
  byDomain(domain: string): Customer | undefined;
}
