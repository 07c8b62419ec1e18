import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { createCompanies, customersYaml, freshKey, PEOPLE, type Who } from './companies.ts';
import { call, change, type Row, type Seat, selectAll, use } from './wire.ts';

/**
 * Every place holds a row, a table, a column and a comment that exist nowhere else. Whatever anybody asks for, none of
 * them shows up elsewhere, and asking for them is answered as asking for what does not exist at all.
 */
interface Place {
  /** Who filled it, and the arguments by which they reach it. */
  owner: Who;
  customer: string;
  entity: string;
  environment: string;
  args: Row;
  mark: string;
  table: string;
  column: string;
  comment: string;
}

const fresh = (prefix: string) => `${prefix}${randomBytes(8).toString('hex')}`;

function placeOf(owner: Who, customer: string, entity: string, environment: string, args: Row): Place {
  const names = { mark: fresh('canary-'), table: fresh('t'), column: fresh('c'), comment: fresh('comment-') };
  return { owner, customer, entity, environment, args, ...names };
}

const PLACES = [
  placeOf('admin', 'axe', 'axe', 'prod', { entity: 'axe' }),
  placeOf('admin', 'axe', 'axe', 'dev', { entity: 'axe', environment: 'dev' }),
  placeOf('admin', 'axe', 'studio', 'staging', { entity: 'studio' }),
  placeOf('northAdmin', 'nordwind', 'nordwind', 'prod', { entity: 'nordwind' }),
  placeOf('northAdmin', 'nordwind', 'studio', 'prod', { entity: 'studio' }),
];

/** Whose places are whose: `customer/entity`. */
const REACH: Record<Who, string[]> = {
  admin: ['axe/axe', 'axe/studio'],
  dev: ['axe/axe'],
  editor: ['axe/studio'],
  viewer: ['axe/axe', 'axe/studio'],
  northAdmin: ['nordwind/nordwind', 'nordwind/studio'],
  northEditor: ['nordwind/nordwind'],
};
const EVERYBODY = Object.keys(REACH) as Who[];
const reaches = (who: Who, { customer, entity }: Place) => REACH[who].includes(`${customer}/${entity}`);
const foreignTo = (who: Who) => PLACES.filter(place => !reaches(who, place));
const ownOf = (who: Who) => PLACES.filter(place => reaches(who, place));
/** The arguments that this person has for the place: no `entity` where there is no choice. */
function argsOf(who: Who, { args }: Place): Row {
  const { entity, ...rest } = args;
  return REACH[who].length > 1 ? args : rest;
}

const entra = createCompanies();
let home: FrameHome;
let gateway: Serving;
const seats = new Map<Who, Seat>();
let hostile = 0;

beforeAll(async () => {
  home = await makeFrameHome(customersYaml(await entra.listen('127.0.0.1', 0)));
  // Who asks two things at once gets two answers: on a busy machine, calls wait rather than be refused.
  await home.writeFile('config/gateway.yaml', 'sql: { wait_ms: 30000 }\npools: { acquire_timeout_ms: 20000 }\n');
  gateway = await home.serve({ env: { FRAME_LOG: 'info' } });
  for (const who of EVERYBODY) {
    const { username, host } = PEOPLE[who];
    seats.set(who, { port: gateway.port, host, token: await entra.mint(username) });
  }
  for (const place of PLACES) await fill(place);
});

afterAll(async () => {
  await home?.remove();
  await entra.close();
});

function seat(who: Who): Seat {
  const found = seats.get(who);
  if (!found) throw new Error(who);
  return found;
}

async function fill({ owner, args, mark, table, column, comment }: Place): Promise<void> {
  const tables = [
    { name: 'canary', columns: [{ name: 'mark', type: 'text', unique: true }] },
    { name: table, comment, columns: [{ name: column, type: 'text', comment }] },
  ];
  await change(
    seat(owner),
    tables.map(create_table => ({ create_table })),
    args,
  );
  await use(seat(owner), 'insert_rows', { ...args, table: 'canary', rows: [{ mark }] });
  await use(seat(owner), 'insert_rows', { ...args, table, rows: [{ [column]: mark }] });
}

