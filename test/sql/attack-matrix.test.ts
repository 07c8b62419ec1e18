import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertWalls } from '../../src/database/assert-walls.ts';
import { loginOf, type Place } from '../../src/database/place.ts';
import { createPools, type Pools } from '../../src/database/pools.ts';
import { createSqlSessions, type SqlSessions } from '../../src/database/sql-sessions.ts';
import type { FrameError } from '../../src/errors.ts';
import { observeNothing } from '../../src/observe.ts';
import { FUNCTIONS, NAMED_RESULTS } from '../../src/sql/allowed.ts';
import { type Catalog, createCatalog } from '../../src/tables/catalog.ts';
import { type Guard, runSql, runSqlBehind } from '../../src/tools/data/run-sql.ts';
import { EACH_POSTGRES, type TestPostgres } from '../support/each-postgres.ts';
import { againstServer, againstVictim, allowedToAll, type Target } from '../support/hostile.ts';
import { connectAs, customerOf, passwordOf, placesOf, provisionAll, rowsAsOwner } from '../support/tenants.ts';
import { callerOf, fakeMeans } from '../tools/fixture.ts';
import { BOMBS, hostileExpressions, hostileRelations, hostileStatements } from './attacks.ts';
import { ORDINARY, ORDINARY_SINCE, SHOP_ROWS, SHOP_TABLES } from './ordinary.ts';

// Every attack through the tool: with the guard, which refuses it in words, and without it, where only the rights of the
// login and the way a query is run stand between the attacker and everybody else. Raw logins: isolation.test.ts.

const customers = [customerOf('axe', { axe: ['prod'], studio: ['prod'] }), customerOf('zen', { zen: ['prod'] })];
const LIMITS = { own: 2, rw: 4, ro: 4, total: 20, acquireTimeoutMs: 10_000, idleSeconds: 30, maxLifetimeMinutes: 30 };
const SQL_LIMITS = { perCaller: 1, perPlace: 3, total: 12, waitMs: 10_000, maxAnswerBytes: 2_000_000 };

const canaryOf = (schema: string) => `canary-of-${schema}`;
/** Lets everything through, as it is. */
const noGuard: Guard = async text => ({ text, tables: [], originalBefore: () => '' });
const unguarded = runSqlBehind(noGuard);

