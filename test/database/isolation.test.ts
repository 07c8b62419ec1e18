import type postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertWalls } from '../../src/database/assert-walls.ts';
import { AUDIT_LOGIN, CONTROL_LOGIN, catalogLogin, loginOf, type Mode, type Place } from '../../src/database/place.ts';
import type { DatabaseServer } from '../../src/database/server.ts';
import { MODES } from '../../src/database/walls.ts';
import { EACH_POSTGRES, type TestPostgres } from '../support/each-postgres.ts';
import { againstServer, againstVictim, allowedToAll, type Target } from '../support/hostile.ts';
import { connectAs, customerOf, passwordOf, placesOf, provisionAll, rowsAsOwner } from '../support/tenants.ts';

const customers = [
  customerOf('axe', { axe: ['prod'], studio: ['prod'] }),
  customerOf('zen', { zen: ['prod'], shop: ['dev'] }),
];
const SCHEMAS = ['axe_prod', 'studio_prod', 'zen_prod', 'shop_dev'];
const ATTACKERS = SCHEMAS.flatMap(schema => MODES.map(mode => ({ mode, schema })));
const DATABASES = ['postgres', 'template1', 'frame_control', 'frame_axe', 'frame_zen'];

/** Stands in the rows, comments, defaults and definitions of one schema, and nowhere else. */
const canaryOf = (schema: string) => `canary-of-${schema}`;

describe.each(EACH_POSTGRES)('on $name', ({ isThere, start }) => {
  let own: TestPostgres;
  let places: Place[];

  beforeAll(async () => {
    if (!isThere) return;
    own = await start();
    await provisionAll(own.server, customers);
    places = await placesOf(own.server);
    for (const place of places) await plantCanaries(own.server, place);
  });
  afterAll(() => own?.remove());

  const findPlace = (schema: string) => {
    const place = places.find(place => place.schema === schema);
    if (!place) throw new Error(`no ${schema}`);
    return place;
  };

  describe.skipIf(!isThere)('nothing crosses', () => {
    test.each(ATTACKERS)('from $mode of $schema to any other', async ({ mode, schema }) => {
      const before = await recordEverything(own.server, places);
      const mine = findPlace(schema);
      const victims = places.filter(place => place !== mine);
      const session = new HostileSession(own.server, mine, mode);
      const targetOf = (victim: Place): Target => ({
        mine: schema,
        me: loginOf(mine, mode).role,
        yours: victim.schema,
        yourOwn: loginOf(victim, 'own').role,
        yourRw: loginOf(victim, 'rw').role,
        yourRo: loginOf(victim, 'ro').role,
      });

      const statements = [
        ...againstServer(targetOf(mine)),
        ...victims.flatMap(victim => againstVictim(targetOf(victim))),
      ];
      const succeeded: string[] = [];
      for (const statement of statements) if (await session.run(statement)) succeeded.push(statement);
      for (const victim of victims)
        for (const statement of allowedToAll(targetOf(victim))) await session.run(statement);
      await session.close();

      expect(succeeded).toEqual([]);
      expect(SCHEMAS.filter(schema => session.heard.includes(canaryOf(schema)))).toEqual([schema]);
      expect(await recordEverything(own.server, places)).toEqual(before);
      await assertWalls(own.server, customers, passwordOf);
    });

    test('no login gets into a database that is not its own', async () => {
      const homes = [...places.flatMap(place => MODES.map(mode => loginOf(place, mode))), CONTROL_LOGIN, AUDIT_LOGIN];
      const doors = homes.flatMap(({ role, database }) =>
        DATABASES.filter(other => other !== database).map(other => ({ role, database: other })),
      );
      doors.push(...['postgres', 'template1', 'frame_control'].map(catalogLogin));
      const entered: unknown[] = [];
      for (const door of doors) {
        const sql = connectAs(own.server, door);
        await sql`select 1`.then(
          () => entered.push(door),
          error => expect(error.code).toBe('42501'),
        );
        await sql.end();
      }
      expect(doors.length).toBeGreaterThan(50);
      expect(entered).toEqual([]);
    });

    test('what a login can do to itself is noticed at boot, and mended by migrate', async () => {
      const { role, database } = loginOf(findPlace('axe_prod'), 'rw');
      const { role: other } = loginOf(findPlace('studio_prod'), 'ro');
      const sql = connectAs(own.server, { role, database });
      await sql.unsafe(
        "alter role current_user password 'mine'; alter role current_user in database frame_axe set statement_timeout = 0",
      );
      // Before Postgres 16 everybody may lend themselves to others.
      const isLent = await sql.unsafe(`grant ${role} to ${other}`).then(
        () => true,
        error => error.code !== '42501',
      );
      await sql.end();
      const refusal = await assertWalls(own.server, customers, passwordOf).catch(String);
      expect(refusal).toMatch(/has settings in one database(.|\n)*has not the password/);
      expect(refusal?.includes(`login ${other} is a member of ${role}`)).toBe(isLent);
      await provisionAll(own.server, customers);
      await assertWalls(own.server, customers, passwordOf);
    });
  });
});

