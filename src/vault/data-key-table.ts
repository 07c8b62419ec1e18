import { CONTROL_LOGIN } from '../database/place.ts';
import type { Pools, Session } from '../database/pools.ts';
import type { WrappedKey } from './data-key.ts';
import type { Entity } from './entity-key.ts';
import type { KeyPlace } from './place-keys.ts';

/** The table of data keys in the control database (migrations/control/004_data_keys.sql), and its statements. */
type Run = Session['query'];

/** One that is there, with what only operators ask about. */
export interface StoredKey extends WrappedKey {
  seals: number;
  createdAt: string;
}

export function onControl(pools: Pick<Pools, 'query'>): Run {
  return (text, params, options) => pools.query(CONTROL_LOGIN, text, params, options);
}

/** Of one place, of one entity, or all; the oldest first. */
export async function readDataKeys(run: Run, { customer, entity, environment }: Partial<KeyPlace> = {}) {
  const { rows } = await run(
    `select coalesce(json_agg(json_build_object(
       'kid', kid, 'customer', customer, 'entity', entity, 'environment', environment, 'purpose', purpose,
       'state', state, 'kekId', kek_id, 'wrapped', wrapped, 'check', key_check, 'seals', seals, 'createdAt', created_at
     ) order by customer, entity, environment, purpose, created_at, kid), '[]')::text
     from frame.data_keys
     where ($1::text is null or customer = $1) and ($2::text is null or entity = $2)
       and ($3::text is null or environment = $3)`,
    [customer ?? null, entity ?? null, environment ?? null],
  );
  const keys: StoredKey[] = JSON.parse(String(rows[0]?.[0]));
  return keys;
}

/** False when the place has a current key for this purpose already, or another key has its number. */
export async function insertDataKey(run: Run, key: WrappedKey): Promise<boolean> {
  const { count } = await run(
    `insert into frame.data_keys (kid, customer, entity, environment, purpose, state, kek_id, wrapped, key_check)
     values ($1::text::bigint, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
    [key.kid, key.customer, key.entity, key.environment, key.purpose, key.state, key.kekId, key.wrapped, key.check],
  );
  return count === 1;
}

/** Only where it is still wrapped as it was. */
export async function replaceWrapping(run: Run, before: WrappedKey, after: WrappedKey): Promise<void> {
  await run(`update frame.data_keys set kek_id = $3, wrapped = $4 where kid = $1::text::bigint and kek_id = $2`, [
    before.kid,
    before.kekId,
    after.kekId,
    after.wrapped,
  ]);
}

/** From `current` to `retiring`, or from there to `retired`. */
export async function setKeyState(run: Run, kid: number, from: WrappedKey['state'], to: WrappedKey['state']) {
  await run(`update frame.data_keys set state = $3, state_since = now() where kid = $1::text::bigint and state = $2`, [
    kid,
    from,
    to,
  ]);
}

/** How many seals are booked on a key with these; undefined when it does not seal any more. */
export async function bookSeals(run: Run, kid: number, seals: number): Promise<number | undefined> {
  const { rows } = await run(
    `update frame.data_keys set seals = seals + $2::text::bigint
     where kid = $1::text::bigint and state = 'current' returning seals::text`,
    [kid, seals],
  );
  return rows[0] && Number(rows[0][0]);
}

export async function deleteDataKeys(run: Run, { customer, entity }: Entity): Promise<number> {
  return (await run('delete from frame.data_keys where customer = $1 and entity = $2', [customer, entity])).count;
}

export async function rememberShredded(run: Run, { customer, entity }: Entity): Promise<void> {
  await run('insert into frame.shredded_entities (customer, entity) values ($1, $2) on conflict do nothing', [
    customer,
    entity,
  ]);
}

/** As `customer/entity`. */
export async function readShredded(run: Run): Promise<ReadonlySet<string>> {
  const { rows } = await run(`select customer || '/' || entity from frame.shredded_entities`);
  return new Set(rows.map(([name]) => String(name)));
}

/** Whoever changes which keys there are does it alone; until the transaction ends. */
export async function lockDataKeys(session: Session): Promise<void> {
  await session.query('lock table frame.data_keys in share row exclusive mode');
}
