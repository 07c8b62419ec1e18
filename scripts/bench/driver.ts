import { randomUUIDv7 } from 'node:crypto';
import postgres from 'postgres';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import { createGate } from '../../src/database/gate.ts';
import { anyItem, INSERT, type Item, SELECT } from './items.ts';

/** The same statements through postgres.js alone, in this process: what is left when there is no gateway. */
export interface Driver extends AsyncDisposable {
  select(): Promise<void>;
  insert(): Promise<void>;
}

export function openDriver(databaseUrl: string, nextItem: () => Item): Driver {
  // As many connections as the gateway has, and never more queries than connections: the queue of postgres.js degrades.
  const { ro } = DEFAULT_GATEWAY_CONFIG.pools;
  const sql = postgres(databaseUrl, { max: ro, fetch_types: false });
  const gate = createGate(ro, PATIENCE_MS);
  return {
    select: () =>
      gate.pass(async () => {
        const { number, name } = anyItem();
        const [row] = await sql.unsafe(SELECT, [number], { prepare: true });
        if (row?.name !== name) throw new Error(`got ${row?.name} for ${name}`);
      }),
    insert: () =>
      gate.pass(async () => {
        const { number, name, price } = nextItem();
        const values = [randomUUIDv7(), 'bench', number, name, price];
        const { count } = await sql.unsafe(INSERT, values, { prepare: true });
        if (count !== 1) throw new Error(`inserted ${count} rows`);
      }),
    [Symbol.asyncDispose]: () => sql.end(),
  };
}

// Private

const PATIENCE_MS = 10_000;
