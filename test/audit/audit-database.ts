import { type AuditEntry, type AuditLog, type AuditParts, createAuditLog } from '../../src/audit/audit.ts';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import { AUDIT_LOGIN, CONTROL_DATABASE } from '../../src/database/place.ts';
import { createPools, type PoolLimits, type Pools } from '../../src/database/pools.ts';
import { provision } from '../../src/database/provision.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import type { ServerAddress } from '../../src/database/socket.ts';
import { type Observation, observeNothing } from '../../src/observe.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';

/** A Postgres of this test file with the control database as `frame migrate` makes it. */
export interface AuditDatabase {
  postgres: OwnPostgres;
  pools: Pools;
  /** What the logs of openLog observed. */
  observations: Observation[];
  openLog(changes?: Partial<AuditParts>): AuditLog;
  openPools(address?: ServerAddress, limits?: Partial<PoolLimits>): Pools;
  /** Superuser on the control database, for looking and for tampering. */
  connectAsRoot(): Promise<OwnerConnection>;
  close(): Promise<void>;
}

export async function openAuditDatabase(passwordOf = (role: string) => `password of ${role}`): Promise<AuditDatabase> {
  const postgres = await startOwnPostgres();
  await provision(postgres.server, [], passwordOf, observeNothing);
  const opened: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(thing: T) => {
    opened.unshift(thing);
    return thing;
  };
  const openPools = (server = postgres.server.address, limits: Partial<PoolLimits> = {}) =>
    keep(
      createPools({
        server,
        passwordOf,
        limits: { ...DEFAULT_GATEWAY_CONFIG.pools, ...limits },
        observe: observeNothing,
      }),
    );
  const pools = openPools();
  const observations: Observation[] = [];
  return {
    postgres,
    pools,
    observations,
    openPools,
    openLog: changes =>
      keep(
        createAuditLog({
          pools,
          login: AUDIT_LOGIN,
          limits: DEFAULT_GATEWAY_CONFIG.audit,
          observe: observation => observations.push(observation),
          now: Date.now,
          ...changes,
        }),
      ),
    connectAsRoot: async () => keep(await postgres.server.connectAsOwner(CONTROL_DATABASE)),
    async close() {
      for (const thing of opened) await thing.close();
      await postgres.remove();
    },
  };
}

/** One call by Anna, by default on no entity. */
export function entryOf(customer: string, changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    at: Date.now(),
    requestId: 'request',
    customer,
    actor: { tenantId: 'tenant', objectId: 'object', name: 'Anna Berg', username: 'anna@axellc.com' },
    tool: 'select_rows',
    phase: 'call',
    outcome: 'ok',
    ...changes,
  };
}

export interface Logged {
  seq: number;
  hash: string;
  record: string;
}

/** The records of one chain, in order, as they stand in the table. */
export async function readChain(root: OwnerConnection, chain: string): Promise<Logged[]> {
  const { rows } = await root.query(
    "select seq, encode(hash, 'hex'), record from audit.log where chain = $1 order by seq",
    [chain],
  );
  return rows.map(([seq, hash, record]) => ({ seq: Number(seq), hash: String(hash), record: String(record) }));
}

export function requestIdsOf(logged: readonly Logged[]): string[] {
  return logged.map(({ record }) => JSON.parse(record).requestId);
}

/** Holds the head of one chain, so that whoever appends to it waits inside the database. */
export async function holdHead(database: AuditDatabase, chain: string) {
  const holder = await database.connectAsRoot();
  const observer = await database.connectAsRoot();
  await holder.query('begin');
  await holder.query('select from audit.head where chain = $1 for update', [chain]);
  return {
    /** The backends that wait, as soon as there are so many. */
    async waiters(count: number): Promise<number[]> {
      for (;;) {
        const { rows } = await observer.query(
          "select pid from pg_stat_activity where usename = 'frame_audit' and wait_event_type = 'Lock'",
        );
        if (rows.length >= count) return rows.map(([pid]) => Number(pid));
      }
    },
    release: async () => void (await holder.query('rollback')),
  };
}
