import { describe, expect, test } from 'vitest';
import type { Caller } from '../../src/access/caller.ts';
import { searchAudit } from '../../src/tools/audit/search-audit.ts';
import { callerOf, entity, type FakeMeans, fakeMeans } from './fixture.ts';

const both = [entity('axe', 'prod'), entity('studio', 'prod')];
const admin = callerOf(both);
const limited: Caller = { ...admin, entities: both.slice(0, 1) };

async function search(means: FakeMeans, args: object = {}, caller = admin) {
  const nowhere = { customer: '', entity: '', environment: 'prod', database: '', schema: '', roleId: '' } as const;
  const call = { caller, place: nowhere, requestId: 'r', signal: new AbortController().signal, means };
  return (await searchAudit.run(call, searchAudit.input.parse(args))).result;
}

describe('the reach of a search', () => {
  test('is the company of the caller, and all of it for who has all entities', async () => {
    const means = fakeMeans();
    await search(means);
    expect(means.searches).toMatchObject([{ customer: 'axe', entities: 'all', limit: 50 }]);
  });

  test('is one’s own entities for who has some', async () => {
    const means = fakeMeans();
    await search(means, {}, limited);
    expect(means.searches).toMatchObject([{ customer: 'axe', entities: ['axe'] }]);
  });

  test('cannot be widened by an argument', () => {
    for (const args of [{ customer: 'nordwind' }, { entities: 'all' }, { entity: 'studio' }, { limit: 5000 }]) {
      expect(searchAudit.input.safeParse(args).success).toBe(false);
    }
  });

  test('is narrowed by time, actor, tool and outcome', async () => {
    const means = fakeMeans();
    const filter = { actor: 'Ai', tool: 'select_rows', outcome: 'ok' };
    await search(means, { ...filter, since: '2026-01-01T01:00:00+01:00' });
    expect(means.searches[0]).toMatchObject({ ...filter, since: Date.UTC(2026, 0, 1) });
    for (const since of ['yesterday', '2026-02-30', 7])
      expect(searchAudit.input.safeParse({ since }).success).toBe(false);
    expect(searchAudit.input.safeParse({ outcome: 'fine' }).success).toBe(false);
  });
});

describe('its pages', () => {
  async function firstPage(means: FakeMeans, args: object = {}) {
    means.page = { entries: [], next: '5.7' };
    const { next_cursor: cursor, truncated } = await search(means, args);
    expect([truncated, typeof cursor]).toEqual([true, 'string']);
    return cursor;
  }

  test('the cursor goes on where the page ended', async () => {
    const means = fakeMeans();
    const cursor = await firstPage(means, { tool: 'x' });
    means.page = { entries: [], next: undefined };
    expect(await search(means, { tool: 'x', cursor })).toEqual({ entries: [], truncated: false });
    expect(means.searches[1]).toMatchObject({ before: '5.7', tool: 'x' });
  });

  test.each<[string, object, Caller]>([
    ['another question', { tool: 'y' }, admin],
    ['no question', {}, admin],
    ['another person', { tool: 'x' }, { ...admin, person: { ...admin.person, objectId: 'other' } }],
    ['another tenant', { tool: 'x' }, { ...admin, person: { ...admin.person, tenantId: 'other' } }],
    ['another company', { tool: 'x' }, { ...admin, customer: { ...admin.customer, id: 'nordwind' } }],
  ])('it is no good for %s', async (_, args, caller) => {
    const means = fakeMeans();
    const cursor = await firstPage(means, { tool: 'x' });
    await expect(search(means, { ...args, cursor }, caller)).rejects.toMatchObject({ code: 'args/invalid' });
    expect(means.searches).toHaveLength(1);
  });

  test('it expires, and one that was made up is none', async () => {
    const means = fakeMeans();
    const cursor = await firstPage(means);
    means.clock.now += 60 * 60_000;
    for (const text of [cursor, 'AAAA', '', '5.7']) {
      await expect(search(means, { cursor: text })).rejects.toMatchObject({ code: 'args/invalid' });
    }
  });
});

test('the record of a search has its question, not its cursor', () => {
  expect(searchAudit.summarize(searchAudit.input.parse({ tool: 'x', cursor: 'sealed' }), fakeMeans())).toEqual({
    tool: 'x',
    cursor: true,
  });
});
