import type { Environment } from '../customers/customer.ts';

/** Where the data of one (entity, environment) lives: data from the registry, not a rule repeated in code. */
export interface Place {
  customer: string;
  entity: string;
  environment: Environment;
  database: string;
  schema: string;
  /** The opaque part of the three role names: `own_<roleId>`, `rw_<roleId>`, `ro_<roleId>`. */
  roleId: string;
}

/** What a login of a place may do: `own` designs, `rw` changes rows, `ro` reads. */
export type Mode = 'own' | 'rw' | 'ro';

/** One Postgres login on one database. Its password is derived, never stored. */
export interface Login {
  role: string;
  database: string;
}

export function loginOf(place: Place, mode: Mode): Login {
  return { role: `${mode}_${place.roleId}`, database: place.database };
}

/** The gateway's logins that belong to no customer's data. */
export const CONTROL_DATABASE = 'frame_control';
export const CONTROL_LOGIN: Login = { role: 'frame_control', database: CONTROL_DATABASE };
export const AUDIT_LOGIN: Login = { role: 'frame_audit', database: CONTROL_DATABASE };

/** Reads the catalog of a customer's database (describe_tables), no rows of it. */
export function catalogLogin(database: string): Login {
  return { role: 'frame_catalog', database };
}

export function databaseOf(customerId: string): string {
  return `frame_${customerId.replaceAll('-', '_')}`;
}