describe.each(EACH_POSTGRES)('on $name', ({ isThere, start }) => {
  let own: TestPostgres;
  let places: Place[];
  let pools: Pools;
  let sql: SqlSessions;
  let catalog: Catalog;
  let version: number;

  beforeAll(async () => {
    if (!isThere) return;
    own = await start();
    await provisionAll(own.server, customers);
    places = await placesOf(own.server);
    const parts = { server: own.server.address, passwordOf, observe: observeNothing };
    pools = createPools({ ...parts, limits: { ...LIMITS, maxAnswerBytes: 8_000_000 } });
    sql = createSqlSessions({ ...parts, pools: { ...LIMITS, maxAnswerBytes: 8_000_000 }, limits: SQL_LIMITS });
    catalog = createCatalog({ pools, now: Date.now, ttlMs: 60_000 });
    for (const place of places) await furnish(own, place);
    const [row] = await rowsAsOwner(
      own.server,
      'postgres',
      "select current_setting('server_version_num')::int / 10000",
    );
    version = Number(row?.[0]);
  });
  afterAll(async () => {
    await Promise.all([sql?.close(), pools?.close()]);
    await own?.remove();
  });

  const placeOf = (schema: string) => {
    const place = places.find(place => place.schema === schema);
    if (!place) throw new Error(`no ${schema}`);
    return place;
  };

  function targetOf(mine: Place, yours: Place): Target {
    return {
      mine: mine.schema,
      me: loginOf(mine, 'ro').role,
      yours: yours.schema,
      yourOwn: loginOf(yours, 'own').role,
      yourRw: loginOf(yours, 'rw').role,
      yourRo: loginOf(yours, 'ro').role,
    };
  }

  /** What the attacker hears, whatever it is. */
  async function ask(tool: typeof runSql, text: string, place = placeOf('axe_prod')): Promise<Heard> {
    const means = { ...fakeMeans(), pools, sql, catalog };
    const call = { caller: callerOf([]), place, requestId: 'r', signal: AbortSignal.timeout(30_000), means };
    try {
      return { text: JSON.stringify((await tool.run(call, { sql: text, limit: 500 })).result), refusal: undefined };
    } catch (thrown) {
      const refusal = thrown as FrameError;
      return { text: `${refusal.message} ${refusal.hint} ${refusal.detail}`, refusal };
    }
  }

  /** Rows, rights and logins of everybody, as the superuser sees them. */
  async function recordAll(): Promise<unknown[]> {
    const inSchemas = places.map(({ database, schema }) =>
      rowsAsOwner(
        own.server,
        database,
        `select (select json_agg(r) from ${schema}.secrets r), (select json_agg(r order by id) from ${schema}.customers r),
          (select last_value from ${schema}.numbers),
          (select json_agg(json_build_array(relname, relowner, relacl::text) order by relname)
           from pg_class where relnamespace = '${schema}'::regnamespace)`,
      ),
    );
    return await Promise.all([
      ...inSchemas,
      rowsAsOwner(own.server, 'postgres', 'select row_to_json(r) from pg_authid r order by rolname'),
    ]);
  }

  describe.skipIf(!isThere)('nothing crosses', () => {
    test('whatever is asked: the guard refuses it, and without the guard it harms and tells nobody else', async () => {
      const mine = placeOf('axe_prod');
      const before = await recordAll();
      const victims = places.filter(place => place !== mine);
      const hostile = new Set(againstServer(targetOf(mine, mine)));
      const allowed = new Set<string>();
      for (const victim of victims) {
        for (const text of againstVictim(targetOf(mine, victim))) hostile.add(text);
        for (const text of allowedToAll(targetOf(mine, victim))) allowed.add(text);
      }
      for (const text of ownAttacks(placeOf('studio_prod'))) allowed.add(text);

      const letThrough: string[] = [];
      const succeeded: string[] = [];
      let heard = '';
      for (const text of [...hostile, ...allowed]) {
        const guarded = await ask(runSql, text);
        if (!guarded.refusal || !isVerdict(guarded.refusal)) letThrough.push(text);
        const bare = await ask(unguarded, text);
        if (!bare.refusal && hostile.has(text)) succeeded.push(text);
        heard += `${guarded.text}\n${bare.text}\n`;
      }
      expect(letThrough).toEqual([]);
      expect(succeeded).toEqual([]);
      for (const { schema } of victims) expect(heard).not.toContain(canaryOf(schema));
      expect(await recordAll()).toEqual(before);
      await assertWalls(own.server, customers, passwordOf);
      // Whoever comes next on these connections meets nothing of it.
      for (const { schema } of places) {
        const { text } = await ask(runSql, 'select * from secrets', placeOf(schema));
        expect(text.match(/canary-of-\w+/g)).toEqual(Array(5).fill(canaryOf(schema)));
      }
      expect(hostile.size + allowed.size).toBeGreaterThan(500);
    }, 300_000);

    test('a value of 600 MB is cut off on the way, and the next query is answered', async () => {
      for (const bomb of BOMBS.slice(0, 4)) {
        const before = process.memoryUsage().rss;
        const { refusal } = await ask(unguarded, `select ${bomb}, string_agg(${bomb}, '') from generate_series(1, 50)`);
        // On a slow machine the time is over before the first byte.
        expect(refusal?.code).toMatch(/^limit\/(bytes|time)$/);
        expect(process.memoryUsage().rss - before).toBeLessThan(100_000_000);
      }
      expect((await ask(runSql, 'select 1')).text).toContain('[[1]]');
    }, 120_000);

    test('names of somebody else are answered like names of nobody', async () => {
      const answers = [placeOf('studio_prod').schema, 'nobodys_prod'].map(schema =>
        [
          `select * from ${schema}.secrets`,
          `select ${schema}.secrets.canary from customers`,
          `select ${schema}.f()`,
          `select null::${schema}.secrets`,
          `select 'a' collate ${schema}.c`,
          `select 1 operator(${schema}.+) 1`,
          `select to_tsvector('${schema}.english', 'x')`,
          `select * from ${schema}`,
          `select ${schema}.canary from secrets`,
          `select '${schema}'::int`,
        ].map(async text => (await ask(runSql, text)).text.replaceAll(schema, 'S')),
      );
      const [real, none] = await Promise.all(answers.map(all => Promise.all(all)));
      expect(real).toEqual(none);
    });
  });

  describe.skipIf(!isThere)('what the guard lets through', () => {
    test('the server lets through too', async () => {
      const texts = [...ORDINARY, ...ORDINARY_SINCE.flatMap(([since, text]) => (since <= version ? [text] : []))];
      const refused: unknown[] = [];
      for (const text of texts) {
        const { refusal } = await ask(runSql, text);
        if (refusal) refused.push([text, refusal.message]);
      }
      expect(refused).toEqual([]);
      expect(texts.length).toBeGreaterThan(100);
    }, 60_000);

    test('every allowed function may be called, and takes no name of anything in the catalog', async () => {
      const { role, database } = loginOf(placeOf('axe_prod'), 'ro');
      const rows = await rowsAsOwner(
        own.server,
        database,
        `select p.proname::text, p.oid::regprocedure::text, has_function_privilege('${role}', p.oid, 'execute'), p.provolatile = 'v',
           exists (select from unnest(p.proargtypes) t where t::regtype::text ~ '^(reg|internal|cstring)')
         from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace`,
      );
      const overloads = rows.filter(([name]) => FUNCTIONS.has(String(name)));
      expect(overloads.length).toBeGreaterThan(400);
      expect(overloads.filter(([, , mayCall]) => mayCall !== true)).toEqual([]);
      // The names of languages are checked by the guard.
      const looksUp = overloads.filter(([, , , , looks]) => looks === true).map(([name]) => String(name));
      expect([...new Set(looksUp)].filter(name => !/tsvector$|tsquery$|^ts_headline$/.test(name))).toEqual([]);
      const [named] = await rowsAsOwner(
        own.server,
        database,
        `select array_to_string(array_agg(proname::text), ' ') from pg_proc p where pronamespace = 'pg_catalog'::regnamespace
         and (select count(*) from unnest(proargmodes) m where m in ('o', 'b', 't')) = 1`,
      );
      const namesItsColumn = String(named?.[0]).split(' ');
      expect(new Set(namesItsColumn.filter(name => FUNCTIONS.has(name)))).toEqual(NAMED_RESULTS);
      const changing = new Set(overloads.filter(([, , , isVolatile]) => isVolatile === true).map(([name]) => name));
      const harmless = [
        'array_sample',
        'array_shuffle',
        'clock_timestamp',
        'gen_random_uuid',
        'random',
        'random_normal',
      ];
      expect([...changing].sort()).toEqual([...harmless, 'uuidv4', 'uuidv7'].filter(name => changing.has(name)));
    });
  });
});

