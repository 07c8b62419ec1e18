import { z } from 'zod';

/**
 * Who is signed in through the gateway, with which program, for what. A session is what a person agreed to; its codes and
 * tokens (session-codes.ts, session-tokens.ts) come and go. What somebody may do with it is decided anew on every call.
 */
export interface SessionFacts {
  customer: string;
  person: SignedInPerson;
  /** `host`: of the document that describes the program; without one, its name is only what it says. */
  client: { id: string; name: string; host: string | undefined };
  /** The address that the tokens are for. */
  resource: string;
  scopes: readonly string[];
}

/** As Entra described them when they signed in. */
export interface SignedInPerson {
  tenantId: string;
  objectId: string;
  username: string;
  name: string;
  /** `unknown`: too many for Entra to list. */
  groups: readonly string[] | 'unknown';
  appRoles: readonly string[];
  isGuest: boolean;
}

/** Times are milliseconds since 1970. */
export interface SignInSession extends SessionFacts {
  id: string;
  createdAt: number;
  lastUsedAt: number;
  /** Whatever happens, it ends then. */
  expiresAt: number;
  isRevoked: boolean;
}

export function isOver({ isRevoked, expiresAt }: SignInSession, nowMs: number): boolean {
  return isRevoked || expiresAt <= nowMs;
}

/** `row_to_json` of a row of oauth_sessions. */
export function toSession(json: unknown): SignInSession {
  const row = Row.parse(JSON.parse(String(json)));
  return {
    id: row.id,
    customer: row.customer,
    person: {
      tenantId: row.tenant_id,
      objectId: row.object_id,
      username: row.username,
      name: row.name,
      groups: row.groups ?? 'unknown',
      appRoles: row.app_roles,
      isGuest: row.is_guest,
    },
    client: { id: row.client_id, name: row.client_name, host: row.client_host ?? undefined },
    resource: row.resource,
    scopes: row.scopes,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    expiresAt: row.expires_at,
    isRevoked: row.revoked_at !== null,
  };
}

// Private

const text = z.string();
const time = text.transform(iso => Date.parse(iso));

const Row = z.object({
  id: text,
  customer: text,
  tenant_id: text,
  object_id: text,
  username: text,
  name: text,
  groups: z.array(text).nullable(),
  app_roles: z.array(text),
  is_guest: z.boolean(),
  client_id: text,
  client_name: text,
  client_host: text.nullable(),
  resource: text,
  scopes: z.array(text),
  created_at: time,
  last_used_at: time,
  expires_at: time,
  revoked_at: text.nullable(),
});
