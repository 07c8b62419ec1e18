import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toRow } from '../../src/audit/record.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { AUDIT_LOGIN } from '../../src/database/place.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { type AuditDatabase, entryOf, holdHead, openAuditDatabase, readChain, requestIdsOf } from './audit-database.ts';

let database: AuditDatabase;
let root: OwnerConnection;

beforeAll(async () => {
  database = await openAuditDatabase();
  root = await database.connectAsRoot();
});
afterAll(() => database.close());

const count = (length: number) => Array.from({ length }, (_, i) => i + 1);

describe('the chain', () => {
  test('is what its description says, computed by a second hand', async () => {
    const log = database.openLog();
    for (const i of count(3)) await log.append(entryOf('axe', { entity: 'studio', requestId: `${i} – ünï😀` }));

    let previous = '';
    for (const { seq, hash, record } of await readChain(root, 'axe/studio')) {
      const parts = ['frame-audit/1', 'axe/studio'].map(text => Buffer.from(text).toString('hex'));
      parts.push(seq.toString(16).padStart(16, '0'), previous, Buffer.from(record).toString('hex'));
      const message = parts.map(hex => (hex.length / 2).toString(16).padStart(8, '0') + hex).join('');
      previous = createHash('sha256').update(message, 'hex').digest('hex');
      expect(hash).toBe(previous);
    }
    const { rows } = await root.query("select seq, encode(hash, 'hex') from audit.head where chain = 'axe/studio'");
    expect(rows).toEqual([['3', previous]]);
  });

  test('is one per customer and entity, and one for calls without an entity', async () => {
    const log = database.openLog();
    const places = [{ entity: 'a' }, { entity: 'b' }, {}, { entity: 'a' }, {}];
    await Promise.all(places.map(place => log.append(entryOf('many', place))));
    const { rows } = await root.query("select chain, seq from audit.log where customer = 'many' order by chain, seq");
    expect(rows).toEqual([
      ['many/-', '1'],
      ['many/-', '2'],
      ['many/a', '1'],
      ['many/a', '2'],
      ['many/b', '1'],
    ]);
  });

  test('keeps the order of 64 appends at once, all committed when they are done', async () => {
    const log = database.openLog();
    await Promise.all(count(64).map(i => log.append(entryOf('order', { requestId: String(i) }))));
    expect(requestIdsOf(await readChain(root, 'order/-'))).toEqual(count(64).map(String));
  });

  test('has no gap when two slots write to it at once', async () => {
    const blue = database.openLog({ pools: database.openPools(), limits: { flushRecords: 7, queue: 5000 } });
    const green = database.openLog({ pools: database.openPools(), limits: { flushRecords: 11, queue: 5000 } });
    // New chains, and in the opposite order: nobody waits for the other for ever.
    const append = async (log: typeof blue, slot: string, entities: string[]) => {
      await Promise.all(
        count(150).map(i =>
          log.append(entryOf('slots', { entity: entities[i % entities.length], requestId: `${slot} ${i}` })),
        ),
      );
    };
    await Promise.all([append(blue, 'blue', ['a', 'b', 'c']), append(green, 'green', ['c', 'b', 'a'])]);

    const verdicts = await Array.fromAsync(verifyAudit(database.read, { customer: 'slots' }));
    expect(verdicts).toEqual(['a', 'b', 'c'].map(id => ({ chain: `slots/${id}`, records: 100, verdict: 'whole' })));
    const ids = requestIdsOf(await readChain(root, 'slots/a'));
    for (const slot of ['blue', 'green']) {
      const numbers = ids.filter(id => id.startsWith(slot)).map(id => Number(id.split(' ')[1]));
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    }
  });
});

