import type { Login } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { FrameError } from '../errors.ts';
import { storable } from './canonical-json.ts';
import type { AuditOutcome } from './entry.ts';
import type { AuditRecord } from './record.ts';

export interface AuditSearch {
  customer: string;
  /** What the caller may see. Records without an entity are seen only with `all`. */
  entities: readonly string[] | 'all';
  /** Milliseconds since 1970, inclusive. */
  since?: number;
  /** Part of a name or user name, or an object id; letter case does not matter. */
  actor?: string;
  tool?: string;
  outcome?: AuditOutcome;
  limit: number;
  /** `next` of the page before. */
  before?: string;
}

export interface AuditPage {
  /** Newest first. */
  entries: AuditRecord[];
  /** There are older ones: pass it as `before`. */
  next?: string;
}

/** Rejects `limit/time` when too much had to be read for it. */
export async function searchAudit(pools: Pools, login: Login, search: AuditSearch): Promise<AuditPage> {
  const [at = NEWEST, position = NEWEST] = search.before?.split('.') ?? [];
  const params = [
    search.customer,
    search.entities === 'all' ? null : JSON.stringify(search.entities),
    search.since ?? 0,
    search.actor === undefined ? null : storable(search.actor).toLowerCase(),
    search.tool === undefined ? null : storable(search.tool),
    search.outcome ?? null,
    at,
    position,
    search.limit + 1,
  ];
  const { rows } = await pools.query(login, SEARCH, params).catch(explainTimeout);
  const page = rows.slice(0, search.limit);
  const last = page.at(-1);
  return {
    entries: page.map(([, , record]) => JSON.parse(String(record))),
    next: rows.length > search.limit && last ? `${last[0]}.${last[1]}` : undefined,
  };
}

// Private

const NEWEST = '9223372036854775807';

const SEARCH = `
  select at, position, record from audit.log
  where customer = $1
    and ($2::text is null or $2::text::jsonb ? entity)
    and at >= $3::bigint
    and ($4::text is null or strpos(actor, $4::text) > 0)
    and ($5::text is null or tool = $5::text)
    and ($6::text is null or outcome = $6::text)
    and (at, position) < ($7::bigint, $8::bigint)
  order by at desc, position desc
  limit $9::int`;

const QUERY_CANCELED = '57014';

function explainTimeout(thrown: unknown): never {
  if (!(thrown instanceof Error && 'code' in thrown && thrown.code === QUERY_CANCELED)) throw thrown;
  throw new FrameError('limit/time', 'The search took too long.', { hint: 'Narrow it with `since`.', cause: thrown });
}