/** Calls as somebody who should learn nothing: no mark of a foreign place that was not in the question. */
async function probe(who: Who, tool: string, args: Row, headers?: Record<string, string>) {
  hostile += 1;
  const answer = await call(seat(who), tool, args, { 'x-request-id': 'probe', ...headers });
  const asked = JSON.stringify(args);
  for (const { mark, table, column, comment } of foreignTo(who)) {
    for (const secret of [mark, table, column, comment]) {
      if (!asked.includes(secret)) expect(answer.body, `${who} ${tool} ${asked}`).not.toContain(secret);
    }
  }
  expect(answer.body, `${who} ${tool} ${asked}`).not.toMatch(
    /"internal"|syntax error|SQLSTATE|PostgresError|own_|rw_|ro_/,
  );
  expect(answer.status, answer.body).toBe(200);
  return answer;
}

/** So many at once would be too much for a gateway that has no time. */
async function eachInTurn<T>(deeds: readonly (() => Promise<T>)[]): Promise<T[]> {
  const done: T[] = [];
  for (const deed of deeds) done.push(await deed());
  return done;
}

/** The same question with names that nobody ever used gets the same answer, byte for byte. */
async function expectNothing(who: Who, tool: string, args: Row, renamed: ReadonlyMap<string, string>): Promise<void> {
  const rename = (text: string) => [...renamed].reduce((renaming, [from, to]) => renaming.replaceAll(from, to), text);
  const [real, none] = await Promise.all([
    probe(who, tool, args),
    probe(who, tool, JSON.parse(rename(JSON.stringify(args)))),
  ]);
  // What depends on the moment and not on the name.
  const timeless = (body: string) =>
    body.replaceAll(/\\?"(plan|expires_at)\\?":\\?"[^"]+"/g, '').replaceAll(/[0-9a-f]{16}(?= (begins|ends))/g, '');
  expect(timeless(rename(real.body)), `${who} ${tool} ${JSON.stringify(args)}`).toBe(timeless(none.body));
}

/** Every way in which a name may be said. */
function questions(here: Row, { table, column, mark, customer, entity, environment }: Place): [string, Row][] {
  const schema = `${entity}_${environment}`;
  const disguises = [`${schema}.${table}`, `"${schema}"."${table}"`, `frame_${customer}.${schema}.${table}`];
  const canary = { ...here, table: 'canary' };
  return [
    ...[table, ...disguises].flatMap((name): [string, Row][] => [
      ['select_rows', { ...here, table: name }],
      ['describe_tables', { ...here, tables: [name], search: name, detail: 'full' }],
    ]),
    ...[
      `select * from ${table}`,
      `select ${column} from canary`,
      `select c.${column} from canary c`,
      `select ${table}.${column} from canary`,
      ...disguises.map(name => `select * from ${name}`),
      `select ${schema}.${table}.${column} from canary`,
      `select '${schema}.${table}'::regclass`,
      `with ${table} as (select * from ${table}) select 1`,
      `select count(*) from canary where mark = '${mark}'`,
      `select '${mark}'::int`,
    ].map((sql): [string, Row] => ['run_sql', { ...here, sql }]),
    ['insert_rows', { ...here, table, rows: [{ [column]: 'x' }] }],
    ['update_rows', { ...here, table, where: { [column]: mark }, set: { [column]: 'x' } }],
    ['delete_rows', { ...here, table, where: { [column]: mark } }],
    ['plan_change', { ...here, changes: [{ drop_table: { name: table } }] }],
    ['plan_change', { ...here, changes: [{ rename_table: { from: table, to: 'mine' } }] }],
    ['plan_change', { ...here, changes: [{ comment: { table, text: 'mine' } }] }],
    [
      'plan_change',
      {
        ...here,
        changes: [{ add_column: { table: 'canary', column: { name: 'r', type: 'reference', references: table } } }],
      },
    ],
    ['plan_change', { ...here, changes: [{ drop_column: { table: 'canary', column } }] }],
    ['plan_change', { ...here, changes: [{ create_index: { table: 'canary', columns: [column] } }] }],
    ['plan_change', { ...here, changes: [{ drop_index: { table: 'canary', index: `${table}_pkey` } }] }],
    ['select_rows', { ...canary, columns: [column] }],
    ['select_rows', { ...canary, where: { [column]: mark } }],
    ['select_rows', { ...canary, where: { mark } }],
    ['select_rows', { ...canary, where: { mark: { contains: mark.slice(0, -1) } } }],
    ['select_rows', { ...canary, order_by: [column] }],
    ['select_rows', { ...canary, where: { mark }, count: true }],
    ['update_rows', { ...canary, where: { mark }, set: { mark: 'x' } }],
    ['delete_rows', { ...canary, where: { mark } }],
  ];
}