describe('two slots at the same moment', () => {
  const send = (entities: string[]) => {
    const rows = entities.map(entity => toRow(entryOf('race', { entity }), randomUUID()));
    return database.pools.query(AUDIT_LOGIN, 'select audit.append($1::text::json)', [JSON.stringify(rows)]);
  };
  beforeAll(() => send(['a', 'b', 'c']));

  test('on one chain stand in line', async () => {
    const head = await holdHead(database, 'race/a');
    const sent = [send(['a']), send(['a'])];
    await head.waiters(2);
    await head.release();
    await Promise.all(sent);
    expect((await readChain(root, 'race/a')).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  test('on several chains never wait for each other', async () => {
    const head = await holdHead(database, 'race/c');
    const sent = [send(['a', 'c', 'b']), send(['b', 'c', 'a'])];
    await head.waiters(2);
    await head.release();
    await Promise.all(sent);
  });
});

describe('hostile texts', () => {
  test.each([
    ['NUL', 'a\0b', 'a\ufffdb'],
    ['a lone surrogate', 'a\udc00b', 'a\ufffdb'],
    ['an emoji', '👩‍👩‍👧', '👩‍👩‍👧'],
    ['quotes and backslashes', `"'\\{}, null\\u0000`, `"'\\{}, null\\u0000`],
    ['control characters', '\u0001\u001f\u007f\u2028', '\u0001\u001f\u007f\u2028'],
  ])('%s', async (name, text, stored) => {
    const customer = `hostile ${name}`;
    const log = database.openLog();
    await log.append(
      entryOf(customer, { requestId: text, tool: text, client: text, arguments: { [text]: text, nested: [text] } }),
    );
    const { entries } = await log.search({ customer, entities: 'all', tool: text, limit: 10 });
    expect(entries).toMatchObject([
      { requestId: stored, tool: stored, client: stored, arguments: { [stored]: stored, nested: [stored] } },
    ]);
    expect(await Array.fromAsync(verifyAudit(database.read, { customer }))).toMatchObject([{ verdict: 'whole' }]);
  });

  test('an argument of 10 MB is cut, one that looks like a prototype is only text', async () => {
    const log = database.openLog();
    await log.append(entryOf('big', { arguments: { note: 'x'.repeat(10_000_000) } }));
    await log.append(entryOf('big', { arguments: JSON.parse('{"__proto__":{"polluted":true}}') }));
    const [big, odd] = await readChain(root, 'big/-');
    expect(JSON.parse(big?.record ?? '').arguments).toMatchObject({ cut: true, bytes: 10_000_011 });
    expect(odd?.record).toContain('{"__proto__":{"polluted":true}}');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});

describe('the gateway may append and read, nothing else', () => {
  beforeAll(() => database.openLog().append(entryOf('rights')));

  test.each([
    "insert into audit.head values ('rights/x', 1, '')",
    'insert into audit.log (chain, seq, id, at, customer, request_id, actor, tool, phase, record, hash) select chain, 99, gen_random_uuid(), at, customer, request_id, actor, tool, phase, record, hash from audit.log',
    "insert into audit.open_intent values ('rights/-', 'r', 1)",
    "update audit.log set record = '{}'",
    'update audit.head set seq = 0',
    'update audit.open_intent set seq = 0',
    'delete from audit.log',
    'delete from audit.head',
    'delete from audit.open_intent',
    'truncate audit.log',
    'truncate audit.head',
    'select * from audit.head for update',
    'lock table audit.head in exclusive mode',
    'alter table audit.log disable trigger all',
    'alter table audit.log alter column record drop not null',
    'create rule quiet as on insert to audit.log do instead nothing',
    'create trigger quiet before insert on audit.log for each row execute function audit.refuse()',
    'drop table audit.log',
    'drop schema audit cascade',
    'create table audit.other ()',
    'drop function audit.append(json)',
    'alter function audit.append(json) reset all',
    "select audit.framed('x')",
    "select nextval('audit.log_position_seq')",
    "select setval('audit.log_position_seq', 1)",
    'set role frame_audit_owner',
    'set session_replication_role = replica',
    'alter role frame_audit_owner login',
    'create temp table head (chain text)',
    "copy audit.log to program 'true'",
  ])('%s', async statement => {
    const before = await readChain(root, 'rights/-');
    const attempt = database.pools.transaction(AUDIT_LOGIN, session => session.query(statement));
    await expect(attempt).rejects.toMatchObject({ code: '42501' });
    expect(await readChain(root, 'rights/-')).toEqual(before);
  });

  test.each([
    "update audit.log set record = '{}'",
    'delete from audit.log',
    'truncate audit.log',
    'delete from audit.head',
  ])('even the superuser trips over: %s', async statement => {
    await expect(root.query(statement)).rejects.toThrow('append only');
    await root.query('set session_replication_role = replica');
    await expect(root.query(statement)).rejects.toThrow('append only');
    await root.query('reset session_replication_role');
  });

  test('the owner of the log cannot log in and is nobody’s role', async () => {
    const { rows } = await root.query(
      `select rolcanlogin, rolsuper, (select count(*) from pg_auth_members where roleid = r.oid or member = r.oid)
       from pg_roles r where rolname = 'frame_audit_owner'`,
    );
    expect(rows).toEqual([[false, false, '0']]);
  });
});
