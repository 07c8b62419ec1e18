import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Caller } from '../../../src/access/caller.ts';
import { loginOf } from '../../../src/database/place.ts';
import type { Observation } from '../../../src/observe.ts';
import { deleteRows } from '../../../src/tools/data/delete-rows.ts';
import { describeTables } from '../../../src/tools/data/describe-tables.ts';
import { insertRows } from '../../../src/tools/data/insert-rows.ts';
import { reveal } from '../../../src/tools/data/reveal.ts';
import { selectRows } from '../../../src/tools/data/select-rows.ts';
import { updateRows } from '../../../src/tools/data/update-rows.ts';
import type { Tool } from '../../../src/tools/tool.ts';
import { createDataKeys } from '../../../src/vault/data-keys.ts';
import { openSchemaPlace, type SchemaPlace } from '../../tables/schema/schema-place.ts';

let at: SchemaPlace;

/** Reads in plain. */
const PLAIN: Partial<Caller> = { rights: new Set(['pii:read'] as const) };

const ADA = {
  name: 'Ada Lovelace',
  mail: 'ada.lovelace@planted.example',
  phone: '+82 10 9876 5432',
  born: '1815-12-10',
  salary: '12345.6700',
  notes: { allergies: ['planted-nuts'], n: 12345678901234567890n.toString() },
};
const BOB = { name: 'Bob', mail: 'bob@planted.example', phone: null, born: null, salary: 7, notes: [] };
const observed: Observation[] = [];
let ada: string;
let bob: string;

beforeAll(async () => {
  at = await openSchemaPlace();
  at.means.dataKeys = createDataKeys({
    ...at.keyStore,
    observe: observation => observed.push(observation),
    now: () => performance.now(),
  });
  await at.change({
    create_table: {
      name: 'people',
      columns: [
        { name: 'name', type: 'text', pii: 'name', required: true },
        { name: 'mail', type: 'text', pii: 'email', unique: true },
        { name: 'phone', type: 'text', pii: 'phone' },
        { name: 'born', type: 'date', pii: 'birth_date' },
        { name: 'salary', type: 'numeric', pii: true },
        { name: 'notes', type: 'json', pii: true },
        { name: 'team', type: 'text' },
      ],
    },
  });
  [ada, bob] = (await run(insertRows, { table: 'people', rows: [{ ...ADA, team: 'x' }, BOB] })).ids as [string, string];
});
afterAll(() => at?.remove());

function run<Input>(tool: Tool<Input>, args: object, changes: Partial<Caller> = {}) {
  return at.run(tool, args, changes);
}

/** The rows by name of column, without those that the database keeps. */
async function people(args: object = {}, changes: Partial<Caller> = {}) {
  const { columns, rows } = await run(selectRows, { table: 'people', order_by: ['id'], ...args }, changes);
  return (rows as unknown[][]).map(row => Object.fromEntries(row.map((value, i) => [(columns as string[])[i], value])));
}

const names = async (where: object) => (await people({ where }, PLAIN)).map(({ name }) => name);
const raw = async (text: string) => (await at.asOwner(text)).rows;