describe.each(EVERYBODY)('%s', who => {
  test('reads all of what is theirs and nothing else', async () => {
    for (const place of ownOf(who)) {
      const here = argsOf(who, place);
      expect(await selectAll(seat(who), { ...here, table: 'canary', columns: ['mark'] })).toEqual([
        { mark: place.mark },
      ]);
      const { body } = await probe(who, 'describe_tables', { ...here, detail: 'full' });
      expect(body).toContain(place.table);
      for (const other of PLACES) if (other !== place) expect(body).not.toContain(other.table);
    }
  });

  test('gets the same answer for foreign things as for nothing', async () => {
    const [first] = ownOf(who);
    for (const place of ownOf(who)) {
      // One's own other places are no more in reach from here than those of others.
      for (const other of [...(place === first ? foreignTo(who) : []), ...ownOf(who).filter(own => own !== place)]) {
        const renamed = new Map(
          [other.table, other.column, other.mark].flatMap(
            name => [[name, fresh(name.slice(0, -16))]] as [string, string][],
          ),
        );
        for (const [name, none] of [...renamed]) renamed.set(name.toUpperCase(), none.toUpperCase());
        for (const [tool, args] of questions(argsOf(who, place), other)) await expectNothing(who, tool, args, renamed);
      }
    }
  }, 120_000);

  test('gets the same answer for a foreign entity or environment as for one that does not exist', async () => {
    const mine = new Set(ownOf(who).map(({ entity }) => entity));
    for (const name of ['axe', 'studio', 'nordwind'].filter(entity => !mine.has(entity))) {
      const renamed = new Map([[name, 'q'.repeat(name.length)]]);
      for (const tool of ['select_rows', 'describe_tables', 'insert_rows', 'plan_change']) {
        await expectNothing(who, tool, { entity: name, table: 'canary', rows: [{ mark: 'x' }] }, renamed);
        await expectNothing(who, tool, { entity: name }, renamed);
      }
    }
    const environments = new Set(ownOf(who).map(({ environment }) => environment));
    for (const name of ['prod', 'dev', 'staging'].filter(environment => !environments.has(environment))) {
      for (const place of ownOf(who)) {
        const renamed = new Map([[name, 'q'.repeat(name.length)]]);
        await expectNothing(who, 'select_rows', { ...argsOf(who, place), environment: name, table: 'canary' }, renamed);
      }
    }
    for (const made of [
      { customer: 'nordwind' },
      { tenant: 'axe' },
      { schema: 'studio_prod' },
      { database: 'frame_axe' },
    ]) {
      for (const place of ownOf(who)) {
        const { code } = await probe(who, 'select_rows', { ...argsOf(who, place), table: 'canary', ...made });
        expect(code).toBe('args/invalid');
      }
    }
  });

  test('is not helped by quotes, dots, comments or control characters', async () => {
    const odd = [
      `canary"; drop table canary; --`,
      `canary' or '1'='1`,
      'canary" union select mark from studio_prod.canary --',
      'pg_catalog.pg_authid',
      'pg_shadow',
      '_requests',
      '_versions',
      'canary\u0000',
      '',
      ' canary',
      'CANARY',
      'canary/**/',
      '$1',
      '__proto__',
      'constructor',
      'toString',
      'x'.repeat(5000),
      '🦜',
      '\u202e',
    ];
    for (const place of ownOf(who).slice(0, 1)) {
      const here = argsOf(who, place);
      for (const text of odd) {
        for (const [tool, args] of [
          ['select_rows', { ...here, table: text }],
          ['select_rows', { ...here, table: 'canary', columns: [text] }],
          ['select_rows', { ...here, table: 'canary', where: { mark: { [text]: 'x' } } }],
          ['select_rows', { ...here, table: 'canary', order_by: [`-${text}`] }],
          ['select_rows', { ...here, table: 'canary', cursor: text }],
          ['describe_tables', { ...here, tables: [text], search: text }],
          ['run_sql', { ...here, sql: `select * from "${text.replaceAll('"', '""')}"` }],
          ['run_sql', { ...here, sql: `select count(*) from canary where mark = '${text.replaceAll("'", "''")}'` }],
          ['select_rows', { ...here, table: 'canary', where: { mark: text } }],
          ['select_rows', { ...here, table: 'canary', where: { mark: { ilike: text } } }],
          ['insert_rows', { ...here, table: text, rows: [{ [text]: text }] }],
          ['delete_rows', { ...here, table: 'canary', where: { mark: text } }],
          ['plan_change', { ...here, changes: [{ rename_table: { from: 'canary', to: text } }] }],
          [
            'plan_change',
            {
              ...here,
              changes: [
                {
                  add_column: {
                    table: 'canary',
                    column: { name: 'x', type: 'text', default: text, check: { pattern: text } },
                  },
                },
              ],
            },
          ],
          ['apply_change', { ...here, plan: text }],
        ] as [string, Row][]) {
          // `__proto__` as a key never gets through the body; everything else is the tool's to answer.
          if (text === '__proto__') continue;
          await probe(who, tool, args);
        }
      }
    }
  }, 60_000);

  test('cannot choose a company by headers, or by a Host that is not theirs', async () => {
    const headers = {
      'x-forwarded-host': 'nordwind.example',
      'x-frame-customer': 'nordwind',
      'x-customer': 'axe',
      'x-tenant-id': 'x',
    };
    const { value } = await probe(who, 'get_context', {}, headers);
    expect(value.customer).toBe(REACH[who][0]?.startsWith('axe') ? 'AXE LLC' : 'Nordwind GmbH');
    const elsewhere = PEOPLE[who].host === 'axe.example' ? 'nordwind.example' : 'axe.example';
    expect((await call({ ...seat(who), host: elsewhere }, 'get_context')).status).toBe(401);
  });
});

