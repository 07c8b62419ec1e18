import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { linkHash } from '../../src/audit/record.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import type { ChainVerdict } from '../../src/audit/walk.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { freshName } from '../support/postgres.ts';
import { type AuditDatabase, entryOf, openAuditDatabase, readChain } from './audit-database.ts';

let database: AuditDatabase;
let root: OwnerConnection;

beforeAll(async () => {
  database = await openAuditDatabase();
  root = await database.connectAsRoot();
});
afterAll(() => database.close());

/** A customer with `records` records in the chain `customer/a`. */
async function seed(records = 5): Promise<string> {
  const customer = freshName('c');
  const log = database.openLog();
  await Promise.all(
    Array.from({ length: records }, (_, i) => log.append(entryOf(customer, { entity: 'a', requestId: String(i + 1) }))),
  );
  return customer;
}

/** What a superuser can do who knows of the tripwire. */
async function tamper(script: string): Promise<void> {
  await root.script(`
    alter table audit.log disable trigger all; alter table audit.head disable trigger all;
    ${script};
    alter table audit.log enable always trigger append_only; alter table audit.head enable always trigger append_only`);
}

const verify = (customer: string): Promise<ChainVerdict[]> => Array.fromAsync(verifyAudit(database.read, { customer }));

describe('one change in a chain of five', () => {
  const at = (where: string, seq: number) => `${where} where chain = 'CHAIN' and seq = ${seq}`;
  const log = 'update audit.log set';

  test.each([
    ['nothing', 'select', 'whole', undefined],
    ['a text is edited', at(`${log} record = replace(record, 'select_rows', 'delete_rows')`, 3), 'altered', 3],
    ['a text is edited so that it is no JSON', at(`${log} record = '\u00e4'`, 3), 'altered', 3],
    ['a hash is edited', at(`${log} hash = sha256('')`, 2), 'altered', 2],
    ['a hash is shortened', at(`${log} hash = ''`, 5), 'altered', 5],
    ['one is deleted', at('delete from audit.log', 3), 'gap', 3],
    ['the first is deleted', at('delete from audit.log', 1), 'gap', 1],
    ['the last is deleted', at('delete from audit.log', 5), 'gap', 5],
    ['all are deleted', "delete from audit.log where chain = 'CHAIN'", 'gap', 1],
    [
      'one is deleted and the rest moved up',
      `${at('delete from audit.log', 3)}; ${at(`${log} seq = 3`, 4)}; ${at(`${log} seq = 4`, 5)};
       ${at('update audit.head set seq = 4', 5)}`,
      'altered',
      3,
    ],
    [
      'two change places',
      `${at(`${log} seq = -1`, 2)}; ${at(`${log} seq = 2`, 4)}; ${at(`${log} seq = 4`, -1)}`,
      'altered',
      2,
    ],
    [
      'one is added before the first',
      `insert into audit.log select chain, -7, position, gen_random_uuid(), at, customer, entity, request_id, actor, tool,
         phase, outcome, record, hash from audit.log where chain = 'CHAIN' and seq = 1`,
      'altered',
      -7,
    ],
    ['the head goes back', at('update audit.head set seq = 3', 5), 'altered', 4],
    ['the head has another hash', at("update audit.head set hash = sha256('')", 5), 'altered', 5],
    ['the head is deleted', at('delete from audit.head', 5), 'altered', 1],
    ['the chain gets another name in half', at("update audit.head set chain = chain || 'x'", 5), 'altered', 1],
    ...[
      "id = '00000000-0000-4000-8000-000000000000'",
      'at = at + 1',
      "customer = 'other'",
      'entity = null',
      "request_id = ''",
      "actor = 'nobody'",
      "tool = 'other'",
      "phase = 'outcome'",
      'outcome = null',
    ].map((change): [string, string, string, number] => [
      `the column ${change}`,
      at(`${log} ${change}`, 4),
      'altered',
      4,
    ]),
  ])('%s', async (_, script, verdict, seq) => {
    const customer = await seed();
    await tamper(script.replaceAll('CHAIN', `${customer}/a`));
    expect((await verify(customer))[0]).toMatchObject({
      chain: `${customer}/a`,
      verdict,
      ...(seq !== undefined && { at: seq }),
    });
  });
});

