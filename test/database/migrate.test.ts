import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { assertWalls } from '../../src/database/assert-walls.ts';
import { createLedger, readLedger } from '../../src/database/ledger.ts';
import { migrateSchemas, migrationState } from '../../src/database/migrate.ts';
import { type Migration, readMigrations, toMigration } from '../../src/database/migration-files.ts';
import { loginOf, type Place } from '../../src/database/place.ts';
import type { DatabaseServer, OwnerConnection } from '../../src/database/server.ts';
import { WrongConfiguration } from '../../src/errors.ts';
import { observeNothing } from '../../src/observe.ts';
import { EACH_POSTGRES, type TestPostgres } from '../support/each-postgres.ts';
import { asOwner, freshDatabase, type OwnPostgres, sharedPostgres, startOwnPostgres } from '../support/postgres.ts';
import { connectAs, customerOf, passwordOf, placesOf, provisionAll, rowsAsOwner } from '../support/tenants.ts';

const CREATE = toMigration('001_thing.sql', 'create table :schema.thing (id int)');
const GROW = toMigration('002_grow.sql', 'alter table :schema.thing add column name text');
const BREAK = toMigration('003_break.sql', '-- breaking\nalter table :schema.thing drop column name');
const options = { observe: observeNothing };

describe('migrateSchemas', () => {
  let server: DatabaseServer;
  let database: string;
  let owner: OwnerConnection;
  beforeEach(async () => {
    server = await sharedPostgres();
    database = await freshDatabase(server);
    owner = await server.connectAsOwner(database);
    await createLedger(owner, 'postgres');
    await owner.script('create schema a; create schema b; create schema c');
    return () => owner.close();
  });

  const migrate = (names: readonly string[], known: readonly Migration[], more = {}) =>
    migrateSchemas(
      owner,
      database,
      names.map(schema => ({ schema })),
      known,
      { ...options, ...more },
    );
  const versionsOf = async (schema: string) =>
    (await readLedger(owner.query)).get(schema)?.map(({ version }) => version);

  test('applies what is new, in order, once', async () => {
    expect(await migrate(['a'], [CREATE, GROW])).toEqual(['a 001_thing', 'a 002_grow']);
    expect(await migrate(['a', 'b'], [CREATE, GROW])).toEqual(['b 001_thing', 'b 002_grow']);
    expect(await migrate(['a', 'b'], [CREATE, GROW, BREAK])).toEqual(['a 003_break', 'b 003_break']);
    expect(await versionsOf('a')).toEqual([1, 2, 3]);
    const { rows } = await owner.query(
      "select name, breaking from frame.migrations where schema_name = 'b' order by version",
    );
    expect(rows).toEqual([
      ['001_thing', false],
      ['002_grow', false],
      ['003_break', true],
    ]);
  });

  test('stops at the first that fails, keeps nothing of it, and says what is behind', async () => {
    await owner.script('create table b.other (id int); create schema d');
    const clash = toMigration(
      '002_clash.sql',
      'create table :schema.left_behind (); create table :schema.other (id int);',
    );
    const failing = migrate(['a', 'b', 'c', 'd'], [CREATE, clash], { later: ['frame_zen'] });
    await expect(failing).rejects.toMatchObject({
      code: 'internal',
      message: 'The migration 002_clash failed in the schema b: relation "other" already exists.',
      hint: `Behind now: ${database}.b, ${database}.c, ${database}.d, frame_zen.`,
    });
    expect(await versionsOf('a')).toEqual([1, 2]);
    expect(await versionsOf('b')).toEqual([1]);
    expect(await versionsOf('c')).toBeUndefined();
    expect((await owner.query("select to_regclass('b.left_behind')")).rows).toEqual([[null]]);

    await owner.script('drop table b.other');
    expect(await migrate(['a', 'b', 'c', 'd'], [CREATE, clash])).toEqual([
      'b 002_clash',
      'c 001_thing',
      'c 002_clash',
      'd 001_thing',
      'd 002_clash',
    ]);
  });

  test('eight at once apply each migration once', async () => {
    const racers = await Promise.all(Array.from({ length: 8 }, () => server.connectAsOwner(database)));
    const names = ['a', 'b', 'c'].map(schema => ({ schema }));
    await Promise.all(racers.map(racer => migrateSchemas(racer, database, names, [CREATE, GROW], options)));
    await Promise.all(racers.map(racer => racer.close()));
    for (const schema of ['a', 'b', 'c']) expect(await versionsOf(schema)).toEqual([1, 2]);
  });

  test('waits for a lock that others hold', async () => {
    await migrate(['a'], [CREATE]);
    const holder = await server.connectAsOwner(database);
    await holder.script('begin');
    await holder.query('select * from a.thing');
    const events: unknown[] = [];
    const letGo = (observation: unknown) => {
      if (events.push(observation) === 1) void holder.script('commit');
    };
    expect(await migrate(['a'], [CREATE, GROW], { observe: letGo })).toEqual(['a 002_grow']);
    expect(events).toEqual([{ kind: 'postgres', event: 'migration 002_grow waits for a lock in a' }]);
    await holder.close();
  });

  test('gives up when the lock is never free, and is not half done', async () => {
    await migrate(['a'], [CREATE]);
    const holder = await server.connectAsOwner(database);
    await holder.script('begin; select * from a.thing');
    await expect(migrate(['a'], [CREATE, GROW], { attempts: 1 })).rejects.toMatchObject({
      code: 'limit/lock',
      retryable: true,
    });
    expect(await versionsOf('a')).toEqual([1]);
    await holder.close();
  });

  test('a migration whose text changed after it was applied is refused', async () => {
    await migrate(['a'], [CREATE]);
    const changed = toMigration('001_thing.sql', `${CREATE.text} -- tidied up`);
    await expect(migrate(['a', 'b'], [changed])).rejects.toThrow(WrongConfiguration);
    await expect(migrate(['a', 'b'], [changed])).rejects.toThrow(
      /schema a of test_\w+ has the migration 001_thing with another text/,
    );
    expect(await versionsOf('b')).toBeUndefined();
  });

  test('a newer schema is fine for an older release, unless the news is breaking', async () => {
    await migrate(['a', 'b'], [CREATE, GROW]);
    expect(await migrate(['a', 'b', 'c'], [CREATE])).toEqual(['c 001_thing']);
    await migrate(['b'], [CREATE, GROW, BREAK]);
    await expect(migrate(['a'], [CREATE, GROW])).rejects.toThrow(
      /schema b of test_\w+ has the breaking migration 003_break; run the release that made it/,
    );
  });

  test('placeholders become quoted names, casts and times stay', async () => {
    const text = `create table :schema.t as select '12:30'::time as at, 'x'::text as owner, (array[1, 2, 3])[1:2] as part;
      grant select on :schema.t to :ro`;
    await owner.script(`create schema "Odd ""name"; create role "ro ${database}"`);
    const names = [{ schema: 'Odd "name', ro: `ro ${database}` }];
    await migrateSchemas(owner, database, names, [toMigration('001_odd.sql', text)], options);
    expect((await owner.query('select at::text, owner from "Odd ""name".t')).rows).toEqual([['12:30:00', 'x']]);
    await expect(migrate(['a'], [toMigration('002_own.sql', 'grant usage on schema :schema to :own')])).rejects.toThrow(
      /:own stands for nothing in this database/,
    );
  });
});