describe('what was sealed for somebody', () => {
  test('a cursor is good for its person, place, table and question only', async () => {
    const [prod, dev, studio] = PLACES as [Place, Place, Place];
    const names = Array.from({ length: 3 }, () => ({ mark: fresh('row-') }));
    for (const place of [prod, dev, studio]) {
      await use(seat('admin'), 'insert_rows', { ...place.args, table: 'canary', rows: names });
    }
    const question = { table: 'canary', limit: 1 };
    const { next_cursor: cursor } = await use(seat('admin'), 'select_rows', { ...prod.args, ...question });
    expect(cursor).toEqual(expect.any(String));
    const refusals = await eachInTurn([
      () => probe('admin', 'select_rows', { ...prod.args, ...question, cursor: 'AAAA' }),
      () => probe('admin', 'select_rows', { ...dev.args, ...question, cursor }),
      () => probe('admin', 'select_rows', { ...studio.args, ...question, cursor }),
      () => probe('viewer', 'select_rows', { ...prod.args, ...question, cursor }),
      () => probe('dev', 'select_rows', { ...question, cursor }),
      () => probe('northAdmin', 'select_rows', { entity: 'studio', ...question, cursor }),
      () => probe('admin', 'select_rows', { ...prod.args, ...question, cursor, where: { mark: { ne: 'x' } } }),
      () => probe('admin', 'select_rows', { ...prod.args, ...question, cursor, order_by: ['mark'] }),
      () => probe('admin', 'select_rows', { ...prod.args, ...question, cursor, columns: ['mark'] }),
    ]);
    for (const { code, body } of refusals) {
      expect(code).toBe('args/invalid');
      expect(body).toBe(refusals[0]?.body);
    }
    expect((await probe('admin', 'search_audit', { cursor })).code).toBe('args/invalid');
    await use(seat('admin'), 'select_rows', { ...prod.args, ...question, cursor });
    for (const place of [prod, dev, studio]) {
      const where = { mark: { starts_with: 'row-' } };
      await use(seat('admin'), 'delete_rows', { ...place.args, table: 'canary', where, max_rows: 3 });
    }
  });

  test('a plan is good for its person and place only, and once', async () => {
    const changes = [{ create_table: { name: 'planned', columns: [{ name: 'a', type: 'text' }] } }];
    const { plan } = await use(seat('dev'), 'plan_change', { environment: 'dev', changes });
    const { plan: north } = await use(seat('northAdmin'), 'plan_change', { entity: 'studio', changes });
    const refusals = await eachInTurn([
      () => probe('dev', 'apply_change', { environment: 'dev', plan: 'AAAA' }),
      () => probe('dev', 'apply_change', { environment: 'prod', plan }),
      () => probe('admin', 'apply_change', { entity: 'axe', environment: 'dev', plan }),
      () => probe('northAdmin', 'apply_change', { entity: 'nordwind', plan }),
      () => probe('northAdmin', 'apply_change', { entity: 'nordwind', plan: north }),
      () => probe('admin', 'apply_change', { entity: 'studio', plan: north }),
      () => probe('dev', 'apply_change', { environment: 'dev', plan: north }),
    ]);
    for (const { code, body } of refusals) {
      expect(code).toBe('plan/invalid');
      expect(body).toBe(refusals[0]?.body);
    }
    await use(seat('dev'), 'apply_change', { environment: 'dev', plan });
    expect((await probe('dev', 'apply_change', { environment: 'dev', plan })).code).toBe('plan/used');
    for (const args of [{ entity: 'axe' }, { entity: 'studio' }]) {
      expect((await probe('admin', 'select_rows', { ...args, table: 'planned' })).code).toBe('table/not-found');
    }
  });

  test('an idempotency key belongs to its person and place: another one’s answer is never replayed', async () => {
    const key = freshKey();
    const question = { table: 'canary', idempotency_key: key };
    const insert = async (who: Who, args: Row, mark: string) =>
      (await use(seat(who), 'insert_rows', { ...args, ...question, rows: [{ mark }] })).ids;
    const mark = fresh('key-');
    const answers = [
      await insert('admin', { entity: 'axe' }, mark),
      await insert('admin', { entity: 'axe', environment: 'dev' }, mark),
      await insert('admin', { entity: 'studio' }, mark),
      await insert('dev', {}, `${mark}-dev`),
      await insert('northAdmin', { entity: 'nordwind' }, mark),
      await insert('northEditor', {}, `${mark}-ole`),
    ];
    expect(new Set(answers.flat()).size).toBe(6);
    expect(await insert('admin', { entity: 'axe' }, mark)).toEqual(answers[0]);
    // Somebody else's unique value is a duplicate like any other, whatever the key.
    const same = await probe('dev', 'insert_rows', { table: 'canary', idempotency_key: freshKey(), rows: [{ mark }] });
    expect(same.code).toBe('row/duplicate');
  });
});

