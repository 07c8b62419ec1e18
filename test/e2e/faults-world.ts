import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import { z } from 'zod';
import type { OwnerConnection } from '../../src/database/server.ts';
import { type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { type OwnPostgres, type OwnPostgresOptions, startOwnPostgres } from '../support/postgres.ts';
import { AXE, customersYaml, freshKey, PEOPLE } from './companies.ts';
import { type KeysGate, openKeysGate } from './keys-gate.ts';
import { type Answer, ask, call, change, objectOf, type Row, type Seat, selectAll } from './wire.ts';

/** Gateways, a Postgres and an Entra that belong to one file of tests, for everything that can break under them. */
export interface FaultsWorld {
  postgres: OwnPostgres;
  gate: KeysGate;
  home: FrameHome;
  /** Of every gateway and command. */
  env: Record<string, string>;
  /** The admin's, whom everything below is done for. */
  token: string;
  serve(slot: string, more?: Record<string, string>): Promise<Serving>;
  /** One that does what is planted. `node`: more options for Node. */
  servePlanted(slot: string, node?: string): Promise<Serving>;
  /** Resolves when it is done, or has begun; the deeds are in support/planted-faults.ts. */
  plant(serving: Serving, deed: string, amount?: number): Promise<void>;
  at(serving: Serving): Seat;
  /** Makes the table `marks`. */
  makeMarks(serving: Serving): Promise<void>;
  insert(serving: Serving, mark: string, more?: Row): Promise<Answer>;
  countOf(mark: string, serving: Serving): Promise<number>;
  /** Whoever writes marks waits, until the lock is let go. */
  holdMarks(): Promise<HeldMarks>;
  asOwner<T>(database: string, work: (owner: OwnerConnection) => Promise<T>): Promise<T>;
  /** The exit code of `frame audit verify`. */
  verify(): Promise<number | null>;
  remove(): Promise<void>;
}

export interface HeldMarks {
  /** By so many; one when nothing is said. */
  untilWaitedFor(writers?: number): Promise<void>;
  letGo(): Promise<void>;
}

export const PLACE = { entity: 'axe' };
export const DATABASE = 'frame_axe';

export interface FaultsOptions extends OwnPostgresOptions {
  /** Of config/gateway.yaml: what is short enough to wait for. */
  config?: string;
}

export async function openFaultsWorld({ config, ...options }: FaultsOptions = {}): Promise<FaultsWorld> {
  const [postgres, gate] = await Promise.all([startOwnPostgres(options), openKeysGate()]);
  const home = await makeFrameHome(customersYaml(gate.entra.authority));
  const key = await home.writeFile('master.key', `${randomBytes(32).toString('base64')}\n`, 0o600);
  if (config) await home.writeFile('config/gateway.yaml', config);
  const env = { FRAME_DATABASE_URL: postgres.url.reveal(), FRAME_MASTER_KEY_FILE: key };
  expect((await home.run(['migrate'], { env })).exit).toBe(0);

  async function asOwner<T>(database: string, work: (owner: OwnerConnection) => Promise<T>): Promise<T> {
    const owner = await postgres.server.connectAsOwner(database);
    return work(owner).finally(() => owner.close());
  }

  const world: FaultsWorld = {
    postgres,
    gate,
    home,
    env,
    token: await gate.entra.mint(PEOPLE.admin.username),
    serve: (slot, more) => home.serve({ env: { ...env, FRAME_SLOT: slot, ...more } }),
    servePlanted: (slot, node = '') =>
      world.serve(slot, {
        NODE_OPTIONS: `--import=${PLANTED_FAULTS} ${node}`,
        PLANTED_FAULT: join(home.folder, 'fault'),
      }),
    async plant(serving, deed, amount = 0) {
      await home.writeFile('fault', `${deed} ${amount}`);
      const planted = serving.until(new RegExp(`planted ${deed}`), serving.output().length);
      process.kill(serving.pid, 'SIGUSR2');
      await planted;
    },
    at: ({ port }) => ({ port, host: AXE.host, token: world.token }),
    async makeMarks(serving) {
      const table = { name: 'marks', columns: [{ name: 'mark', type: 'text' }] };
      await change(world.at(serving), [{ create_table: table }], PLACE);
    },
    insert: (serving, mark, more) =>
      call(world.at(serving), 'insert_rows', { ...PLACE, table: 'marks', rows: [{ mark }], ...more }),
    async countOf(mark, serving) {
      const rows = await selectAll(world.at(serving), { ...PLACE, table: 'marks', columns: ['mark'], where: { mark } });
      return rows.length;
    },
    async holdMarks() {
      const owner = await postgres.server.connectAsOwner(DATABASE);
      await owner.script('begin; lock table axe_prod.marks in exclusive mode');
      const waiting = async () => (await owner.query(WAITING_FOR_MARKS)).count;
      return {
        untilWaitedFor: (writers = 1) => eventually(waiting).toBeGreaterThanOrEqual(writers),
        letGo: () => owner.close(),
      };
    },
    asOwner,
    verify: async () => (await home.run(['audit', 'verify'], { env })).exit,
    async remove() {
      await home.remove();
      await Promise.all([postgres.remove(), gate.close()]);
    },
  };
  return world;
}

/** The locks are those of the whole cluster, and ids of tables are those of one database. */
const WAITING_FOR_MARKS = `select from pg_locks
  where not granted and relation = 'axe_prod.marks'::regclass
    and database = (select oid from pg_database where datname = current_database())`;
const PLANTED_FAULTS = join(import.meta.dirname, '../support/planted-faults.ts');

/** What operators see of a gateway. */
export async function depthOf({ port }: Serving): Promise<Row> {
  return z.looseObject({ depth: z.looseObject({}) }).parse(objectOf(await ask(port, '/frame/health'))).depth;
}

/** The status of /frame/ready; 0 when nobody answers. */
export function ready({ port }: Serving): Promise<number> {
  return ask(port, '/frame/ready').then(
    ({ status }) => status,
    () => 0,
  );
}

export const untilReady = (serving: Serving) => eventually(() => ready(serving)).toBe(200);

/** Asks again and again: what is awaited has no event that a test could see. */
export function eventually<T>(look: () => T | Promise<T>, withinMs = 20_000) {
  return expect.poll(look, { timeout: withinMs, interval: 10 });
}

/** Inserts from several callers at once, until it is told to stop. A row is known by its mark and its key. */
export function keepWriting(world: FaultsWorld, serving: Serving, workers = 4): Writing {
  const answers: Writing['answers'] = new Map();
  let stopped = false;
  let acknowledged = 0;
  const running = Array.from({ length: workers }, async () => {
    while (!stopped) {
      const [mark, key] = [randomUUID(), freshKey()];
      answers.set(mark, { key, answer: undefined });
      const answer = await world.insert(serving, mark, { idempotency_key: key }).catch(() => undefined);
      answers.set(mark, { key, answer });
      if (answer && answer.code === undefined) acknowledged += 1;
      // As clients do, so that an outage of seconds is not thousands of calls to repeat.
      else await pause(50);
    }
  });
  return {
    answers,
    untilAcknowledged: count => eventually(() => acknowledged).toBeGreaterThan(count),
    acknowledged: () => acknowledged,
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}

export interface Writing {
  answers: Map<string, { key: string; answer: Answer | undefined }>;
  untilAcknowledged(count: number): Promise<void>;
  acknowledged(): number;
  stop(): Promise<void>;
}

/** Acknowledged rows are there once; the others can be repeated with their key until they are, and then are as well. */
export async function expectExactlyOnce(
  world: FaultsWorld,
  { answers }: Pick<Writing, 'answers'>,
  serving: Serving,
): Promise<void> {
  const marks = async () => {
    const rows = await selectAll(world.at(serving), { ...PLACE, table: 'marks', columns: ['mark'] });
    return Map.groupBy(rows, ({ mark }) => String(mark));
  };
  const before = await marks();
  for (const [mark, { key, answer }] of answers) {
    const there = before.get(mark)?.length ?? 0;
    if (answer && answer.code === undefined) expect(there).toBe(1);
    else expect(there).toBeLessThanOrEqual(1);
    if (answer && answer.code === undefined) continue;
    await eventually(async () => (await world.insert(serving, mark, { idempotency_key: key })).code).toBeUndefined();
  }
  const after = await marks();
  for (const mark of answers.keys()) expect(after.get(mark)).toHaveLength(1);
}

export async function expectCleanLogs({ home, env, postgres, token }: FaultsWorld): Promise<void> {
  const key = await readFile(String(env.FRAME_MASTER_KEY_FILE), 'utf8');
  const { password } = new URL(postgres.url.reveal());
  expect([key.trim(), password, token].filter(secret => home.printed().includes(secret))).toEqual([]);
  expect(home.printed()).not.toMatch(/uncaught|unhandled/);
}
