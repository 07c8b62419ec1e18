import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Caller } from '../../src/access/caller.ts';
import type { AuditEntry, AuditPage, AuditSearch } from '../../src/audit/audit.ts';
import type { Entity, Environment } from '../../src/customers/customer.ts';
import type { Observation } from '../../src/observe.ts';
import { Secret } from '../../src/secret.ts';
import { createDoor } from '../../src/tools/call-tool.ts';
import type { Door, Outcome } from '../../src/tools/door.ts';
import { type Answer, type Call, defineTool, type Means, type Tool } from '../../src/tools/tool.ts';
import { createKeyring } from '../../src/vault/keyring.ts';
import { customerOf } from '../support/tenants.ts';

/** What stands behind the door, as far as a test of the door itself needs it: no database at all. */
export interface FakeMeans extends Means {
  /** What was recorded, in order. */
  entries: AuditEntry[];
  searches: AuditSearch[];
  page: AuditPage;
  clock: { now: number };
  /** Appending fails from the n-th record on. */
  failFrom: number;
}

const missing = (): never => {
  throw new Error('this test has no database');
};

export function fakeMeans(): FakeMeans {
  const means: FakeMeans = {
    entries: [],
    searches: [],
    page: { entries: [], next: undefined },
    clock: { now: 1_800_000_000_000 },
    failFrom: Number.POSITIVE_INFINITY,
    now: () => means.clock.now,
    pools: {
      query: missing,
      transaction: missing,
      readUntrusted: missing,
      listen: missing,
      depth: missing,
      close: async () => {},
    },
    catalog: { tables: missing, table: missing, changed: missing, forget: missing, forgetAll: missing, renew: missing },
    sql: { read: missing, depth: missing, close: missing },
    dataKeys: { of: missing, renew: missing, reportBroken: missing, forget: missing, forgetAll: missing },
    keyring: createKeyring(new Secret(randomBytes(32))),
    audit: {
      async append(entry) {
        if (means.entries.length >= means.failFrom) throw new Error('the disk is full');
        means.entries.push(entry);
      },
      async search(search) {
        means.searches.push(search);
        return means.page;
      },
      openIntents: missing,
      sweep: missing,
      close: async () => {},
    },
    limits: {
      defaultRows: 50,
      maxRows: 500,
      maxInsertRows: 500,
      maxResultBytes: 400_000,
      planMinutes: 10,
      cursorMinutes: 60,
      softDropDays: 7,
    },
    tools: [{ name: 'read_it' }, { name: 'write_it' }, { name: 'nowhere' }],
    leastRoleFor: tool => (tool === 'write_it' ? 'editor' : 'view'),
  };
  return means;
}

export const EVERYTHING = new Set(['*']);

export function entity(id: string, ...environments: Environment[]): Entity {
  return { id, name: `Name of ${id}`, environments };
}

export function callerOf(entities: readonly Entity[], tools: ReadonlySet<string> = EVERYTHING): Caller {
  return {
    customer: { ...customerOf('axe', {}), name: 'AXE LLC', entities },
    person: { tenantId: 'tenant', objectId: 'object', name: 'Ai Tanaka', username: 'ai@axe.example' },
    role: 'admin',
    tools,
    rights: new Set(['pii:read']),
    entities,
    scopes: ['access_as_user'],
    rule: 'ai@axe.example',
  };
}

/** Two tools that do what the test says, and one without a place. */
export interface Bench {
  door: Door;
  means: FakeMeans;
  observations: Observation[];
  calls: Call[];
  /** What the tools do. */
  run: (call: Call) => Promise<Answer>;
  call(tool: string, args?: unknown, caller?: Caller): Promise<Outcome>;
}

const Input = z.strictObject({ table: z.string(), rows: z.array(z.record(z.string(), z.unknown())).optional() });

export function openBench(caller = callerOf([entity('axe', 'prod')])): Bench {
  const means = fakeMeans();
  const observations: Observation[] = [];
  const calls: Call[] = [];
  const toolOf = (name: string, kind: Tool['kind'], atPlace = true) =>
    defineTool({
      name,
      title: name,
      description: `It is ${name}.`,
      kind,
      idempotent: true,
      atPlace,
      input: Input,
      output: z.looseObject({}),
      summarize: ({ table, rows }) => ({ table, columns: rows?.flatMap(row => Object.keys(row)) }),
      run(call) {
        calls.push(call);
        return bench.run(call);
      },
    });
  const door = createDoor({
    catalogue: [toolOf('read_it', 'read'), toolOf('write_it', 'write'), toolOf('nowhere', 'read', false)],
    means,
    findPlace: (customer, id, environment) =>
      id === 'unborn'
        ? undefined
        : { customer, entity: id, environment, database: 'd', schema: `${id}_${environment}`, roleId: 'r' },
    takeRate: async () => {},
    callSeconds: 60,
    observe: observation => observations.push(observation),
  });
  const bench: Bench = {
    door,
    means,
    observations,
    calls,
    run: async () => ({ result: { done: true }, rows: 3 }),
    call: (tool, args = { table: 't' }, who = caller) =>
      door.call(who, tool, args, { requestId: 'r-1', client: 'probe/1', signal: new AbortController().signal }),
  };
  return bench;
}