test('the audit shows each company itself alone', async () => {
  for (const [who, other] of [
    ['admin', 'nordwind'],
    ['northAdmin', 'axe'],
  ] as const) {
    const seen: Row[] = [];
    let cursor: unknown;
    do {
      const page = await use(seat(who), 'search_audit', { ...(cursor !== undefined && { cursor }) });
      seen.push(...(page.entries as Row[]));
      cursor = page.next_cursor;
    } while (cursor !== undefined && seen.length < 1000);
    expect(seen.length).toBeGreaterThan(100);
    expect(new Set(seen.map(({ customer }) => customer)).has(other)).toBe(false);
    const usernames = Object.values(PEOPLE)
      .map(({ username }) => username)
      .filter(name => name.endsWith(`@${other}.example`));
    for (const username of usernames)
      expect((await use(seat(who), 'search_audit', { actor: username })).entries).toEqual([]);
    // Values of rows are in no record, not even one's own.
    for (const { mark } of PLACES) expect(JSON.stringify(seen)).not.toContain(mark);
  }
});

test('after all that every canary sits where it sat', async () => {
  for (const { owner, args, mark, table, column } of PLACES) {
    const where = { mark: { starts_with: 'canary-' } };
    expect(await selectAll(seat(owner), { ...args, table: 'canary', columns: ['mark'], where })).toEqual([{ mark }]);
    expect(await selectAll(seat(owner), { ...args, table, columns: [column] })).toEqual([{ [column]: mark }]);
  }
  expect(hostile).toBeGreaterThan(1000);
  expect(gateway.output()).not.toMatch(/crash-averted|unhandled|uncaught/);
});