describe('changes across chains', () => {
  test('records that change places between two chains are found in both', async () => {
    const [one, two] = [await seed(), await seed()];
    await tamper(`
      update audit.log set chain = 'aside' where chain = '${one}/a' and seq = 2;
      update audit.log set chain = '${one}/a' where chain = '${two}/a' and seq = 2;
      update audit.log set chain = '${two}/a' where chain = 'aside'`);
    for (const customer of [one, two]) expect(await verify(customer)).toMatchObject([{ verdict: 'altered', at: 2 }]);
  });

  test('a chain that is renamed as a whole is found', async () => {
    const customer = await seed();
    await tamper(`
      update audit.log set chain = '${customer}/b' where chain = '${customer}/a';
      update audit.head set chain = '${customer}/b' where chain = '${customer}/a'`);
    expect(await verify(customer)).toEqual([{ chain: `${customer}/b`, records: 0, verdict: 'altered', at: 1 }]);
  });

  test('a text that is hashed correctly but is no record is found', async () => {
    const customer = freshName('c');
    const hash = linkHash(`${customer}/a`, 1, '', '[]');
    await tamper(`
      insert into audit.head values ('${customer}/a', 1, '\\x${hash}');
      insert into audit.log (chain, seq, id, at, customer, request_id, actor, tool, phase, record, hash)
        values ('${customer}/a', 1, gen_random_uuid(), 0, '${customer}', '', '', '', 'call', '[]', '\\x${hash}')`);
    expect(await verify(customer)).toMatchObject([{ verdict: 'altered', at: 1 }]);
  });
});

describe('long chains', () => {
  test('are read in pages, and appends meanwhile are no faults', async () => {
    const customer = await seed(1200);
    const log = database.openLog();
    const progress: number[] = [];
    const meanwhile: Promise<void>[] = [];
    const onProgress = (records: number) => {
      progress.push(records);
      meanwhile.push(log.append(entryOf(customer, { entity: 'a' })));
    };
    const [verdict] = await Array.fromAsync(verifyAudit(database.read, { customer, onProgress }));
    expect(verdict).toMatchObject({ verdict: 'whole' });
    expect(progress.length).toBeGreaterThan(2);
    expect(progress.at(-1)).toBe(verdict?.records);
    await Promise.all(meanwhile);
  });

  test('are found altered at the edge of a page', async () => {
    const customer = await seed(260);
    await tamper(`update audit.log set record = record || ' ' where chain = '${customer}/a' and seq = 251`);
    expect(await verify(customer)).toMatchObject([{ verdict: 'altered', at: 251 }]);
    await tamper(`delete from audit.log where chain = '${customer}/a' and seq = 250`);
    expect(await verify(customer)).toMatchObject([{ verdict: 'gap', at: 250 }]);
  });
});

test('one entity of one customer, and the whole log', async () => {
  const customer = await seed(2);
  const log = database.openLog();
  await log.append(entryOf(customer));
  const all = (options = {}) => Array.fromAsync(verifyAudit(database.read, options));
  const chains = (verdicts: ChainVerdict[]) => verdicts.map(({ chain }) => chain);
  expect(chains(await all({ customer }))).toEqual([`${customer}/-`, `${customer}/a`]);
  expect(chains(await all({ customer, entity: 'a' }))).toEqual([`${customer}/a`]);
  expect(chains(await all({ customer: 'nobody' }))).toEqual([]);
  expect(chains(await all())).toContain(`${customer}/-`);
  expect(await readChain(root, `${customer}/a`)).toHaveLength(2);
});
