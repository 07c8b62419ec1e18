import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditEntry, AuditLog, AuditSearch } from '../../src/audit/audit.ts';
import { type AuditDatabase, entryOf, openAuditDatabase } from './audit-database.ts';

let database: AuditDatabase;
let log: AuditLog;

const PEOPLE = [
  { tenantId: 't', objectId: '0a0a', name: 'Anna Berg', username: 'anna@axellc.com' },
  { tenantId: 't', objectId: '0b0b', name: 'Börje Åkerman', username: 'Borje@axellc.com' },
];
const TOOLS = ['select_rows', 'update_rows', 'select'];
const OUTCOMES = ['ok', 'refused', 'error', 'unknown'] as const;

/** 48 records, six at each moment, so that pages end between records of the same moment. */
const entries: AuditEntry[] = Array.from({ length: 48 }, (_, i) =>
  entryOf('axe', {
    at: 1000 + Math.floor(i / 6),
    requestId: String(i),
    entity: [undefined, 'a', 'b'][i % 3],
    actor: PEOPLE[i % 2] ?? { system: 'nobody' },
    tool: TOOLS[(i % 5) % 3] ?? '',
    outcome: OUTCOMES[i % 4],
  }),
);

beforeAll(async () => {
  database = await openAuditDatabase();
  log = database.openLog();
  for (const entry of entries) await log.append(entry);
  await log.append(entryOf('other', { entity: 'a', requestId: 'of another customer' }));
});
afterAll(() => database.close());

const ids = (found: readonly AuditEntry[]) => found.map(({ requestId }) => requestId);
const expected = (matches: (entry: AuditEntry) => boolean) => ids(entries.filter(matches)).reverse();

async function all(search: Partial<AuditSearch>): Promise<string[]> {
  return ids((await log.search({ customer: 'axe', entities: 'all', limit: 100, ...search })).entries);
}

describe('filters', () => {
  const nameOf = ({ actor }: AuditEntry) => ('name' in actor ? actor.name : '');
  test.each<[string, Partial<AuditSearch>, (entry: AuditEntry) => boolean]>([
    ['none', {}, () => true],
    ['one entity', { entities: ['a'] }, ({ entity }) => entity === 'a'],
    ['two entities, but not what belongs to none', { entities: ['a', 'b'] }, ({ entity }) => entity !== undefined],
    ['no entity at all', { entities: [] }, () => false],
    ['the chain without an entity by its name', { entities: ['-'] }, () => false],
    ['since, inclusive', { since: 1005 }, ({ at }) => at >= 1005],
    ['a part of a name, in any case', { actor: 'BÖRJE å' }, entry => nameOf(entry).startsWith('Börje')],
    ['a user name', { actor: 'borje@AXELLC.com' }, entry => nameOf(entry).startsWith('Börje')],
    ['an object id', { actor: '0a0a' }, entry => nameOf(entry).startsWith('Anna')],
    ['patterns are plain text', { actor: '%' }, () => false],
    ['quotes are plain text', { actor: `' or true --` }, () => false],
    ['NUL finds nothing', { actor: '\0' }, () => false],
    ['a tool, whole', { tool: 'select' }, ({ tool }) => tool === 'select'],
    ['an outcome', { outcome: 'refused' }, ({ outcome }) => outcome === 'refused'],
    [
      'all together',
      { entities: ['b'], since: 1002, actor: 'anna', tool: 'select_rows', outcome: 'ok' },
      entry =>
        [entry.entity, entry.outcome, entry.tool].join() === 'b,ok,select_rows' &&
        entry.at >= 1002 &&
        nameOf(entry) === 'Anna Berg',
    ],
  ])('%s', async (_, search, matches) => {
    expect(await all(search)).toEqual(expected(matches));
  });
});

describe('pages', () => {
  async function pages(search: Partial<AuditSearch>, betweenPages = async () => {}): Promise<string[][]> {
    const found: string[][] = [];
    let before: string | undefined;
    do {
      const page = await log.search({ customer: 'axe', entities: 'all', limit: 5, before, ...search });
      found.push(ids(page.entries));
      before = page.next;
      await betweenPages();
    } while (before !== undefined);
    return found;
  }

  test('hold every record once, newest first', async () => {
    const found = await pages({});
    expect(found.flat()).toEqual(expected(() => true));
    expect(found.map(({ length }) => length)).toEqual([5, 5, 5, 5, 5, 5, 5, 5, 5, 3]);
  });

  test('end exactly: a full last page has no next', async () => {
    expect(await pages({ limit: 48 })).toHaveLength(1);
    expect(await pages({ limit: 24 })).toHaveLength(2);
    expect(await pages({ entities: [] })).toEqual([[]]);
  });

  test('are not moved by what is appended meanwhile', async () => {
    const found = await pages({ entities: ['a'], limit: 4 }, () => log.append(entryOf('axe', { requestId: 'late' })));
    expect(found.flat()).toEqual(expected(({ entity }) => entity === 'a'));
  });
});

test('an entry comes back as it was, with its id', async () => {
  const entry = entryOf('back', {
    arguments: { table: 'invoices', where: { total: ['gt'] } },
    rows: 0,
    milliseconds: 1.5,
  });
  await log.append(entry);
  const { entries: found } = await log.search({ customer: 'back', entities: 'all', limit: 1 });
  expect(found).toEqual([{ ...entry, id: expect.stringMatching(/^[0-9a-f-]{36}$/) }]);
});

test('a search that takes too long says how to narrow it', async () => {
  const root = await database.connectAsRoot();
  await root.query("alter role frame_audit set statement_timeout = '50ms'");
  await root.script('begin; lock table audit.log in access exclusive mode');
  const slow = database.openLog({ pools: database.openPools() });
  const search = slow.search({ customer: 'axe', entities: 'all', limit: 1 });
  await expect(search).rejects.toMatchObject({ code: 'limit/time', hint: expect.stringContaining('since') });
  await root.script('rollback');
});