/** A raw session: simple protocol, several statements at once, nothing of ours in between. */
class HostileSession {
  /** All that came back: rows, errors with all their fields, notices. */
  heard = '';
  readonly #open: () => postgres.Sql;
  #sql: postgres.Sql;

  constructor(server: DatabaseServer, place: Place, mode: Mode) {
    this.#open = () => connectAs(server, loginOf(place, mode), notice => this.#hear(notice));
    this.#sql = this.#open();
  }

  /** Whether all of it ran. */
  async run(statement: string): Promise<boolean> {
    const failure = await this.#try(statement);
    for (const reset of ['rollback', 'discard all']) if (await this.#try(reset)) await this.#reconnect();
    return failure === undefined;
  }

  close(): Promise<void> {
    return this.#sql.end();
  }

  async #try(statement: string): Promise<unknown> {
    try {
      this.#hear(await this.#sql.unsafe(statement).simple());
    } catch (error) {
      this.#hear(error);
      return error;
    }
  }

  async #reconnect(): Promise<void> {
    await this.#sql.end();
    this.#sql = this.#open();
  }

  #hear(answer: unknown): void {
    // Both forms: an error keeps its message out of JSON.
    this.heard += `${answer} ${JSON.stringify(answer)}\n`;
  }
}

async function plantCanaries(server: DatabaseServer, place: Place): Promise<void> {
  const canary = `'${canaryOf(place.schema)}'`;
  const designer = connectAs(server, loginOf(place, 'own'));
  await designer.unsafe(`
    create table secrets (id int primary key, canary text default ${canary});
    comment on table secrets is ${canary};
    create view secrets_view as select ${canary} as canary;
    create sequence numbers;
    insert into secrets select i from generate_series(1, 5) i;
    insert into _versions (version, author, summary, statements) values (1, ${canary}, ${canary}, '[]');
    insert into _plans (id, caller, expires_at, body) values (gen_random_uuid(), ${canary}, now(), '{}')`);
  await designer.end();
  const editor = connectAs(server, loginOf(place, 'rw'));
  await editor.unsafe(`insert into _requests (key, caller, digest) values (${canary}, ${canary}, ${canary})`);
  await editor.end();
}

/** All rows, all rights and all logins, as the superuser sees them. */
async function recordEverything(server: DatabaseServer, places: readonly Place[]): Promise<unknown[]> {
  const inSchemas = places.map(({ database, schema }) =>
    rowsAsOwner(
      server,
      database,
      `select json_build_array(
        (select json_agg(r) from ${schema}.secrets r), (select json_agg(r) from ${schema}._versions r),
        (select json_agg(r) from ${schema}._plans r), (select json_agg(r) from ${schema}._requests r),
        (select last_value from ${schema}.numbers),
        (select json_agg(json_build_array(relname, relowner, relacl::text, relkind) order by relname)
         from pg_class where relnamespace = '${schema}'::regnamespace),
        (select json_agg(json_build_array(nspname, nspowner, nspacl::text) order by nspname) from pg_namespace
         where nspname !~ '^pg_t'))`,
    ),
  );
  const onServer = [
    'select row_to_json(r) from pg_authid r order by rolname',
    'select datname, datacl::text from pg_database order by datname',
  ].map(text => rowsAsOwner(server, 'postgres', text));
  return await Promise.all([...inSchemas, ...onServer]);
}