describe('in the database', () => {
  test('there are cells, and nothing of what is in them', async () => {
    const [row] = await raw('select people::text from $s.people order by id');
    expect(String(row)).toMatch(/\\\\x01[0-9a-f]{64}/);
    expect(String(row)).not.toMatch(/Lovelace|planted|1815-12|12345\.67|9876 5432/i);
    expect(String(row)).not.toContain(Buffer.from('planted').toString('hex'));
    expect(
      await raw(`select format_type(atttypid, -1) from pg_attribute
      where attrelid = '$s.people'::regclass and attname in ('name', 'mail', 'born', 'salary', 'notes')`),
    ).toEqual(Array.from({ length: 5 }, () => ['bytea']));
  });

  test('null is null', async () => {
    expect(await raw('select phone is null, born is null from $s.people order by id')).toEqual([
      [false, false],
      [true, true],
    ]);
  });

  test('the login that runs what members write reads neither cells nor what finds them, and all the rest', async () => {
    const ro = (text: string) =>
      at.pools.query(loginOf(at.place, 'ro'), text.replaceAll('$s', at.place.schema), [], { prepare: false });
    const companions = (
      await raw(`select attname from pg_attribute
      where attrelid = '$s.people'::regclass and attname like '\\_bidx\\_%'`)
    ).map(([name]) => String(name));
    expect(companions).toHaveLength(6);
    for (const column of ['name', 'mail', 'phone', 'born', 'salary', 'notes', ...companions]) {
      for (const text of [
        `select ${column} from $s.people`,
        `select count(${column}) from $s.people`,
        `select 1 from $s.people order by ${column}`,
        `select 1 from $s.people where ${column} is null`,
        `select (p).${column} from $s.people p`,
      ]) {
        await expect(ro(text), text).rejects.toMatchObject({ code: '42501' });
      }
    }
    for (const text of [
      'select * from $s.people',
      'select p from $s.people p',
      'select to_jsonb(p) from $s.people p',
    ]) {
      await expect(ro(text), text).rejects.toMatchObject({ code: '42501' });
    }
    expect((await ro('select team from $s.people order by id')).rows).toEqual([['x'], [null]]);
    expect((await ro('select count(*)::int from $s.people')).rows).toEqual([[2]]);
  });
});

