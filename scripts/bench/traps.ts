import postgres from 'postgres';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import { createPools } from '../../src/database/pools.ts';
import { observeNothing } from '../../src/observe.ts';
import { anyItem, SELECT } from './items.ts';
import { putCalls } from './load.ts';
import { meterOfMyself } from './processes.ts';
import type { Stage } from './stage.ts';

export interface Trend {
  name: string;
  /** CPU microseconds of this process per query, window after window. */
  cpuMicros: number[];
}

/**
 * The queue of postgres.js never compacts while it is saturated: a query costs more every second, for good. Our pools
 * let in no more queries than they have connections, so theirs must stay flat.
 */
export async function measureTraps({ databaseUrl, postgres: server }: Stage): Promise<Trend[]> {
  const { hostname: host, port, username: role, password, pathname } = new URL(databaseUrl);
  const { pools: limits } = DEFAULT_GATEWAY_CONFIG;
  const meters = { server: meterOfMyself(), postgres: server };

  async function trendOf(name: string, ask: () => Promise<unknown>): Promise<Trend> {
    const cpuMicros: number[] = [];
    for (let i = 0; i < WINDOWS; i += 1) {
      const window = { connections: 64, warmSeconds: 0, seconds: WINDOW_SECONDS };
      const reading = await putCalls(async () => void (await ask()), window, meters);
      if (reading.bad > 0) throw new Error(`${name}: ${reading.firstBad}`);
      cpuMicros.push(reading.cpuMicros);
    }
    return { name, cpuMicros };
  }

  const address = { host, port: Number(port), ssl: 'disable' } as const;
  const pools = createPools({ server: address, passwordOf: () => password, limits, observe: observeNothing });
  const login = { role, database: pathname.slice(1) };
  const ours = () => pools.query(login, SELECT, [anyItem().number]);

  const sql = postgres(databaseUrl, { max: limits.rw, fetch_types: false });
  const theirs = async () => sql.unsafe(SELECT, [anyItem().number], { prepare: true });
  return [
    await trendOf('our pool', ours).finally(() => pools.close()),
    await trendOf('postgres.js with its own queue', theirs).finally(() => sql.end()),
  ];
}

// Private

const WINDOWS = 4;
const WINDOW_SECONDS = 5;
