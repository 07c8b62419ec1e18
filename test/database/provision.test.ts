import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { assertWalls } from '../../src/database/assert-walls.ts';
import { loginOf } from '../../src/database/place.ts';
import { provision } from '../../src/database/provision.ts';
import { openServer } from '../../src/database/server.ts';
import { WrongConfiguration } from '../../src/errors.ts';
import { observeNothing } from '../../src/observe.ts';
import { Secret } from '../../src/secret.ts';
import { asOwner, type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';
import { connectAs, customerOf, passwordOf, placesOf, provisionAll, rowsAsOwner } from '../support/tenants.ts';

const axe = customerOf('axe', { axe: ['prod', 'dev'], 'axe-studio': ['prod'] });
const zen = customerOf('zen-co', { zen: ['prod'] });

const withAllMigrations = (schema: string) => [`${schema} 001_internal`, `${schema} 002_pii`];

describe('on an empty server', () => {
  let own: OwnPostgres;
  beforeEach(async () => {
    own = await startOwnPostgres();
  });
  afterEach(() => own.remove());

  test('makes everything on an empty server, and nothing the second time', async () => {
    const first = await provisionAll(own.server, [axe, zen]);
    expect(
      first.customers.map(({ customer, database, created, migrated }) => ({ customer, database, created, migrated })),
    ).toEqual([
      {
        customer: 'axe',
        database: 'frame_axe',
        created: ['axe/axe:prod', 'axe/axe:dev', 'axe/axe-studio:prod'],
        migrated: ['axe_dev', 'axe_prod', 'axe_studio_prod'].flatMap(withAllMigrations),
      },
      {
        customer: 'zen-co',
        database: 'frame_zen_co',
        created: ['zen-co/zen:prod'],
        migrated: withAllMigrations('zen_prod'),
      },
    ]);
    await assertWalls(own.server, [axe, zen], passwordOf);

    const second = await provisionAll(own.server, [axe, zen]);
    expect(second).toEqual({
      customers: [
        { customer: 'axe', database: 'frame_axe', created: [], mended: [], migrated: [] },
        { customer: 'zen-co', database: 'frame_zen_co', created: [], mended: [], migrated: [] },
      ],
      mended: [],
      absent: [],
      warnings: [],
    });
  });

  test('four at once make it once', async () => {
    const reports = await Promise.all([1, 2, 3, 4].map(() => provisionAll(own.server, [axe, zen])));
    expect(reports.map(({ customers }) => customers.flatMap(({ created }) => created).length).sort()).toEqual([
      0, 0, 0, 4,
    ]);
    await assertWalls(own.server, [axe, zen], passwordOf);
  });

  test('two that start from the same server at once but for different customers leave both whole', async () => {
    await Promise.all([provisionAll(own.server, [axe]), provisionAll(own.server, [zen])]);
    await assertWalls(own.server, [axe, zen], passwordOf);
    await assertWalls(own.server, [axe], passwordOf);
  });

  test('an owner that is no superuser is refused before anything is made', async () => {
    await asOwner(own.server, 'postgres', "create role almost login createdb createrole password 'almost'");
    const url = own.url.reveal().replace(/\/\/[^@]*@/, '//almost:almost@');
    const weak = await openServer({ databaseUrl: new Secret(url), dataFolder: 'unused', observe: observeNothing });
    await expect(provisionAll(weak, [axe])).rejects.toThrow(/FRAME_DATABASE_URL {2}the login almost is no superuser/);
    expect(
      await rowsAsOwner(own.server, 'postgres', "select datname from pg_database where datname ~ 'frame'"),
    ).toEqual([]);
  });
});

describe('on a server that is in use', () => {
  let own: OwnPostgres;
  beforeAll(async () => {
    own = await startOwnPostgres();
    await provisionAll(own.server, [axe]);
  });
  afterAll(() => own.remove());

  test('every login gets in with the password that the key gives, and with no other', async () => {
    const places = await placesOf(own.server);
    for (const place of places) {
      for (const mode of ['own', 'rw', 'ro'] as const) {
        const login = loginOf(place, mode);
        const sql = connectAs(own.server, login);
        expect(await sql`select session_user as who, current_schema as home`).toEqual([
          { who: login.role, home: place.schema },
        ]);
        await sql.end();
      }
    }
    const role = `ro_${places[0]?.roleId}`;
    const url = `postgres://${role}:wrong@127.0.0.1:${own.server.address.port}/frame_axe`;
    const opened = openServer({ databaseUrl: new Secret(url), dataFolder: 'unused', observe: observeNothing });
    await expect(opened).rejects.toThrow(WrongConfiguration);
  });

  test('a hundred environments', async () => {
    const many = customerOf('many', Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`e${i}`, ['prod']])));
    const { customers } = await provisionAll(own.server, [many]);
    expect(customers[0]?.created).toHaveLength(100);
    expect(customers[0]?.migrated).toHaveLength(200);
    await assertWalls(own.server, [many], passwordOf);
  });

  test('a new entity joins; what was there keeps its roles', async () => {
    const small = customerOf('grow', { one: ['prod'] });
    const grown = customerOf('grow', { one: ['prod'], two: ['dev'] });
    await provisionAll(own.server, [small]);
    const before = await placesOf(own.server);
    await expect(assertWalls(own.server, [grown], passwordOf)).rejects.toThrow(
      /grow\/two:dev is missing; run `frame migrate`/,
    );
    const report = await provisionAll(own.server, [grown]);
    expect(report.customers[0]?.created).toEqual(['grow/two:dev']);
    expect(await placesOf(own.server)).toEqual(expect.arrayContaining(before));
  });

  test('an entity that is gone is reported; its data, its walls and its logins stay', async () => {
    const whole = customerOf('shrink', { one: ['prod', 'dev'], two: ['prod'] });
    const shrunk = customerOf('shrink', { one: ['prod'] });
    await provisionAll(own.server, [whole]);
    await asOwner(own.server, 'frame_shrink', 'create table one_dev.kept as select 42 as answer');
    const { absent, mended } = await provisionAll(own.server, [axe, shrunk]);
    const schemas = absent.filter(({ customer }) => customer === 'shrink').map(({ schema }) => schema);
    expect(schemas).toEqual(['one_dev', 'two_prod']);
    expect(absent.filter(({ customer }) => customer === 'axe')).toEqual([]);
    expect(mended).toEqual([]);
    expect(await rowsAsOwner(own.server, 'frame_shrink', 'select answer from one_dev.kept')).toEqual([[42]]);
    await assertWalls(own.server, [shrunk], passwordOf);
    await assertWalls(own.server, [axe, whole], passwordOf);
  });

  test('an entity whose schema belongs to one of another name is refused', async () => {
    const renamed = customerOf('axe', { axe_studio: ['prod'] });
    await expect(provisionAll(own.server, [renamed])).rejects.toThrow(
      /axe\/axe_studio:prod would get the schema of another/,
    );
  });

  test('another master key than the first is refused, and changes nothing', async () => {
    const everything = () =>
      Promise.all([
        rowsAsOwner(own.server, 'postgres', 'select rolname, rolpassword from pg_authid order by 1'),
        rowsAsOwner(own.server, 'postgres', 'select datname from pg_database order by 1'),
      ]);
    const before = await everything();
    const other = (role: string) => `other ${role}`;
    const sentence = /the master key is not the one that this installation began with/;
    await expect(provision(own.server, [axe, zen], other, observeNothing)).rejects.toThrow(sentence);
    await expect(assertWalls(own.server, [axe], other)).rejects.toThrow(sentence);
    expect(await everything()).toEqual(before);
  });

  test('what is stored of the master key opens nothing', async () => {
    const [[stored] = []] = await rowsAsOwner(own.server, 'frame_control', 'select key_check from frame.installation');
    const roles = (await rowsAsOwner(own.server, 'postgres', 'select rolname from pg_roles')).flat().map(String);
    expect([...roles, 'installation'].map(passwordOf)).not.toContain(stored);
  });

  test('nobody waits for another one for ever', async () => {
    const other = await own.server.connectAsOwner('postgres');
    await other.query("select pg_advisory_lock(x'6672616d65'::bigint)");
    const late = provisionAll(own.server, [axe], { lockWaitSeconds: 1 });
    await expect(late).rejects.toMatchObject({ code: 'limit/lock', retryable: true });
    await other.close();
    await provisionAll(own.server, [axe]);
  });

  test('a database of others is left alone, and named when everyone may enter it', async () => {
    await asOwner(own.server, 'postgres', 'create database shop');
    await asOwner(own.server, 'postgres', 'create database quiet');
    await asOwner(own.server, 'postgres', 'revoke connect on database quiet from public');
    const { warnings } = await provisionAll(own.server, [axe]);
    expect(warnings).toEqual([expect.stringMatching(/The database shop is not ours and lets every login/)]);
    const acl = "select has_database_privilege('public', 'shop', 'connect')";
    expect(await rowsAsOwner(own.server, 'postgres', acl)).toEqual([[true]]);
  });

  test('a database that was lost is made again, with the logins that it had', async () => {
    const lost = customerOf('lost', { one: ['prod'] });
    await provisionAll(own.server, [lost]);
    const before = await placesOf(own.server);
    await asOwner(own.server, 'postgres', 'drop database frame_lost');
    const { customers } = await provisionAll(own.server, [lost]);
    expect(customers[0]).toMatchObject({ created: [], migrated: withAllMigrations('one_prod') });
    expect(await placesOf(own.server)).toEqual(before);
    await assertWalls(own.server, [lost], passwordOf);
  });
});
