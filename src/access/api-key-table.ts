import { z } from 'zod';
import type { Environment } from '../customers/customer.ts';
import { ENVIRONMENTS } from '../customers/customer.ts';
import { type ApiKeyText, digestOfApiKey, makeApiKeyText } from './api-key-text.ts';
import type { Run } from './sessions.ts';

/** What a key is for. It is bound to one entity and environment for good; its text is shown once and never kept. */
export interface ApiKeyFacts {
  customer: string;
  entity: string;
  environment: Environment;
  role: string;
  /** For people: what uses it. */
  name: string;
  createdBy: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
  /** CIDR; undefined: from anywhere. */
  networks: readonly string[] | undefined;
}

/** Times are milliseconds since 1970. */
export interface StoredApiKey extends ApiKeyFacts {
  id: string;
  createdAt: number;
  revokedAt: number | undefined;
  revokedWhy: string | undefined;
  replacedBy: string | undefined;
  lastUsedAt: number | undefined;
  lastUsedFrom: string | undefined;
}

export interface ApiKeyFilter {
  id?: string | undefined;
  customer?: string | undefined;
  entity?: string | undefined;
}

/** Where every gateway hears the id of a key that changed. */
export const API_KEY_CHANGES = 'frame_api_keys';

/** @returns the text of the key, which nobody can ever read again, and its row. */
export async function createApiKey(run: Run, facts: ApiKeyFacts, nowMs: number): Promise<[string, StoredApiKey]> {
  const key = makeApiKeyText(facts.role);
  const { rows } = await run(INSERT, [toRow(key, facts, nowMs)]);
  return [key.text, toApiKey(rows[0]?.[0])];
}

/** With its digest, for the comparison. */
export async function findApiKey(run: Run, id: string): Promise<{ key: StoredApiKey; digest: string } | undefined> {
  const { rows } = await run(`select digest::text, ${AS_JSON} from frame.api_keys k where id = $1`, [id]);
  return rows[0] && { digest: String(rows[0][0]), key: toApiKey(rows[0][1]) };
}

/** Those of a customer or entity, the newest first; revoked and expired ones too. */
export async function listApiKeys(run: Run, { id, customer, entity }: ApiKeyFilter): Promise<StoredApiKey[]> {
  const { rows } = await run(LIST, [id ?? null, customer ?? null, entity ?? null]);
  return rows.map(([row]) => toApiKey(row));
}

/** Undefined when there is none that could still be used. Every gateway hears of it. */
export async function revokeApiKey(
  run: Run,
  { id, customer }: ApiKeyFilter,
  why: string,
  nowMs: number,
): Promise<StoredApiKey | undefined> {
  const { rows } = await run(REVOKE, [id, customer ?? null, nowMs, why]);
  return rows[0] && toApiKey(rows[0][0]);
}

/**
 * Another key for the same, in one step. The old one works until `untilMs` at most, so that nobody has to change both
 * sides in one moment. Undefined when it was replaced, was revoked or has expired.
 */
export async function replaceApiKey(
  run: Run,
  old: StoredApiKey,
  facts: Pick<ApiKeyFacts, 'createdBy' | 'expiresAt'>,
  { nowMs, untilMs }: { nowMs: number; untilMs: number },
): Promise<[string, StoredApiKey] | undefined> {
  const key = makeApiKeyText(old.role);
  const { rows } = await run(REPLACE, [old.id, nowMs, untilMs, toRow(key, { ...old, ...facts }, nowMs)]);
  return rows[0] && [key.text, toApiKey(rows[0][0])];
}

/** At most once a minute: it is for people to look at. */
export async function touchApiKey(run: Run, key: StoredApiKey, from: string, nowMs: number): Promise<void> {
  if (key.lastUsedAt !== undefined && nowMs - key.lastUsedAt < TOUCH_EVERY_MS) return;
  await run(TOUCH, [key.id, nowMs, nowMs - TOUCH_EVERY_MS, from]);
}

// Private

const TOUCH_EVERY_MS = 60_000;

/** Everything but the digest. */
const AS_JSON = "(to_jsonb(k) - 'digest')::text";

const COLUMNS = `id, digest, customer, entity, environment, role, name, created_by, created_at, expires_at, networks`;

function toRow(key: ApiKeyText, facts: ApiKeyFacts, nowMs: number): string {
  const { customer, entity, environment, role, name, createdBy, expiresAt, networks } = facts;
  const row = { customer, entity, environment, role, name, created_by: createdBy, networks };
  const times = { created_at: new Date(nowMs), expires_at: new Date(expiresAt) };
  return JSON.stringify({ ...row, ...times, id: key.id, digest: digestOfApiKey(key) });
}

const INSERT = `
  insert into frame.api_keys as k (${COLUMNS})
  select ${COLUMNS} from json_populate_record(null::frame.api_keys, $1::json)
  returning ${AS_JSON}`;

const LIST = `
  select ${AS_JSON} from frame.api_keys k
  where ($1::text is null or id = $1::text) and ($2::text is null or customer = $2::text)
    and ($3::text is null or entity = $3::text)
  order by created_at desc, id`;

const REVOKE = `
  with revoked as (
    update frame.api_keys set revoked_at = to_timestamp($3::float8 / 1000), revoked_why = $4
    where id = $1 and ($2::text is null or customer = $2::text)
      and revoked_at is null and expires_at > to_timestamp($3::float8 / 1000)
    returning *
  )
  select ${AS_JSON}, pg_notify('${API_KEY_CHANGES}', id) from revoked k`;

const REPLACE = `
  with replaced as (
    update frame.api_keys
    set replaced_by = $4::json ->> 'id', expires_at = least(expires_at, to_timestamp($3::float8 / 1000))
    where id = $1 and replaced_by is null and revoked_at is null and expires_at > to_timestamp($2::float8 / 1000)
    returning id
  ), added as (
    insert into frame.api_keys (${COLUMNS})
    select ${COLUMNS} from json_populate_record(null::frame.api_keys, $4::json) where exists (select from replaced)
    returning *
  )
  select ${AS_JSON}, pg_notify('${API_KEY_CHANGES}', replaced.id) from added k, replaced`;

const TOUCH = `
  update frame.api_keys set last_used_at = to_timestamp($2::float8 / 1000), last_used_from = $4
  where id = $1 and (last_used_at is null or last_used_at <= to_timestamp($3::float8 / 1000))`;

const Time = z.string().transform(text => Date.parse(text));

const Row = z.object({
  id: z.string(),
  customer: z.string(),
  entity: z.string(),
  environment: z.enum(ENVIRONMENTS),
  role: z.string(),
  name: z.string(),
  created_by: z.string(),
  created_at: Time,
  expires_at: Time,
  replaced_by: z.string().nullable(),
  revoked_at: Time.nullable(),
  revoked_why: z.string().nullable(),
  last_used_at: Time.nullable(),
  last_used_from: z.string().nullable(),
  networks: z.array(z.string()).nullable(),
});

function toApiKey(json: unknown): StoredApiKey {
  const row = Row.parse(JSON.parse(String(json)));
  const { id, customer, entity, environment, role, name } = row;
  return {
    id,
    customer,
    entity,
    environment,
    role,
    name,
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    networks: row.networks ?? undefined,
    replacedBy: row.replaced_by ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    revokedWhy: row.revoked_why ?? undefined,
    lastUsedAt: row.last_used_at ?? undefined,
    lastUsedFrom: row.last_used_from ?? undefined,
  };
}
