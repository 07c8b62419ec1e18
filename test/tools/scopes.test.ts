import { beforeEach, describe, expect, test } from 'vitest';
import type { Caller } from '../../src/access/caller.ts';
import { withinScopes } from '../../src/access/rights.ts';
import type { AuditEntry } from '../../src/audit/audit.ts';
import { DEFAULT_GATEWAY_CONFIG } from '../../src/config/gateway-config.ts';
import { rightsOf } from '../../src/config/roles.ts';
import { observeNothing } from '../../src/observe.ts';
import { createDoor } from '../../src/tools/call-tool.ts';
import { CATALOGUE } from '../../src/tools/catalogue.ts';
import type { Door } from '../../src/tools/door.ts';
import type { Means } from '../../src/tools/tool.ts';
import { sampleCustomer } from '../access/fixtures.ts';

// What a person agreed to, behind the door: no tool that writes is there for somebody who chose "read only".

const READERS = ['get_context', 'describe_tables', 'select_rows', 'run_sql', 'reveal', 'plan_change', 'search_audit'];

let recorded: AuditEntry[];
let door: Door;

beforeEach(() => {
  recorded = [];
  const notNeeded = (): never => {
    throw new Error('not needed here');
  };
  const means: Means = {
    pools: {
      query: notNeeded,
      transaction: notNeeded,
      readUntrusted: notNeeded,
      listen: notNeeded,
      depth: notNeeded,
      close: notNeeded,
    },
    sql: { read: notNeeded, depth: notNeeded, close: notNeeded },
    catalog: {
      table: notNeeded,
      tables: notNeeded,
      changed: notNeeded,
      forget: notNeeded,
      forgetAll: notNeeded,
      renew: notNeeded,
    },
    audit: {
      append: async entry => void recorded.push(entry),
      search: notNeeded,
      openIntents: notNeeded,
      sweep: notNeeded,
      close: notNeeded,
    },
    dataKeys: { of: notNeeded, renew: notNeeded, reportBroken: notNeeded, forget: notNeeded, forgetAll: notNeeded },
    keyring: { rolePassword: notNeeded, digest: notNeeded, seal: notNeeded, open: notNeeded },
    limits: DEFAULT_GATEWAY_CONFIG.results,
    tools: CATALOGUE,
    leastRoleFor: () => 'admin',
    now: () => 0,
  };
  door = createDoor({
    catalogue: CATALOGUE,
    means,
    findPlace: notNeeded,
    takeRate: async () => {},
    callSeconds: 5,
    observe: observeNothing,
  });
});

function callerWith(scopes: readonly string[], granted: ReadonlySet<string> = new Set(['*'])): Caller {
  const customer = sampleCustomer({ signIn: 'broker' });
  return {
    customer,
    person: { tenantId: 't', objectId: 'o', name: 'Ada', username: 'ada@axe.example' },
    role: 'dev',
    ...withinScopes(granted, scopes, CATALOGUE),
    rights: rightsOf(new Set(['pii:read'])),
    entities: customer.entities,
    scopes,
    client: 'Claude',
    rule: '*',
  };
}

const call = (caller: Caller, tool: string, args = {}) =>
  door.call(caller, tool, args, { requestId: 'r', client: 'curl/8', signal: AbortSignal.timeout(5_000) });

describe('read only', () => {
  test('lists the tools that only read', () => {
    expect(door.list(callerWith(['frame:read'])).map(({ name }) => name)).toEqual(READERS);
    expect(door.list(callerWith(['frame:read', 'frame:write']))).toHaveLength(CATALOGUE.length);
    expect(door.list(callerWith(['frame:write']))).toHaveLength(CATALOGUE.length);
  });

  test('answers a call of another one like that of a tool that does not exist', async () => {
    const caller = callerWith(['frame:read']);
    const [withheld, missing] = [await call(caller, 'delete_rows'), await call(caller, 'delete_everything')];
    expect([withheld, missing]).toMatchObject([
      { ok: false, error: { code: 'args/unknown-tool' } },
      { ok: false, error: { code: 'args/unknown-tool' } },
    ]);
    expect(recorded).toMatchObject([{ outcome: 'refused' }, { outcome: 'refused' }]);
  });

  test('get_context says what signing in again would give, and what only a role would', async () => {
    const caller = callerWith(['frame:read'], new Set(['get_context', 'select_rows', 'insert_rows']));
    expect(await call(caller, 'get_context')).toMatchObject({
      ok: true,
      result: {
        may_call: ['get_context', 'select_rows'],
        may_not_call: [
          { tool: 'describe_tables', needs_role: 'admin' },
          { tool: 'run_sql', needs_role: 'admin' },
          { tool: 'reveal', needs_role: 'admin' },
          { tool: 'insert_rows', needs_scope: 'frame:write' },
          { tool: 'update_rows', needs_role: 'admin' },
          { tool: 'delete_rows', needs_role: 'admin' },
          { tool: 'plan_change', needs_role: 'admin' },
          { tool: 'apply_change', needs_role: 'admin' },
          { tool: 'search_audit', needs_role: 'admin' },
        ],
        who_can_change: expect.stringContaining('signing in again'),
      },
    });
  });

  test('get_context of somebody who may write says nothing of signing in again', async () => {
    const outcome = await call(callerWith(['frame:write'], new Set(['get_context'])), 'get_context');
    expect(JSON.stringify(outcome)).not.toContain('signing in again');
    expect(JSON.stringify(outcome)).not.toContain('needs_scope');
  });
});

test('the record names the program that was signed in with, not what the request says of itself', async () => {
  await call(callerWith(['frame:read']), 'get_context');
  await call({ ...callerWith(['frame:read']), client: undefined }, 'get_context');
  expect(recorded.map(({ client }) => client)).toEqual(['Claude', 'curl/8']);
});
