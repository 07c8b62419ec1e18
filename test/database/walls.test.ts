import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertWalls } from '../../src/database/assert-walls.ts';
import { catalogLogin, loginOf, type Place } from '../../src/database/place.ts';
import { CATALOG_FUNCTIONS, CATALOG_RELATIONS, OPEN_FUNCTIONS } from '../../src/database/walls.ts';
import { type Mistake, WrongConfiguration } from '../../src/errors.ts';
import { EACH_POSTGRES, type TestPostgres } from '../support/each-postgres.ts';
import { asOwner, sharedPostgres, startOwnPostgres } from '../support/postgres.ts';
import { connectAs, customerOf, passwordOf, placesOf, provisionAll, rowsAsOwner } from '../support/tenants.ts';

const axe = customerOf('axe', { axe: ['prod'], studio: ['prod'] });
const zen = customerOf('zen', { zen: ['prod'] });
const customers = [axe, zen];

/** One hole each: where it is made, how, and how the complaint must name it. `own`, `rw` and `ro` are those of axe:prod. */
const HOLES: { in: string; make: string; says: RegExp }[] = [
  {
    in: 'postgres',
    make: 'grant connect on database frame_axe to public',
    says: /^database frame_axe is open to every/,
  },
  {
    in: 'postgres',
    make: 'grant temporary on database frame_axe to public',
    says: /^database frame_axe is open to every/,
  },
  {
    in: 'postgres',
    make: 'grant connect on database frame_control to public',
    says: /^database frame_control is open/,
  },
  { in: 'postgres', make: 'grant connect on database postgres to public', says: /^database postgres is open to every/ },
  {
    in: 'postgres',
    make: 'grant connect on database template1 to public',
    says: /^database template1 is open to every/,
  },
  {
    in: 'postgres',
    make: 'grant connect on database frame_zen to :ro',
    says: /^database frame_zen gives connect to ro_/,
  },
  {
    in: 'postgres',
    make: 'grant create on database frame_axe to :own',
    says: /^database frame_axe gives create to own_/,
  },
  {
    in: 'postgres',
    make: 'grant connect on database frame_axe to frame_audit',
    says: /^database frame_axe gives connect to frame_audit/,
  },
  {
    in: 'postgres',
    make: 'revoke connect on database frame_axe from :rw',
    says: /^database frame_axe does not let 1 of its logins in, such as rw_/,
  },
  { in: 'postgres', make: 'alter role :ro superuser', says: /^login ro_\w+ has other rights/ },
  { in: 'postgres', make: 'alter role :ro createrole', says: /^login ro_\w+ has other rights/ },
  { in: 'postgres', make: 'alter role :rw createdb', says: /^login rw_\w+ has other rights/ },
  { in: 'postgres', make: 'alter role :rw replication', says: /^login rw_\w+ has other rights/ },
  { in: 'postgres', make: 'alter role :rw bypassrls', says: /^login rw_\w+ has other rights/ },
  { in: 'postgres', make: 'alter role :own inherit', says: /^login own_\w+ has other rights/ },
  { in: 'postgres', make: 'alter role :own nologin', says: /^login own_\w+ has other rights/ },
  { in: 'postgres', make: 'alter role :own connection limit 1000', says: /^login own_\w+ has other rights or limits/ },
  { in: 'postgres', make: 'alter role frame_catalog bypassrls', says: /^login frame_catalog has other rights/ },
  { in: 'postgres', make: 'grant :own to :ro', says: /^login ro_\w+ is a member of own_/ },
  { in: 'postgres', make: 'grant pg_read_all_data to :ro', says: /^login ro_\w+ is a member of pg_read_all_data/ },
  { in: 'postgres', make: 'grant :own to frame_catalog', says: /^login frame_catalog is a member of own_/ },
  {
    in: 'postgres',
    make: 'alter role :ro set statement_timeout = 0',
    says: /^login ro_\w+ has other settings .*: statement_timeout/,
  },
  {
    in: 'postgres',
    make: 'alter role :ro reset temp_file_limit',
    says: /^login ro_\w+ has other settings .*: temp_file_limit/,
  },
  {
    in: 'postgres',
    make: 'alter role :ro set default_transaction_read_only = off',
    says: /^login ro_\w+ .*default_transaction_read_only/,
  },
  {
    in: 'postgres',
    make: 'alter role :rw set search_path = studio_prod, axe_prod',
    says: /^login rw_\w+ has other settings .*: search_path/,
  },
  {
    in: 'postgres',
    make: 'alter role :rw reset all',
    says: /^login rw_\w+ has other settings .*: client_connection_check_interval, .*work_mem/,
  },
  {
    in: 'postgres',
    make: 'alter role :ro in database frame_axe set statement_timeout = 0',
    says: /^login ro_\w+ has settings in one/,
  },
  { in: 'postgres', make: "alter role :rw password 'mine now'", says: /^login rw_\w+ has not the password/ },
  { in: 'postgres', make: 'alter role :rw password null', says: /^login rw_\w+ has not the password/ },
  {
    in: 'postgres',
    make: "alter role frame_audit password 'mine now'",
    says: /^login frame_audit has not the password/,
  },
  { in: 'frame_axe', make: 'create schema public', says: /^frame_axe: schema public should not be there/ },
  {
    in: 'frame_axe',
    make: 'grant usage on schema axe_prod to public',
    says: /^frame_axe: schema axe_prod is open to everyone/,
  },
  {
    in: 'frame_axe',
    make: 'grant usage on schema information_schema to public',
    says: /^frame_axe: schema information_schema is open/,
  },
  {
    in: 'frame_axe',
    make: 'grant usage on schema studio_prod to :ro',
    says: /^frame_axe: schema studio_prod gives usage to ro_/,
  },
  {
    in: 'frame_axe',
    make: 'grant create on schema axe_prod to :rw',
    says: /^frame_axe: schema axe_prod gives create to rw_/,
  },
  {
    in: 'frame_axe',
    make: 'grant usage on schema axe_prod to frame_catalog',
    says: /^frame_axe: schema axe_prod gives usage to frame_catalog/,
  },
  {
    in: 'frame_axe',
    make: 'revoke usage on schema axe_prod from :ro',
    says: /^frame_axe: schema axe_prod is missing or lacks rights/,
  },
  {
    in: 'frame_axe',
    make: 'alter default privileges for role :own in schema axe_prod revoke select on tables from :ro',
    says: /^frame_axe: schema axe_prod is missing or lacks rights/,
  },
  { in: 'frame_axe', make: 'grant usage on language plpgsql to public', says: /^frame_axe: language plpgsql is open/ },
  { in: 'frame_axe', make: 'grant usage on language sql to public', says: /^frame_axe: language sql is open/ },
  {
    in: 'frame_axe',
    make: 'grant execute on function pg_sleep(float8) to public',
    says: /everyone call functions .*\(1, such as pg_sleep\(double precision\)\)/,
  },
  {
    in: 'frame_axe',
    make: 'grant execute on function set_config(text, text, bool) to public',
    says: /everyone call functions .*set_config/,
  },
  {
    in: 'frame_axe',
    make: 'revoke execute on function now() from public',
    says: /^frame_axe: pg_catalog does not let everyone call now\(\)/,
  },
  {
    in: 'frame_axe',
    make: 'grant select on pg_catalog.pg_class to public',
    says: /everyone use relations .*\(1, such as pg_catalog.pg_class\)/,
  },
  {
    in: 'frame_axe',
    make: 'grant select (rolname) on pg_catalog.pg_authid to public',
    says: /everyone use relations .*pg_authid/,
  },
  {
    in: 'frame_axe',
    make: 'grant select on information_schema.tables to public',
    says: /everyone use relations .*information_schema.tables/,
  },
  {
    in: 'frame_axe',
    make: 'alter default privileges grant execute on functions to public',
    says: /^frame_axe: database frame_axe lets everyone use new functions/,
  },
  {
    in: 'frame_axe',
    make: 'revoke select on pg_catalog.pg_index from frame_catalog',
    says: /^frame_axe: login frame_catalog may not read pg_index/,
  },
  {
    in: 'frame_axe',
    make: 'revoke execute on function pg_get_expr(pg_node_tree, oid) from frame_catalog',
    says: /^frame_axe: login frame_catalog may not call pg_get_expr/,
  },
  {
    in: 'frame_axe',
    make: "delete from frame.migrations where schema_name = 'studio_prod'; drop schema studio_prod cascade",
    says: /^frame_axe: schema studio_prod /,
  },
  {
    in: 'frame_control',
    make: "delete from frame.environments where customer = 'zen'",
    says: /^zen\/zen:prod is missing/,
  },
  { in: 'frame_axe', make: 'drop owned by :ro; drop role :ro', says: /^login ro_\w+ is missing/ },
  { in: 'postgres', make: 'drop database frame_zen', says: /^database frame_zen is missing/ },
];

