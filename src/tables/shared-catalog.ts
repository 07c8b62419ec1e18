import { CONTROL_LOGIN } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import type { Observe } from '../observe.ts';
import type { Catalog, SchemaOf } from './catalog.ts';

/**
 * A catalog that forgets together with those of the other slots: a column that green has just made is known to blue.
 * Notifications travel through the control database, for the logins of tenants may not send any.
 */
export async function shareCatalog(catalog: Catalog, pools: Pools, observe: Observe): Promise<Catalog> {
  const report = (error: unknown) => observe({ kind: 'crash-averted', where: 'news of the schema', error });
  await pools.listen(
    CONTROL_LOGIN,
    CHANNEL,
    payload => catalog.forget(toSchema(payload)),
    () => catalog.forgetAll(),
  );
  return {
    ...catalog,
    changed(place) {
      catalog.forget(place);
      announceSchema(pools, place).catch(report);
    },
  };
}

/** Tells every running gateway that the tables of a place are not as they were. */
export async function announceSchema(pools: Pools, { database, schema }: SchemaOf): Promise<void> {
  await pools.query(CONTROL_LOGIN, 'select pg_notify($1, $2)', [CHANNEL, `${database}/${schema}`]);
}

// Private

const CHANNEL = 'frame_schema';

/** Neither name contains a slash. */
function toSchema(payload: string): SchemaOf {
  const [database = '', schema = ''] = payload.split('/');
  return { database, schema };
}
