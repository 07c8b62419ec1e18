import { randomUUIDv7 } from 'node:crypto';
import { CONTROL_LOGIN } from '../database/place.ts';
import type { Params, Pools, Result } from '../database/pools.ts';
import { type SessionFacts, type SignInSession, toSession } from './session.ts';

/** Which sessions are meant: all that is named must hold. */
export interface SessionFilter {
  id?: string | undefined;
  customer?: string | undefined;
  /** The sign-in name, in any case. */
  username?: string | undefined;
  clientId?: string | undefined;
}

/** One statement on the control database: on its own, or in a transaction. */
export type Run = (text: string, params?: Params) => Promise<Result>;

export function runOn(pools: Pick<Pools, 'query'>): Run {
  return (text, params) => pools.query(CONTROL_LOGIN, text, params);
}

/** Where every gateway hears the id of a session of which something was revoked. */
export const REVOCATIONS = 'frame_sign_in';

/** Resolves to its id. */
export async function openSession(run: Run, facts: SessionFacts, nowMs: number, expiresAt: number): Promise<string> {
  const { customer, person, client, resource, scopes } = facts;
  const id = randomUUIDv7();
  const row = {
    id,
    customer,
    tenant_id: person.tenantId,
    object_id: person.objectId,
    username: person.username,
    name: person.name,
    groups: person.groups === 'unknown' ? null : person.groups,
    app_roles: person.appRoles,
    is_guest: person.isGuest,
    client_id: client.id,
    client_name: client.name,
    client_host: client.host,
    resource,
    scopes,
    created_at: new Date(nowMs),
    last_used_at: new Date(nowMs),
    expires_at: new Date(expiresAt),
  };
  await run(INSERT, [JSON.stringify(row)]);
  return id;
}

/** Ends what is still going on, here and on every other gateway, and says what that was. */
export async function revokeSessions(
  run: Run,
  filter: SessionFilter,
  why: string,
  nowMs: number,
): Promise<SignInSession[]> {
  const { rows } = await run(REVOKE, [...toParams(filter), nowMs, why]);
  return rows.map(([row]) => toSession(row));
}

export interface LiveSession extends SignInSession {
  /** Unless it is used again, they must sign in anew then. */
  idleUntil: number;
}

/** Those that can still be used, the last used first. */
export async function listSessions(run: Run, filter: SessionFilter, nowMs: number): Promise<LiveSession[]> {
  const { rows } = await run(LIST, [...toParams(filter), nowMs]);
  return rows.map(([row, idleUntil]) => ({ ...toSession(row), idleUntil: Number(idleUntil) }));
}

/** At most once a minute: it is for people to look at. */
export async function touchSession(run: Run, { id, lastUsedAt }: SignInSession, nowMs: number): Promise<void> {
  if (nowMs - lastUsedAt < TOUCH_EVERY_MS) return;
  await run(TOUCH, [id, nowMs, nowMs - TOUCH_EVERY_MS]);
}

// Private

const TOUCH_EVERY_MS = 60_000;

function toParams({ id, customer, username, clientId }: SessionFilter): unknown[] {
  return [id ?? null, customer ?? null, username ?? null, clientId ?? null];
}

/** Named one by one: a column of a newer release keeps its default. */
const COLUMNS = `id, customer, tenant_id, object_id, username, name, groups, app_roles, is_guest, client_id, client_name,
  client_host, resource, scopes, created_at, last_used_at, expires_at`;

const INSERT = `
  insert into frame.oauth_sessions (${COLUMNS})
  select ${COLUMNS} from json_populate_record(null::frame.oauth_sessions, $1::json)`;

/** $1 to $4: the filter; $5: now. */
const MATCHES = `
  revoked_at is null and expires_at > to_timestamp($5::float8 / 1000)
  and ($1::uuid is null or id = $1::uuid)
  and ($2::text is null or customer = $2::text)
  and ($3::text is null or lower(username) = lower($3::text))
  and ($4::text is null or client_id = $4::text)`;

const REVOKE = `
  with revoked as (
    update frame.oauth_sessions set revoked_at = to_timestamp($5::float8 / 1000), revoked_why = $6
    where ${MATCHES}
    returning *
  )
  select row_to_json(revoked)::text, pg_notify('${REVOCATIONS}', id::text) from revoked`;

const LIST = `
  select row_to_json(s)::text, (extract(epoch from idle_until) * 1000)::float8
  from frame.oauth_sessions s, lateral (
    select max(t.expires_at) as idle_until from frame.oauth_tokens t where t.session_id = s.id and t.used_at is null
  ) as token
  where ${MATCHES} and idle_until > to_timestamp($5::float8 / 1000)
  order by last_used_at desc, id`;

const TOUCH = `
  update frame.oauth_sessions set last_used_at = to_timestamp($2::float8 / 1000)
  where id = $1::uuid and last_used_at <= to_timestamp($3::float8 / 1000)`;