describe('reading', () => {
  test('shows masks to whoever has no right to more', async () => {
    expect(await people()).toMatchObject([
      {
        name: 'A•••',
        mail: 'a•••@p•••.example',
        phone: '•••32',
        born: '•••',
        salary: '•••',
        notes: '•••',
        team: 'x',
      },
      { name: '•••', mail: '•••@p•••.example', phone: null, born: null, team: null },
    ]);
  });

  test('shows all of it, digit by digit, to those who have', async () => {
    expect(await people({}, PLAIN)).toMatchObject([{ ...ADA, salary: 12345.67 }, BOB]);
  });

  test('with a right that is another one shows masks', async () => {
    const rights = new Set(['pii:write']) as unknown as Caller['rights'];
    expect((await people({}, { rights }))[0]).toMatchObject({ mail: 'a•••@p•••.example' });
  });

  test('of some columns, with a count, and page by page', async () => {
    const page = await run(
      selectRows,
      { table: 'people', columns: ['mail'], limit: 1, count: true, order_by: ['id'] },
      PLAIN,
    );
    expect(page).toMatchObject({ columns: ['mail'], rows: [[ADA.mail]], total: 2, truncated: true });
    const next = {
      table: 'people',
      columns: ['mail'],
      limit: 1,
      count: true,
      order_by: ['id'],
      cursor: page.next_cursor,
    };
    expect(await run(selectRows, next, PLAIN)).toMatchObject({ rows: [[BOB.mail]], truncated: false });
    expect(String(page.next_cursor)).not.toContain('planted');
  });

  test('in plain is in the record, masked is not worth it', async () => {
    const call = (rights: Caller['rights']) => ({
      caller: { person: { tenantId: 't', objectId: 'o' }, rights } as Caller,
      place: at.place,
      requestId: 'r',
      signal: AbortSignal.timeout(10_000),
      means: at.means,
    });
    const args = selectRows.input.parse({ table: 'people', columns: ['id', 'mail', 'team'] });
    expect((await selectRows.run(call(PLAIN.rights), args)).done).toEqual({ personal_data: ['mail'] });
    expect((await selectRows.run(call(undefined), args)).done).toBeUndefined();
    const update = updateRows.input.parse({ table: 'people', where: { id: ada }, set: { team: 'x' } });
    expect((await updateRows.run(call(PLAIN.rights), update)).done).toMatchObject({
      personal_data: ['name', 'mail', 'phone', 'born', 'salary', 'notes'],
    });
    expect((await updateRows.run(call(undefined), update)).done).toBeUndefined();
    const nobody = updateRows.input.parse({ table: 'people', where: { team: 'none' }, set: { team: 'x' } });
    expect((await updateRows.run(call(PLAIN.rights), nobody)).done).toBeUndefined();
  });

  test('describe_tables says what is sealed, and nothing of what stands beside it', async () => {
    const { tables } = await run(describeTables, { tables: ['people'], detail: 'full' });
    expect(tables).toMatchObject([
      {
        columns: expect.arrayContaining([
          { name: 'mail', type: 'text', pii: 'email', unique: true },
          { name: 'born', type: 'date', pii: 'birth_date' },
          { name: 'salary', type: 'numeric', pii: true },
        ]),
        indexes: expect.arrayContaining([
          { name: 'people_mail_key', columns: ['mail'], unique: true },
          { name: 'people_name_idx', columns: ['name'] },
        ]),
      },
    ]);
    expect(JSON.stringify(tables)).not.toMatch(/bidx|bytea|\[pii/);
  });
});

describe('looking for', () => {
  test.each([
    [{ mail: ' ADA.Lovelace@Planted.Example ' }, ['Ada Lovelace']],
    [{ mail: { eq: 'bob@planted.example' } }, ['Bob']],
    [{ mail: ['bob@planted.example', 'nobody@planted.example'] }, ['Bob']],
    [{ mail: { in: ['bob@planted.example', ADA.mail] } }, ['Ada Lovelace', 'Bob']],
    [{ mail: { ne: 'bob@planted.example' } }, ['Ada Lovelace']],
    [{ mail: { not_in: [ADA.mail] } }, ['Bob']],
    [{ mail: [] }, []],
    [{ mail: { not_in: [] } }, ['Ada Lovelace', 'Bob']],
    [{ phone: '0082-10-9876-5432' }, ['Ada Lovelace']],
    [{ phone: null }, ['Bob']],
    [{ phone: [null, '+821098765432'] }, ['Ada Lovelace', 'Bob']],
    [{ phone: [null] }, ['Bob']],
    [{ phone: { ne: '+82 10 9876 5432' } }, ['Bob']],
    [{ phone: { is_null: false } }, ['Ada Lovelace']],
    [{ name: 'ada  lovelace' }, ['Ada Lovelace']],
    [{ born: null }, ['Bob']],
    [{ born: { is_null: false } }, ['Ada Lovelace']],
    [{ not: { mail: ADA.mail } }, ['Bob']],
    [{ or: [{ mail: ADA.mail }, { team: 'y' }] }, ['Ada Lovelace']],
    [{ mail: 'x' }, []],
    [{ mail: '' }, []],
    [{ mail: "' or true --" }, []],
  ])('%j', async (where, found) => {
    expect(await names(where)).toEqual(found);
  });

  test('goes through an index', async () => {
    const sealed = (
      await raw(`select attname from pg_attribute a join pg_index i on i.indrelid = a.attrelid
      and a.attnum = i.indkey[0] where attrelid = '$s.people'::regclass and attname like '\\_bidx\\_%'`)
    ).length;
    expect(sealed).toBe(3);
  });

  test('is for some values at once where masks are read, and for any number with the right', async () => {
    const guesses = Array.from({ length: 20 }, (_, i) => `+82 10 9876 ${5413 + i}`);
    const asked = { phone: guesses };
    expect(await people({ where: asked, columns: ['phone'] })).toEqual([{ phone: '•••32' }]);
    for (const where of [
      { phone: [...guesses, '+1'] },
      { or: [asked, { mail: 'x' }] },
      { phone: { not_in: [...guesses, '+1'] } },
      { and: [...guesses, '+1'].map(phone => ({ phone: { ne: phone } })) },
    ]) {
      const error = await people({ where }).catch(thrown => thrown);
      expect(error).toMatchObject({ code: 'args/invalid', hint: expect.stringContaining('pii:read') });
      expect(`${error.message} ${error.hint}`).not.toContain('9876');
      for (const [tool, more] of [
        [updateRows, { set: { team: 'y' } }],
        [deleteRows, {}],
      ] as const) {
        await expect(
          run(tool as Tool<unknown>, { table: 'people', where, max_rows: 9, ...more }),
        ).rejects.toMatchObject({
          code: 'args/invalid',
        });
      }
    }
    expect(await names({ phone: [...guesses, '+1', '+2'] })).toEqual(['Ada Lovelace']);
  });

  test.each(['like', 'ilike', 'contains', 'starts_with', 'gt', 'gte', 'lt', 'lte'])(
    '%s is refused with a sentence, and without the value',
    async operator => {
      const thrown = await people({ where: { mail: { [operator]: 'planted-guess' } } }).catch(error => error);
      expect(thrown).toMatchObject({
        code: 'args/invalid',
        message: expect.stringContaining('is sealed'),
        hint: 'Operators for `mail`: eq, ne, in, not_in, is_null.',
      });
      expect(`${thrown.message} ${thrown.hint} ${thrown.detail}`).not.toContain('planted-guess');
    },
  );

  test.each([
    [{ mail: { between: ['a', 'b'] } }, 'is sealed'],
    [{ born: '1815-12-10' }, 'too few possible values'],
    [{ born: ['1815-12-10'] }, 'too few possible values'],
    [{ salary: 7 }, 'too few possible values'],
    [{ notes: { eq: [] } }, 'too few possible values'],
    [{ born: { gt: '1815-01-01' } }, 'is sealed'],
    [{ mail: 7 }, 'must be text'],
    [{ mail: '\ud800' }, 'must be text'],
  ])('%j is refused', async (where, sentence) => {
    await expect(people({ where })).rejects.toMatchObject({ message: expect.stringContaining(sentence) });
  });

  test('more values than can be looked for at once is refused', async () => {
    const where = { mail: Array.from({ length: 1001 }, (_, i) => `${i}`) };
    await expect(people({ where })).rejects.toMatchObject({ message: expect.stringContaining('at most 1000 values') });
  });

  test('an order by a sealed column is refused', async () => {
    await expect(people({ order_by: ['-mail'] })).rejects.toMatchObject({
      code: 'args/invalid',
      message: expect.stringContaining('it is sealed'),
    });
  });
});

describe('writing', () => {
  test('a value that another row has is refused, in whatever spelling, without the value', async () => {
    const thrown = await run(insertRows, {
      table: 'people',
      rows: [{ name: 'Impostor', mail: 'ADA.LOVELACE@planted.EXAMPLE' }],
    }).catch(error => error);
    expect(thrown).toMatchObject({ code: 'row/duplicate', message: 'Another row has this value of `mail` already.' });
    expect(`${thrown.message} ${thrown.hint} ${thrown.detail}`).not.toMatch(/planted/i);
  });

  test('several rows without a value are no duplicates', async () => {
    const { ids } = await run(insertRows, { table: 'people', rows: [{ name: 'One' }, { name: 'Two' }] });
    await run(deleteRows, { table: 'people', where: { id: ids }, max_rows: 2 });
  });

  test.each([
    [{ name: null }, 'row/missing-value'],
    [{}, 'row/missing-value'],
    [{ name: 7 }, 'row/bad-value'],
    [{ name: 'half \ud800' }, 'row/bad-value'],
    [{ name: 'nul \u0000' }, 'row/bad-value'],
    [{ name: 'x', born: '1815-13-01' }, 'row/bad-value'],
    [{ name: 'x', salary: 'much' }, 'row/bad-value'],
    [{ name: 'x', notes: { a: '\ud800' } }, 'row/bad-value'],
    [{ name: 'x', nick: 'y' }, 'table/no-such-column'],
    [{ name: 'x', _bidx_x: 'y' }, 'table/no-such-column'],
  ])('%j is refused as in any column', async (row, code) => {
    await expect(run(insertRows, { table: 'people', rows: [row] })).rejects.toMatchObject({ code });
  });

  test.each([
    '',
    ' ',
    '👩‍👩‍👧‍👧',
    '\u202eevil',
    "Robert'); drop table people;--",
    '\\x0102',
    '{"a":1}',
    'null',
    'x'.repeat(900_000),
  ])('gives back %.40j', async name => {
    const { ids } = await run(insertRows, { table: 'people', rows: [{ name }] });
    const [row] = await people({ where: { id: ids }, columns: ['name'] }, PLAIN).catch(error => [error]);
    // An answer holds less than a row may.
    if (name.length > 100_000) expect(row).toMatchObject({ code: 'limit/bytes' });
    else expect(row).toEqual({ name });
    await run(deleteRows, { table: 'people', where: { id: ids } });
  });

  test('a change of many rows seals each of them for itself', async () => {
    const { ids } = await run(insertRows, {
      table: 'people',
      rows: Array.from({ length: 20 }, () => ({ name: 'Many' })),
    });
    const answer = await run(updateRows, {
      table: 'people',
      where: { name: 'many' },
      set: { phone: '+1 555 0100' },
      max_rows: 20,
    });
    expect(answer.count).toBe(20);
    const cells = await raw(`select count(distinct phone)::int from $s.people where team is null`);
    expect(cells).toEqual([[20]]);
    const found = await people({ where: { phone: '+15550100' }, columns: ['phone'] }, PLAIN);
    expect(found).toEqual(Array.from({ length: 20 }, () => ({ phone: '+1 555 0100' })));
    await run(updateRows, { table: 'people', where: { phone: '+15550100' }, set: { phone: null }, max_rows: 20 });
    expect(await names({ phone: '+15550100' })).toEqual([]);
    await run(deleteRows, { table: 'people', where: { id: ids }, max_rows: 20 });
  });

  test('shows what was and what is in masks, or in plain to those who may', async () => {
    const update = (team: string, changes?: Partial<Caller>) =>
      run(updateRows, { table: 'people', where: { id: bob }, set: { mail: `${team}@planted.example` } }, changes);
    const columnOf = (answer: Record<string, unknown>, which: string) =>
      (answer[which] as unknown[][])[0]?.[(answer.columns as string[]).indexOf('mail')];
    const masked = await update('robert');
    expect([columnOf(masked, 'before'), columnOf(masked, 'after')]).toEqual(['•••@p•••.example', 'r•••@p•••.example']);
    expect(JSON.stringify(masked)).not.toContain('@planted');
    const plain = await update('bob', PLAIN);
    expect([columnOf(plain, 'before'), columnOf(plain, 'after')]).toEqual([
      'robert@planted.example',
      'bob@planted.example',
    ]);
  });

  test('with an idempotency key keeps nothing that could be read or guessed', async () => {
    const update = { table: 'people', where: { id: ada }, set: { phone: '+82 2 555 0199' }, idempotency_key: 'k1' };
    const first = await run(updateRows, update, PLAIN);
    expect(JSON.stringify(first)).toContain('+82 2 555 0199');
    const insert = { table: 'people', rows: [{ name: 'Kept Person' }], idempotency_key: 'k2' };
    const { ids } = await run(insertRows, insert, PLAIN);

    const kept = JSON.stringify(await raw('select digest, answer::text from $s._requests'));
    expect(kept).not.toMatch(/555 0199|Kept Person|planted|Lovelace/);
    const again = await run(updateRows, update, PLAIN);
    expect(again).toMatchObject({ count: 1, replayed: true });
    expect(JSON.stringify(again)).not.toContain('555 0199');
    expect(JSON.stringify(again)).toContain('•••');
    expect(await run(insertRows, insert, PLAIN)).toEqual({ count: 1, ids, replayed: true });
    await expect(run(updateRows, { ...update, set: { phone: '1' } }, PLAIN)).rejects.toMatchObject({
      code: 'row/key-reused',
    });

    // What anybody could work out from a guess is not what is kept.
    const { digestArguments } = await import('../../../src/tables/cursor.ts');
    const { idempotency_key: _, ...guess } = update;
    expect(kept).not.toContain(digestArguments({ tool: 'update_rows', ...guess, maxRows: 1 }));
    await run(deleteRows, { table: 'people', where: { id: ids } });
  });

  test('a dry run tells of some values whether they are there, and of any number to those with the right', async () => {
    const dry = (mails: string[], changes?: Partial<Caller>, more: object = {}) => {
      const rows = mails.map(mail => ({ name: 'Guess', mail }));
      return run(insertRows, { table: 'people', rows, dry_run: true, ...more }, changes);
    };
    const guesses = Array.from({ length: 20 }, (_, i) => `guess-${i}@planted.example`);
    expect(await dry(guesses)).toEqual({ count: 20, dry_run: true });
    await expect(dry([...guesses.slice(1), ADA.mail])).rejects.toMatchObject({ code: 'row/duplicate' });
    for (const more of [{}, { idempotency_key: 'guess' }]) {
      const error = await dry([...guesses, ADA.mail], {}, more).catch(thrown => thrown);
      expect(error).toMatchObject({ code: 'args/invalid', hint: expect.stringContaining('pii:read') });
      expect(`${error.message} ${error.hint}`).not.toContain('planted');
    }
    await expect(dry([...guesses, ADA.mail], PLAIN)).rejects.toMatchObject({ code: 'row/duplicate' });
    // Columns that are not unique tell nothing.
    const rows = Array.from({ length: 30 }, (_, i) => ({ name: `Guess ${i}`, phone: `+1 555 ${i}` }));
    expect(await run(insertRows, { table: 'people', rows, dry_run: true })).toMatchObject({ count: 30 });
  });

  test('many rows at once are nobody’s guesses, when they are really written', async () => {
    const rows = Array.from({ length: 30 }, (_, i) => ({ name: 'Bulk', mail: `bulk-${i}@planted.example` }));
    const { ids } = await run(insertRows, { table: 'people', rows });
    expect(ids).toHaveLength(30);
    await run(deleteRows, { table: 'people', where: { id: ids }, max_rows: 30 });
  });

  test('a dry run keeps nothing', async () => {
    const answer = await run(updateRows, { table: 'people', where: { id: ada }, set: { phone: null }, dry_run: true });
    expect(answer).toMatchObject({ count: 1, dry_run: true });
    expect(await names({ phone: null })).toEqual(['Bob']);
  });
});

describe('reveal', () => {
  const ask = (args: object) => run(reveal, { table: 'people', purpose: 'the invoice came back', ...args }, PLAIN);

  test('gives the values of the rows that were named, in plain', async () => {
    const missing = randomUUID();
    expect(await ask({ ids: [ada.toUpperCase(), missing], columns: ['mail', 'born'] })).toEqual({
      columns: ['id', 'mail', 'born'],
      rows: [[ada, ADA.mail, ADA.born]],
      missing_ids: [missing],
    });
  });

  test.each([
    [{ ids: ['1'], columns: ['mail'] }],
    [{ ids: [], columns: ['mail'] }],
    [{ ids: Array.from({ length: 21 }, () => randomUUID()), columns: ['mail'] }],
    [{ ids: [randomUUID()], columns: [] }],
    [{ ids: [randomUUID()], columns: ['mail'], purpose: 'because' }],
    [{ ids: [randomUUID()], columns: ['mail'], purpose: '        x        ' }],
    [{ ids: [randomUUID()], columns: ['mail'], purpose: undefined }],
    [{ ids: [randomUUID()], columns: ['mail'], where: {} }],
  ])('takes no %j', args => {
    expect(() => reveal.input.parse({ table: 'people', purpose: 'the invoice came back', ...args })).toThrow();
  });

  test('is for sealed columns', async () => {
    await expect(ask({ ids: [ada], columns: ['mail', 'team'] })).rejects.toMatchObject({
      message: '`columns[1]`: `team` is not sealed.',
    });
    await expect(ask({ ids: [ada], columns: ['id'] })).rejects.toMatchObject({ code: 'args/invalid' });
    await expect(ask({ ids: [ada], columns: ['nope'] })).rejects.toMatchObject({ code: 'table/no-such-column' });
  });

  test('leaves the purpose word for word in the record, with ids and columns, and no value', async () => {
    const args = reveal.input.parse({
      table: 'people',
      ids: [ada],
      columns: ['mail'],
      purpose: '  the invoice came back ',
    });
    expect(reveal.summarize(args, at.means)).toEqual({
      table: 'people',
      ids: [ada],
      columns: ['mail'],
      purpose: 'the invoice came back',
    });
  });
});

describe('a cell that does not open', () => {
  const BROKEN = { error: 'row/sealed-broken' };
  const spoil = async (text: string, check: () => Promise<void>) => {
    await at.asOwner('create table $s.kept as select * from $s.people');
    await at.asOwner(text);
    await check();
    await at.asOwner('delete from $s.people');
    await at.asOwner('insert into $s.people select * from $s.kept');
    await at.asOwner('drop table $s.kept');
  };

  test.each([
    [
      'was moved from another row',
      `update $s.people p set mail = o.mail from $s.people o where o.id <> p.id and p.id = '$ada'`,
    ],
    ['was moved from another column', `update $s.people set mail = name where id = '$ada'`],
    ['was altered', `update $s.people set mail = set_byte(mail, 20, get_byte(mail, 20) # 1) where id = '$ada'`],
    ['was cut', `update $s.people set mail = substring(mail from 1 for 20) where id = '$ada'`],
    ['is empty', `update $s.people set mail = '' where id = '$ada'`],
    ['has an unknown version', `update $s.people set mail = set_byte(mail, 0, 9) where id = '$ada'`],
    ['has an unknown key', `update $s.people set mail = set_byte(mail, 1, get_byte(mail, 1) # 1) where id = '$ada'`],
    [
      'is plain text',
      `update $s.people set mail = convert_to('ada.lovelace@planted.example', 'UTF8') where id = '$ada'`,
    ],
  ])('because it %s is an error in its place, and the rest of the page is there', async (_, text) => {
    await spoil(text.replaceAll('$ada', ada), async () => {
      for (const changes of [{}, PLAIN]) {
        const [first, second] = await people({}, changes);
        expect(first).toMatchObject({ mail: BROKEN, team: 'x' });
        expect(first?.name).not.toEqual(BROKEN);
        expect(second?.mail).not.toEqual(BROKEN);
      }
      const revealed = await run(
        reveal,
        { table: 'people', ids: [ada], columns: ['mail'], purpose: 'just looking' },
        PLAIN,
      );
      expect(revealed.rows).toEqual([[ada, BROKEN]]);
      const { before } = await run(updateRows, { table: 'people', where: { id: ada }, set: { team: 'x' } });
      expect(JSON.stringify(before)).toContain('row/sealed-broken');
    });
  });

  test('can be written anew', async () => {
    await spoil(`update $s.people set mail = '' where id = '${ada}'`, async () => {
      await run(updateRows, { table: 'people', where: { id: ada }, set: { mail: ADA.mail } });
      expect((await people({ where: { id: ada } }, PLAIN))[0]).toMatchObject({ mail: ADA.mail });
    });
  });
});

test('a place whose keys cannot be read answers that, and nothing in masks', async () => {
  const { dataKeys } = at.means;
  at.means.dataKeys = {
    ...dataKeys,
    of: () => Promise.reject(Object.assign(new Error('away'), { code: 'unavailable' })),
  };
  await expect(people()).rejects.toMatchObject({ code: 'unavailable' });
  await expect(run(insertRows, { table: 'people', rows: [{ name: 'x' }] })).rejects.toMatchObject({
    code: 'unavailable',
  });
  at.means.dataKeys = dataKeys;
});