describe.each(EACH_POSTGRES)('on $name', ({ isThere, start }) => {
  let own: TestPostgres;
  beforeAll(async () => {
    if (!isThere) return;
    own = await start();
    await provisionAll(own.server, customers);
  });
  afterAll(() => own?.remove());

  const findPlace = async (schema: string): Promise<Place> => {
    const place = (await placesOf(own.server)).find(place => place.schema === schema);
    if (!place) throw new Error(`no ${schema}`);
    return place;
  };

  describe.skipIf(!isThere)('serve refuses a hole and names it, migrate closes it', () => {
    test.each(HOLES)('$make', async ({ in: database, make, says }) => {
      const place = await findPlace('axe_prod');
      const script = make.replaceAll(/:(own|rw|ro)\b/g, (_, mode) => `${mode}_${place.roleId}`);
      await asOwner(own.server, database, script);

      const refusal = await assertWalls(own.server, customers, passwordOf).catch(error => error);
      const sentences: string[] = refusal.mistakes?.map((mistake: Mistake) => mistake.sentence) ?? [];
      expect(sentences).toContainEqual(expect.stringMatching(says));
      expect(sentences.filter(sentence => !sentence.endsWith('; run `frame migrate`'))).toEqual([]);

      const report = await provisionAll(own.server, customers);
      expect(
        [report.mended, ...report.customers.flatMap(({ mended, created }) => [mended, created])].flat().length,
      ).toBeGreaterThan(0);
      await assertWalls(own.server, customers, passwordOf);
    });
  });

  describe.skipIf(!isThere)('behind the walls', () => {
    test('the work of members goes on: tables with everything the tools offer, rows, aggregates, COPY', async () => {
      const place = await findPlace('axe_prod');
      const designer = connectAs(own.server, loginOf(place, 'own'));
      await designer.unsafe(TABLES);
      await designer.end();

      const editor = connectAs(own.server, loginOf(place, 'rw'));
      await editor`insert into customers (name, mail, created_by) values ('Ada', 'ada@axe.example', 'me')`;
      await editor`insert into orders (customer, total, state, placed, notes, created_by)
        select id, 12.5, 'open', '2026-11-20', '{"a": [1, 2]}', 'me' from customers`;
      await editor`update orders set total = total * 2 where notes @> '{"a": [1]}' and created_at <= now()`;
      await editor`insert into orders (customer, total, state, created_by) select id, 1, 'done', 'me' from customers
        on conflict do nothing`;
      await expect(
        editor`insert into orders (customer, total, state) values (gen_random_uuid(), 1, 'open')`,
      ).rejects.toThrow(/foreign key/);
      await expect(
        editor`insert into orders (customer, total, state) select id, -1, 'open' from customers`,
      ).rejects.toThrow(/check constraint/);
      expect(await editor.unsafe(QUESTION)).toEqual([
        { name: 'Ada', sum: '26.0', states: 'done, open', months: ['2026-11'], latest: true },
      ]);
      expect(await editor`explain select * from orders where state like 'op%' order by total`).not.toEqual([]);
      await editor`delete from customers where name ilike 'ada'`;
      expect(await editor`select count(*)::int as left from orders`).toEqual([{ left: 0 }]);
      await editor.end();
    });

    test('a reader reads, and that is all', async () => {
      const reader = connectAs(own.server, loginOf(await findPlace('axe_prod'), 'ro'));
      expect(await reader`select count(*)::int as count from customers`).toEqual([{ count: 0 }]);
      await expect(reader`insert into customers (name) values ('Eve')`).rejects.toMatchObject({ code: '25006' });
      const anyway = reader.unsafe("begin read write; insert into customers (name) values ('Eve'); commit");
      await expect(anyway).rejects.toMatchObject({ code: '42501' });
      await reader.end();
    });

    test('the catalog login describes tables and sees no row', async () => {
      const catalog = connectAs(own.server, catalogLogin('frame_axe'));
      const columns = await catalog`
        select attname, format_type(atttypid, atttypmod) as type, pg_get_expr(adbin, adrelid) as default
        from pg_attribute join pg_class on pg_class.oid = attrelid join pg_namespace on pg_namespace.oid = relnamespace
        left join pg_attrdef on adrelid = attrelid and adnum = attnum
        where nspname = 'axe_prod' and relname = 'customers' and attnum > 0 and attname in ('id', 'name') order by attnum`;
      expect(columns).toEqual([
        { attname: 'id', type: 'uuid', default: 'axe_prod._uuid7()' },
        { attname: 'name', type: 'text', default: null },
      ]);
      for (const hostile of [
        'select * from axe_prod.customers',
        'select pg_sleep(1)',
        'select * from pg_authid',
        'create temp table t ()',
      ]) {
        await expect(catalog.unsafe(hostile)).rejects.toMatchObject({ code: expect.stringMatching(/^(42501|25006)$/) });
      }
      await catalog.end();
    });

    test('every login says what it may take', async () => {
      const reader = connectAs(own.server, loginOf(await findPlace('axe_prod'), 'ro'));
      const settings = [
        'statement_timeout',
        'lock_timeout',
        'temp_file_limit',
        'log_min_error_statement',
        'search_path',
      ];
      const shown = await Promise.all(
        settings.map(async name => Object.values((await reader.unsafe(`show ${name}`))[0] ?? {})),
      );
      expect(shown.flat()).toEqual(['5s', '3s', '64MB', 'panic', 'axe_prod, pg_temp']);
      await reader.end();
    });
  });
});

