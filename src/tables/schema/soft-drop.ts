import { catalogLogin, loginOf, type Place } from '../../database/place.ts';
import type { Pools, Session } from '../../database/pools.ts';
import { quoteName } from '../../database/quote.ts';
import { readColumnComment } from '../comment.ts';
import { quoteQualified } from '../quote.ts';
import { sealOf } from '../seal.ts';
import type { Move } from './draft.ts';
import type { Run } from './versions.ts';

/** What was dropped is renamed away and kept for some days, so that restore_version can bring it back. */
export interface Restorable {
  table: string;
  column?: string;
  dropped_at: string;
  kept_until: string;
  /** The version to restore, with `only` for this alone: the one before the drop. */
  restore_version: number;
}

export interface Expiry {
  /** Milliseconds since 1970. */
  now: number;
  softDropDays: number;
}

/** Newest first, at most 50. */
export async function listRestorable(run: Run, place: Place, { now, softDropDays }: Expiry): Promise<Restorable[]> {
  const { rows } = await run(
    `select table_name, column_name, extract(epoch from dropped_at)::float8, version
    from ${quoteQualified(place.schema, '_dropped')} where dropped_at > $1::text::timestamptz
    order by version desc, hidden_name limit ${MAX_LISTED}`,
    [new Date(now - softDropDays * DAY_MS).toISOString()],
  );
  return rows.map(([table, column, seconds, version]) => ({
    table: String(table),
    ...(typeof column === 'string' && { column }),
    dropped_at: new Date(Math.round(Number(seconds) * 1000)).toISOString(),
    kept_until: new Date(Math.round(Number(seconds) * 1000) + softDropDays * DAY_MS).toISOString(),
    restore_version: Number(version) - 1,
  }));
}

/** Every name of a table or an index in the schema, and for each table the columns in it that are hidden. */
export async function readRelations(pools: Pools, place: Place): Promise<Map<string, string[]>> {
  const { rows } = await pools.query(
    catalogLogin(place.database),
    `select c.relname::text, coalesce((
      select json_agg(a.attname order by a.attnum) from pg_catalog.pg_attribute a
      where a.attrelid = c.oid and not a.attisdropped and a.attname like $2
    ), '[]')::text
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = $1`,
    [place.schema, String.raw`\_dropped\_%`],
  );
  return new Map(rows.map(([name, hidden]) => [String(name), JSON.parse(String(hidden))]));
}

/** Remembers what was moved aside, and forgets what came back. `at` in milliseconds since 1970. */
export async function recordMoves(
  session: Session,
  place: Place,
  { moves, version, at }: { moves: readonly Move[]; version: number; at: number },
): Promise<void> {
  const dropped = quoteQualified(place.schema, '_dropped');
  for (const move of moves) {
    if ('undrop' in move) {
      await session.query(`delete from ${dropped} where hidden_name = $1`, [move.undrop.hidden]);
      continue;
    }
    const { kind, table, column, hidden } = move.drop;
    await session.query(
      `insert into ${dropped} (kind, table_name, column_name, hidden_name, dropped_at, version)
      values ($1, $2, $3, $4, $5::text::timestamptz, $6::int)`,
      [kind, table, column ?? null, hidden, new Date(at).toISOString(), version],
    );
  }
}

/**
 * Drops for good what was moved aside more than `softDropDays` ago: at every applied change, and by `frame migrate`.
 * Safe to repeat and to race. Returns how many things are gone.
 */
export async function purgeExpiredDrops(pools: Pools, place: Place, { now, softDropDays }: Expiry): Promise<number> {
  const owner = loginOf(place, 'own');
  const { rows } = await pools.query(
    owner,
    `select hidden_name from ${quoteQualified(place.schema, '_dropped')} where dropped_at <= $1::text::timestamptz
    order by version, hidden_name`,
    [new Date(now - softDropDays * DAY_MS).toISOString()],
  );
  for (const [hidden] of rows) await purge(pools, place, String(hidden));
  return rows.length;
}

// Private

const MAX_LISTED = 50;
const DAY_MS = 86_400_000;

async function purge(pools: Pools, place: Place, hidden: string): Promise<void> {
  // Looked up by the hidden name, which is unique: its table may have been renamed since, or moved aside itself.
  const relations = await readRelations(pools, place);
  const table = [...relations].find(([, columns]) => columns.includes(hidden))?.[0];
  const gone = table ? [hidden, ...(await findCompanions(pools, place, hidden))] : [];
  await pools.transaction(loginOf(place, 'own'), async session => {
    const { count } = await session.query(
      `delete from ${quoteQualified(place.schema, '_dropped')} where hidden_name = $1`,
      [hidden],
    );
    if (count === 0) return;
    if (relations.has(hidden)) await session.query(`drop table ${quoteQualified(place.schema, hidden)}`);
    if (!table) return;
    const drops = gone.map(column => `drop column ${quoteName(column)}`).join(', ');
    await session.query(`alter table ${quoteQualified(place.schema, table)} ${drops}`);
  });
}

/** What stands beside a hidden column because it is sealed. */
async function findCompanions(pools: Pools, place: Place, hidden: string): Promise<string[]> {
  const { rows } = await pools.query(
    catalogLogin(place.database),
    `select col_description(c.oid, a.attnum) from pg_catalog.pg_attribute a
     join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and a.attname = $2`,
    [place.schema, hidden],
  );
  return rows.flatMap(([comment]) => {
    const { mark } = readColumnComment(comment === null ? null : String(comment));
    return mark?.sealed ? [sealOf(mark.kind, mark.sealed.type, mark.sealed).companion] : [];
  });
}
