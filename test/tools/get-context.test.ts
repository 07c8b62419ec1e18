import { expect, test } from 'vitest';
import type { Caller } from '../../src/access/caller.ts';
import { getContext } from '../../src/tools/about/get-context.ts';
import { callerOf, entity, fakeMeans } from './fixture.ts';

async function contextOf(caller: Caller) {
  const nowhere = { customer: '', entity: '', environment: 'prod', database: '', schema: '', roleId: '' } as const;
  const call = { caller, place: nowhere, requestId: 'r', signal: new AbortController().signal, means: fakeMeans() };
  return (await getContext.run(call, {})).result;
}

test('says who one is, where one may work, and within which limits', async () => {
  expect(await contextOf(callerOf([entity('axe', 'prod', 'dev')]))).toMatchObject({
    person: { name: 'Ai Tanaka', username: 'ai@axe.example' },
    customer: 'AXE LLC',
    role: 'admin',
    scopes: ['access_as_user'],
    entities: [{ id: 'axe', name: 'Name of axe', environments: ['prod', 'dev'] }],
    may_call: ['read_it', 'write_it', 'nowhere'],
    may_not_call: [],
    limits: { rows_by_default: 50, max_rows: 500, plan_minutes: 10 },
  });
});

test('says what one may not do, which role could, and who can change that', async () => {
  const context = await contextOf(callerOf([entity('axe', 'prod')], new Set(['read_it'])));
  expect(context).toMatchObject({
    may_call: ['read_it'],
    may_not_call: [
      { tool: 'write_it', needs_role: 'editor' },
      { tool: 'nowhere', needs_role: 'view' },
    ],
    who_can_change: expect.stringContaining('customers.yaml'),
  });
});

test('names no entity of the company but one’s own', async () => {
  const caller = callerOf([entity('axe', 'prod')]);
  const wide = {
    ...caller,
    customer: { ...caller.customer, entities: [entity('axe', 'prod'), entity('secret', 'prod')] },
  };
  expect(JSON.stringify(await contextOf(wide))).not.toContain('secret');
});