test('the lists name functions and relations that there are', async () => {
  const shared = await sharedPostgres();
  const named = async (catalog: string, column: string, names: readonly string[]) => {
    const rows = await rowsAsOwner(
      shared,
      'postgres',
      `select ${column} from ${catalog} where ${column} in ('${names.join("', '")}')`,
    );
    return names.filter(name => !rows.flat().includes(name));
  };
  expect(await named('pg_proc', 'proname', [...OPEN_FUNCTIONS, ...CATALOG_FUNCTIONS])).toEqual([]);
  expect(await named('pg_class', 'relname', CATALOG_RELATIONS)).toEqual([]);
});

test('an empty server is refused with what it lacks first', async () => {
  const own = await startOwnPostgres();
  const refusal = await assertWalls(own.server, customers, passwordOf).catch(error => error);
  expect(refusal).toBeInstanceOf(WrongConfiguration);
  expect(refusal.mistakes.map((mistake: Mistake) => mistake.sentence)).toEqual([
    'database frame_control is missing; run `frame migrate`',
    'database frame_axe is missing; run `frame migrate`',
    'database frame_zen is missing; run `frame migrate`',
  ]);
  await own.remove();
});

const SYSTEM_COLUMNS = `id uuid primary key default _uuid7(), created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(), created_by text`;

