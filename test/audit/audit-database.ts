import { type AuditEntry, type AuditLog, type AuditParts, createAuditLog } from '../../src/audit/audit.ts';
import { checkpointFiles, readLog } from '../../src/audit/checkpoint-writer.ts';
import { type CheckpointParts, type Checkpoints, createCheckpoints } from '../../src/audit/checkpoints.ts';
import { type EvidenceSource, readEvidence } from '../../src/audit/evidence.ts';
import { createVerifier } from '../../src/audit/signature.ts';
import { type VerifyOptions, verifyAudit } from '../../src/audit/verify.ts';
import type { ChainVerdict } from '../../src/audit/walk.ts';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import type { Read } from '../../src/database/ledger.ts';
import { AUDIT_LOGIN, CONTROL_DATABASE } from '../../src/database/place.ts';
import { createPools, type PoolLimits, type Pools } from '../../src/database/pools.ts';
import { provision } from '../../src/database/provision.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import type { ServerAddress } from '../../src/database/socket.ts';
import { type Observation, observeNothing } from '../../src/observe.ts';
import { worstOf } from '../../src/operator/commands/audit-words.ts';
import { Secret } from '../../src/secret.ts';
import { createCheckpointKey } from '../../src/vault/checkpoint-key.ts';
import { makeDataFolder, removeDataFolder } from '../support/data-folder.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';

export interface Verified {
  chains: ChainVerdict[];
  faults: readonly string[];
  /** As `frame audit verify` ends. */
  code: number;
}

/** What signs the checkpoints of all tests. */
export const MASTER_KEY = Buffer.alloc(32, 7);
export const KEY = createCheckpointKey(new Secret(MASTER_KEY));

/** A Postgres of this test file with the control database as `frame migrate` makes it. */
export interface AuditDatabase {
  postgres: OwnPostgres;
  pools: Pools;
  /** On the login of the audit log. */
  read: Read;
  /** What the logs of openLog observed. */
  observations: Observation[];
  openLog(changes?: Partial<AuditParts>): AuditLog;
  /** Checkpoints in a data folder, by default in `dataFolder`, signed with KEY. */
  openCheckpoints(changes?: Partial<CheckpointParts>): Checkpoints;
  dataFolder: string;
  /** The log held against the checkpoints: what is wrong with each chain, and with the checkpoints themselves. */
  verify(options?: VerifyOptions & Partial<EvidenceSource> & { read?: Read }): Promise<Verified>;
  /** So many months after this one are gone by, for the log. */
  passMonths(months: number): Promise<void>;
  /** Whoever waits for a connection gets one, however slow this machine is. */
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
        limits: { ...DEFAULT_GATEWAY_CONFIG.pools, acquireTimeoutMs: 10_000, ...limits },
        observe: observeNothing,
      }),
    );
  const pools = openPools();
  const read: Read = (text, params) => pools.query(AUDIT_LOGIN, text, params);
  const observations: Observation[] = [];
  const observe = (observation: Observation) => observations.push(observation);
  const dataFolder = await makeDataFolder();
  return {
    postgres,
    pools,
    read,
    observations,
    openPools,
    dataFolder,
    openCheckpoints: changes =>
      createCheckpoints({ dataFolder, signer: KEY, read, observe, now: Date.now, ...changes }),
    async verify({ read: readWith = read, ...options } = {}) {
      const readAll = async () => {
        const { heads, remembered } = await readLog(readWith);
        const file = checkpointFiles(dataFolder).checkpoints;
        const verifier = createVerifier(KEY.publicKey);
        return { heads, ...(await readEvidence({ file, verifier, remembered, ...options })) };
      };
      const { heads, anchors, faults, lines } = await readAll();
      const readAnchors = async () => (await readAll()).anchors;
      const chains = await Array.fromAsync(verifyAudit(readWith, { anchors, readAnchors, ...options }));
      const isMissing = lines === 0 && heads.length > 0;
      const code = worstOf([...chains, { verdict: faults.length > 0 || isMissing ? 'forged' : 'whole' }]);
      return { chains, faults, code };
    },
    openLog: changes =>
      keep(
        createAuditLog({
          pools,
          login: AUDIT_LOGIN,
          limits: DEFAULT_GATEWAY_CONFIG.audit,
          observe,
          now: Date.now,
          ...changes,
        }),
      ),
    async passMonths(months) {
      const root = await postgres.server.connectAsOwner(CONTROL_DATABASE);
      await root.script(`create or replace function audit.this_month() returns date language sql volatile
        set search_path = pg_catalog, pg_temp as $$
          select (date_trunc('month', clock_timestamp() at time zone 'UTC') + interval '${months} months')::date $$`);
      await root.close();
    },
    connectAsRoot: async () => keep(await postgres.server.connectAsOwner(CONTROL_DATABASE)),
    async close() {
      for (const thing of opened) await thing.close();
      await postgres.remove();
      await removeDataFolder(dataFolder);
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
    waiters: (count: number) => readWaiters(observer, count),
    release: async () => void (await holder.query('rollback')),
  };
}

/** The backends of the log that wait for a lock, as soon as there are so many. */
export async function readWaiters(observer: OwnerConnection, count: number): Promise<number[]> {
  for (;;) {
    const { rows } = await observer.query(
      "select pid from pg_stat_activity where usename = 'frame_audit' and wait_event_type = 'Lock'",
    );
    if (rows.length >= count) return rows.map(([pid]) => Number(pid));
  }
}