test('the files are numbered, without gaps or twins', async () => {
  for (const folder of ['control', 'entity'] as const) {
    const migrations = await readMigrations(folder);
    expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, index) => index + 1));
    expect(
      migrations.filter(({ text }) => /^\s*(begin|commit|rollback)\s*;/im.test(text.replaceAll(/\$\$.*?\$\$/gs, ''))),
    ).toEqual([]);
  }
});

describe('on a provisioned server', () => {
  const axe = customerOf('axe', { axe: ['prod', 'dev'] });
  let own: OwnPostgres;
  beforeEach(async () => {
    own = await startOwnPostgres();
    await provisionAll(own.server, [axe]);
    return () => own.remove();
  });

  /** As the pools would: each login on its own connection. */
  const pools = {
    async query(login: { role: string; database: string }, text: string) {
      const sql = connectAs(own.server, login);
      const rows = await sql
        .unsafe(text)
        .values()
        .finally(() => sql.end());
      return { columns: [], rows: Array.from(rows), count: rows.length };
    },
  };

  test('health sees what is applied and what is behind, through logins of the gateway', async () => {
    const places = await placesOf(own.server);
    const latest = (await readMigrations('entity')).length;
    expect(await migrationState(pools, places)).toEqual({ applied: latest, latest, behind: [] });

    await asOwner(own.server, 'frame_axe', "delete from frame.migrations where schema_name = 'axe_dev'");
    await asOwner(own.server, 'frame_control', 'delete from frame.migrations where version > 1');
    expect(await migrationState(pools, places)).toEqual({
      applied: 0,
      latest,
      behind: ['frame_control', 'frame_axe.axe_dev'],
    });
    await expect(assertWalls(own.server, [axe], passwordOf)).rejects.toThrow(
      /frame_control: schema frame lacks the migration 002_\w+; run `frame migrate`/,
    );
  });

  test('a release that is too old for the schema does not start, and does not migrate', async () => {
    const line = "insert into frame.migrations values ('axe_prod', 999, '999_future', true, 'x')";
    await asOwner(own.server, 'frame_axe', line);
    await expect(provisionAll(own.server, [axe])).rejects.toThrow(/breaking migration 999_future; run the release/);
    await expect(assertWalls(own.server, [axe], passwordOf)).rejects.toThrow(
      /breaking migration 999_future; run the release/,
    );
  });
});

