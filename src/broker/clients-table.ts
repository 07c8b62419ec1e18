import { z } from 'zod';
import { CONTROL_LOGIN } from '../database/place.ts';
import type { Params, Pools, Result } from '../database/pools.ts';
import type { ClientMetadata } from './client-metadata.ts';

/**
 * `oauth_clients`: who registered, and the last good copy of every document that somebody signed in with. Documents that
 * nobody used leave no trace, so that naming a million of them costs a stranger more than us. Times are milliseconds since
 * 1970.
 */
export interface ClientsTable {
  readRegistered(clientId: string): Promise<ClientMetadata | undefined>;
  readDocument(clientId: string): Promise<KeptDocument | undefined>;
  addRegistered(clientId: string, metadata: ClientMetadata, nowMs: number): Promise<void>;
  /** Keeps a document that was just used; one that is kept already stays as it is. */
  keepDocument(clientId: string, document: KeptDocument, nowMs: number): Promise<void>;
  /** A kept document was read anew. */
  renewDocument(clientId: string, document: KeptDocument): Promise<void>;
  /** Written once a minute at most. */
  touch(clientId: string, nowMs: number): Promise<void>;
  /**
   * Deletes who did not come for 90 days, and who registered 30 days ago and never came: of those only the newest 10,000
   * stay for longer than a day, for anybody may register.
   */
  sweep(nowMs: number): Promise<void>;
}

export interface KeptDocument extends ClientMetadata {
  fetchedAt: number;
  freshUntil: number;
}

export function createClientsTable(pools: Pick<Pools, 'query'>): ClientsTable {
  const query = (text: string, params: Params): Promise<Result> => pools.query(CONTROL_LOGIN, text, params);

  return {
    async readRegistered(clientId) {
      const { rows } = await query(`select metadata from ${TABLE} where client_id = $1 and kind = 'registered'`, [
        clientId,
      ]);
      return rows[0] && toMetadata(rows[0][0]);
    },
    async readDocument(clientId) {
      const { rows } = await query(
        `select metadata, ${toMs('fetched_at')}, ${toMs('fresh_until')} from ${TABLE}
         where client_id = $1 and kind = 'document'`,
        [clientId],
      );
      if (!rows[0]) return undefined;
      const [metadata, fetchedAt, freshUntil] = rows[0];
      return { ...toMetadata(metadata), fetchedAt: Number(fetchedAt), freshUntil: Number(freshUntil) };
    },
    async addRegistered(clientId, metadata, nowMs) {
      await query(
        `insert into ${TABLE} (client_id, kind, metadata, created_at)
         values ($1, 'registered', $2::text::jsonb, $3::text::timestamptz)`,
        [clientId, toJson(metadata), toTime(nowMs)],
      );
    },
    async keepDocument(clientId, document, nowMs) {
      await query(
        `insert into ${TABLE} (client_id, kind, metadata, fetched_at, fresh_until, created_at, last_used_at)
         values ($1, 'document', $2::text::jsonb, $3::text::timestamptz, $4::text::timestamptz,
           $5::text::timestamptz, $5::text::timestamptz)
         on conflict (client_id) do nothing`,
        [clientId, toJson(document), toTime(document.fetchedAt), toTime(document.freshUntil), toTime(nowMs)],
      );
    },
    async renewDocument(clientId, document) {
      await query(
        `update ${TABLE}
         set metadata = $2::text::jsonb, fetched_at = $3::text::timestamptz, fresh_until = $4::text::timestamptz
         where client_id = $1`,
        [clientId, toJson(document), toTime(document.fetchedAt), toTime(document.freshUntil)],
      );
    },
    async touch(clientId, nowMs) {
      await query(
        `update ${TABLE} set last_used_at = $2::text::timestamptz
         where client_id = $1
           and (last_used_at is null or last_used_at < $2::text::timestamptz - interval '1 minute')`,
        [clientId, toTime(nowMs)],
      );
    },
    async sweep(nowMs) {
      await query(
        `delete from ${TABLE}
         where last_used_at < $1::text::timestamptz - interval '90 days'
           or last_used_at is null and created_at < $1::text::timestamptz - interval '30 days'
           or last_used_at is null and created_at < $1::text::timestamptz - interval '1 day' and client_id not in (
             select client_id from ${TABLE} where last_used_at is null order by created_at desc limit ${MAX_UNUSED}
           )`,
        [toTime(nowMs)],
      );
    },
  };
}

// Private

const TABLE = 'frame.oauth_clients';
/** Of 16 KB each at most. */
const MAX_UNUSED = 10_000;
const Metadata = z.object({ name: z.string(), redirectUris: z.array(z.string()) });

function toMetadata(json: unknown): ClientMetadata {
  return Metadata.parse(JSON.parse(String(json)));
}

function toJson({ name, redirectUris }: ClientMetadata): string {
  return JSON.stringify({ name, redirectUris });
}

function toMs(column: string): string {
  return `(extract(epoch from ${column}) * 1000)::float8`;
}

/** As Postgres reads timestamptz. */
function toTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