const TABLES = `
  create table customers (${SYSTEM_COLUMNS}, name text not null check (char_length(name) between 1 and 100),
    mail text unique check (mail ~ '^[^@]+@[^@]+$'), code uuid default gen_random_uuid());
  create table orders (${SYSTEM_COLUMNS}, customer uuid not null references customers on delete cascade,
    number bigint generated always as identity, total numeric check (total >= 0), state text check (state in ('open', 'done')),
    placed date, paid boolean default false, notes jsonb, seen timestamptz default now());
  create index on orders (customer, placed);
  create index on orders using gin (notes);
  create trigger _touch before insert or update on customers for each row execute function _touch();
  create trigger _touch before insert or update on orders for each row execute function _touch();
  comment on table orders is 'what was ordered';
  alter table orders alter column placed type timestamptz using placed::timestamptz, alter column total set default 0;`;

const QUESTION = `
  select c.name, sum(o.total)::text, string_agg(o.state, ', ' order by o.state) as states,
    json_agg(distinct to_char(date_trunc('month', o.placed), 'YYYY-MM')) filter (where o.placed is not null) as months,
    max(o.created_at) <= clock_timestamp() as latest
  from orders o join customers c on c.id = o.customer
  where o.state like any (array['%o%', lower('OPEN')]) and o.notes is null or o.notes ->> 'a' <> '' group by c.name`;