describe.each(EACH_POSTGRES)('what every schema gets, on $name', ({ isThere, start }) => {
  let own: TestPostgres;
  let place: Place;
  beforeAll(async () => {
    if (!isThere) return;
    own = await start();
    await provisionAll(own.server, [customerOf('axe', { axe: ['prod'] })]);
    const [first] = await placesOf(own.server);
    if (!first) throw new Error('no place');
    place = first;
    const designer = connectAs(own.server, loginOf(place, 'own'));
    await designer.unsafe(`
      create table notes (id uuid primary key default _uuid7(), created_at timestamptz not null default now(),
        updated_at timestamptz not null default now(), created_by text, text text);
      create trigger _touch before insert or update on notes for each row execute function _touch()`);
    await designer.end();
  });
  afterAll(() => own?.remove());

  test.skipIf(!isThere)('ids are UUIDs of version 7, of this moment, in the order they were made', async () => {
    const editor = connectAs(own.server, loginOf(place, 'rw'));
    const before = Date.now();
    const rows = [];
    for (let i = 0; i < 5; i++) rows.push(...(await editor`insert into notes (text) values ('x') returning id`));
    await editor.end();
    const ids = rows.map(({ id }) => String(id));
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const times = ids.map(id => Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16));
    for (const time of times) expect(Math.abs(time - before)).toBeLessThan(60_000);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  test.skipIf(!isThere)('callers cannot set or change what the database keeps', async () => {
    const editor = connectAs(own.server, loginOf(place, 'rw'));
    const [born] = await editor`
      insert into notes (created_at, updated_at, created_by, text) values ('1999-01-01', '1999-01-01', 'me', 'a')
      returning id, created_at, created_at = updated_at and created_at > now() - interval '1 minute' as is_now`;
    expect(born?.is_now).toBe(true);
    const [changed] = await editor`
      update notes set id = gen_random_uuid(), created_at = '1999-01-01', updated_at = '1999-01-01', created_by = 'you', text = 'b'
      where text = 'a' returning id, created_at, created_by, text, updated_at > created_at as is_later`;
    await editor.end();
    expect(changed).toEqual({
      id: born?.id,
      created_at: born?.created_at,
      created_by: 'me',
      text: 'b',
      is_later: true,
    });
  });

  test.skipIf(!isThere)('each login may do with the internal tables what it needs, and no more', async () => {
    const tables = ['_versions', '_plans', '_dropped', '_requests', 'notes'];
    const rights = await rowsAsOwner(
      own.server,
      place.database,
      `select role, relname, string_agg(privilege, ' ' order by privilege)
       from unnest(array['own', 'rw', 'ro']) role, pg_class, unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) privilege
       where relnamespace = 'axe_prod'::regnamespace and relname in ('${tables.join("', '")}')
         and has_table_privilege(role || '_${place.roleId}', pg_class.oid, privilege)
       group by role, relname order by role, relname`,
    );
    expect(rights).toEqual([
      ['own', '_dropped', 'DELETE INSERT SELECT UPDATE'],
      ['own', '_plans', 'DELETE INSERT SELECT UPDATE'],
      ['own', '_requests', 'DELETE SELECT'],
      ['own', '_versions', 'INSERT SELECT'],
      ['own', 'notes', 'DELETE INSERT SELECT TRUNCATE UPDATE'],
      ['ro', 'notes', 'SELECT'],
      ['rw', '_requests', 'INSERT SELECT'],
      ['rw', 'notes', 'DELETE INSERT SELECT UPDATE'],
    ]);
  });

  test
    .skipIf(!isThere)
    .each([
      'drop table _versions',
      'alter table _plans add column x int',
      'alter table _requests owner to current_user',
      'delete from _versions',
      'drop function _touch()',
      'create or replace function _uuid7() returns uuid language sql return null',
      'drop schema axe_prod cascade',
      'alter schema axe_prod rename to x',
    ])('the designer cannot %s', async statement => {
    const designer = connectAs(own.server, loginOf(place, 'own'));
    await expect(designer.unsafe(statement)).rejects.toMatchObject({ code: '42501' });
    await designer.end();
  });

  test.skipIf(!isThere)('a request is remembered once per caller and key', async () => {
    const editor = connectAs(own.server, loginOf(place, 'rw'));
    const remember = (caller: string, answer: string) =>
      editor`insert into _requests (key, caller, digest, answer) values ('k', ${caller}, 'd', ${answer}::text::jsonb)`;
    await remember('me', '{"ids": [1]}');
    await remember('you', '{"ids": [2]}');
    await expect(remember('me', '{}')).rejects.toMatchObject({ code: '23505' });
    await expect(editor`update _requests set answer = '{}'`).rejects.toMatchObject({ code: '42501' });
    await editor.end();
  });
});