interface Heard {
  text: string;
  refusal: FrameError | undefined;
}

/** The guard's own words, before anything reached the server. */
function isVerdict({ code, cause }: FrameError): boolean {
  const isOurs = code === 'sql/refused' || code === 'sql/syntax' || code.startsWith('table/');
  return isOurs && !(cause instanceof Error && 'severity' in cause);
}

/** Some of them may run: what they read is the attacker's own, and what they set is gone afterwards. */
function ownAttacks(victim: Place): string[] {
  const names = { schema: victim.schema, role: loginOf(victim, 'own').role };
  return [
    ...hostileExpressions(names).map(expression => `select ${expression}`),
    ...hostileRelations(names).map(relation => `select * from ${relation}`),
    ...hostileStatements(names),
    `select set_config('role', '${names.role}', true), query_to_xml('select * from ${names.schema}.secrets', true, true, '')`,
    `select set_config('search_path', '${names.schema}', false)`,
    `set search_path = ${names.schema}`,
    "select string_agg(i::oid::regrole::text, ',') from generate_series(10, 20000) i",
  ];
}

async function furnish(own: TestPostgres, place: Place): Promise<void> {
  const canary = `'${canaryOf(place.schema)}'`;
  const designer = connectAs(own.server, loginOf(place, 'own'));
  await designer.unsafe(`create table secrets (id int primary key, canary text default ${canary});
    comment on table secrets is ${canary};
    create view secrets_view as select ${canary} as canary;
    create sequence numbers;
    insert into secrets select i from generate_series(1, 5) i`);
  for (const [name, columns] of Object.entries(SHOP_TABLES)) {
    await designer.unsafe(
      `create table ${name} (id uuid primary key default gen_random_uuid(), created_at timestamptz default now(), ${columns})`,
    );
  }
  for (const text of SHOP_ROWS) await designer.unsafe(text.replaceAll('$s', place.schema));
  await designer.end();
}
