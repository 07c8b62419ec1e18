import { randomBytes } from 'node:crypto';
import { watch } from 'node:fs';
import { chmod, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { type OwnPostgres, startOwnPostgres } from '../support/postgres.ts';
import { AXE, createCompanies, customersYaml, PEOPLE } from './companies.ts';
import { call, change, type Row, type Seat, selectAll, use } from './wire.ts';

/**
 * Personal data as a company and its operator meet it: real gateways on one database, real commands, and everything that
 * any of them leaves on a disk. Whatever starts with `planted` may be found nowhere.
 */
const PLACE = { entity: 'axe' };
const PLANTED = [
  'planted.ada@secret.example',
  'planted.bob@secret.example',
  'Planted Person',
  '+82 10 7700 7788',
  'planted-by-import@secret.example',
  'planted.updated@secret.example',
  'planted.guess@secret.example',
  'planted-wrong',
  'planted-note',
];

const entra = createCompanies();
let postgres: OwnPostgres;
let home: FrameHome;
let env: Record<string, string>;
let blue: Serving;
let green: Serving;
let keyFile: string;
const tokens = new Map<string, string>();

beforeAll(async () => {
  postgres = await startOwnPostgres();
  home = await makeFrameHome(customersYaml(await entra.listen('127.0.0.1', 0)));
  const masterKey = await home.writeFile('master.key', `${randomBytes(32).toString('base64')}\n`, 0o600);
  env = { FRAME_DATABASE_URL: postgres.url.reveal(), FRAME_MASTER_KEY_FILE: masterKey, FRAME_LOG: 'debug' };
  await home.writeFile('rows.csv', 'team\nx\n');
  keyFile = join(home.folder, 'keys/axe/axe.key');
  expect(await home.run(['migrate'], { env })).toMatchObject({ exit: 0 });
  [blue, green] = (await Promise.all(
    ['blue', 'green'].map(slot => home.serve({ env: { ...env, FRAME_SLOT: slot } })),
  )) as [Serving, Serving];
  for (const { username } of [PEOPLE.admin, PEOPLE.viewer]) tokens.set(username, await entra.mint(username));
  await change(
    seat(),
    [
      {
        create_table: {
          name: 'people',
          columns: [
            { name: 'name', type: 'text', pii: 'name' },
            { name: 'mail', type: 'text', pii: 'email', unique: true },
            { name: 'phone', type: 'text', pii: 'phone' },
            { name: 'notes', type: 'json', pii: true },
            { name: 'team', type: 'text' },
          ],
        },
      },
    ],
    PLACE,
  );
});

afterAll(async () => {
  await home?.remove();
  await Promise.all([postgres?.remove(), entra.close()]);
});

const seat = (serving = blue, username: string = PEOPLE.admin.username): Seat => ({
  port: serving.port,
  host: AXE.host,
  token: tokens.get(username) ?? '',
});

const frame = (...args: string[]) => home.run([...args, '--customer', 'axe'], { env });
const insert = (rows: Row[], where = seat()) => use(where, 'insert_rows', { ...PLACE, table: 'people', rows });

async function asOwner(database: string, text: string): Promise<unknown[][]> {
  const owner = await postgres.server.connectAsOwner(database);
  const { rows } = await owner.query(text).finally(() => owner.close());
  return rows;
}

const Status = z.array(
  z.object({
    place: z.string(),
    keyFile: z.string(),
    wrong: z.string().optional(),
    keys: z.array(z.object({ kid: z.string(), state: z.string(), seals: z.number() })),
    columns: z.array(
      z.object({
        column: z.string(),
        cells: z.object({ current: z.number(), older: z.number(), unreadable: z.number() }),
        resealed: z.number().optional(),
      }),
    ),
  }),
);

async function status() {
  const { out } = await frame('pii', 'status', '--entity', 'axe', '--json');
  const [prod] = Status.parse(JSON.parse(out)).filter(({ place }) => place === 'axe/axe:prod');
  if (!prod) throw new Error(out);
  return prod;
}

describe('what is left of personal data', () => {
  test('in every file of the database, its log and everything that was printed: nothing', async () => {
    await insert([
      {
        name: 'Planted Person',
        mail: PLANTED[0],
        phone: '+82 10 7700 7788',
        notes: { a: 'planted-note' },
        team: 'open-team',
      },
      { name: 'Other', mail: PLANTED[1] },
    ]);
    // All that goes wrong with a value, and all that is asked about one.
    const wrong = [
      ['insert_rows', { table: 'people', rows: [{ mail: 'PLANTED.ada@secret.example' }] }],
      ['insert_rows', { table: 'people', rows: [{ mail: ['planted-wrong'] }] }],
      ['insert_rows', { table: 'people', rows: [{ mail: 'planted-wrong \u0000' }] }],
      ['select_rows', { table: 'people', where: { mail: { contains: 'planted-wrong' } } }],
      ['select_rows', { table: 'people', where: { mail: { eqq: 'planted-wrong' } } }],
      ['select_rows', { table: 'people', order_by: ['mail'] }],
      ['update_rows', { table: 'people', where: { mail: PLANTED[0] }, set: { mail: PLANTED[1] } }],
      [
        'plan_change',
        { changes: [{ alter_column: { table: 'people', column: 'mail', set: { default: 'planted-wrong' } } }] },
      ],
      ['reveal', { table: 'people', ids: ['planted-wrong'], columns: ['mail'], purpose: 'a test of what is left' }],
    ] as const;
    for (const [tool, args] of wrong) {
      const answer = await call(seat(), tool, { ...PLACE, ...args });
      expect([tool, answer.code]).not.toEqual([tool, undefined]);
    }
    await use(seat(), 'select_rows', { ...PLACE, table: 'people', where: { mail: 'planted.guess@secret.example' } });
    const page = await use(seat(), 'select_rows', {
      ...PLACE,
      table: 'people',
      where: { mail: PLANTED.slice(0, 2) },
      limit: 1,
    });
    expect(page.next_cursor).toEqual(expect.any(String));
    await use(seat(), 'update_rows', {
      ...PLACE,
      table: 'people',
      where: { mail: PLANTED[1] },
      set: { mail: 'planted.updated@secret.example' },
      idempotency_key: 'kept',
    });
    await use(seat(), 'delete_rows', { ...PLACE, table: 'people', where: { mail: PLANTED[1] }, max_rows: 5 });
    await home.writeFile('people.csv', 'name,mail,team\nPlanted Person,planted-by-import@secret.example,imported\n');
    expect(await frame('import', 'axe', 'people.csv', '--table', 'people')).toMatchObject({ exit: 0 });
    await home.writeFile('wrong.csv', 'name,mail,team\nx,planted.ADA@secret.example,y\n');
    const refused = await frame('import', 'axe', 'wrong.csv', '--table', 'people');
    expect(refused).toMatchObject({
      exit: 1,
      err: expect.stringContaining('Line 2: Another row has this value of `mail`'),
    });

    // It is all there for those who may read it.
    const rows = await selectAll(seat(green), { ...PLACE, table: 'people', order_by: ['id'] });
    expect(rows.map(({ name, mail, team }) => [name, mail, team])).toEqual([
      ['Planted Person', PLANTED[0], 'open-team'],
      ['Other', 'planted.updated@secret.example', null],
      ['Planted Person', 'planted-by-import@secret.example', 'imported'],
    ]);

    await asOwner('frame_axe', 'checkpoint');
    const [[data]] = (await asOwner('postgres', 'show data_directory')) as [[string]];
    const files = await filesIn(data);
    expect(files.length).toBeGreaterThan(100);
    const found = await findIn(files, ['open-team', ...PLANTED]);
    // The search finds what lies open, in pages and in the log of writes.
    expect(found.filter(([, mark]) => mark === 'open-team').map(([file]) => file)).toEqual(
      expect.arrayContaining([expect.stringContaining('/base/'), expect.stringContaining('/pg_wal/')]),
    );
    expect(found.filter(([, mark]) => mark !== 'open-team')).toEqual([]);
    const printed = home.printed();
    expect(printed).toContain('tool-called');
    for (const mark of PLANTED) expect(printed.toLowerCase()).not.toContain(mark.toLowerCase());
  });

  test('people without the right see masks, and not the tool; who reveals says why, for ever', async () => {
    const vic = seat(green, PEOPLE.viewer.username);
    const [row] = await selectAll(vic, { ...PLACE, table: 'people', order_by: ['id'] });
    expect(row).toMatchObject({ name: 'P•••', mail: 'p•••@s•••.example', phone: '•••88', notes: '•••' });
    expect(
      await call(vic, 'reveal', { ...PLACE, table: 'people', ids: [row?.id], columns: ['mail'], purpose: 'curious' }),
    ).toMatchObject({
      value: { message: 'Unknown tool: reveal' },
    });
    const asked = {
      ...PLACE,
      table: 'people',
      ids: [row?.id],
      columns: ['mail'],
      purpose: 'the bill came back unread',
    };
    expect(await use(seat(), 'reveal', asked)).toMatchObject({ rows: [[row?.id, PLANTED[0]]] });
    const { entries } = await use(seat(), 'search_audit', { tool: 'reveal', outcome: 'ok' });
    const { entity: _, ...recorded } = asked;
    expect(entries).toMatchObject([{ actor: { username: PEOPLE.admin.username }, arguments: recorded, rows: 1 }]);
    expect(await use(vic, 'get_context')).toMatchObject({
      rights: [],
      personal_data: expect.stringContaining('masks'),
    });
    expect(await use(seat(), 'get_context')).toMatchObject({ rights: ['pii:read'] });
  });
});

describe('a table that somebody copies, with its marks and all', () => {
  test.each([
    ['environment', 'axe_dev', { entity: 'axe', environment: 'dev' }],
    ['entity', 'studio_staging', { entity: 'studio' }],
  ])('to another %s shows broken cells there, and is found by none of its values', async (_, schema, place) => {
    const { ids } = await insert([{ name: 'Copied', mail: `copied.${schema}@secret.example`, team: 'copied' }]);
    const [[role]] = (await asOwner(
      'frame_control',
      `select role_id from frame.environments where schema_name = '${schema}'`,
    )) as [[string]];
    for (const text of [
      `create table ${schema}.people (like axe_prod.people including all)`,
      `insert into ${schema}.people select * from axe_prod.people where id = '${ids}'`,
      `grant select, insert, update, delete on ${schema}.people to rw_${role}`,
    ]) {
      await asOwner('frame_axe', text);
    }
    const rows = () => selectAll(seat(green), { ...place, table: 'people' });
    await expect.poll(rows).toMatchObject([{ id: (ids as string[])[0], team: 'copied' }]);
    const broken = { error: 'row/sealed-broken' };
    expect(await rows()).toMatchObject([{ name: broken, mail: broken }]);
    const where = { mail: `copied.${schema}@secret.example` };
    expect(await selectAll(seat(), { ...place, table: 'people', where })).toEqual([]);
    await asOwner('frame_axe', `drop table ${schema}.people`);
  });
});

describe('new data keys', () => {
  test('are taken up under load on both slots; killed in the middle, the next run finishes', async () => {
    const lines = Array.from({ length: 6000 }, (_, i) => `Person ${i},p${i}@load.example,load`);
    await home.writeFile('load.csv', `name,mail,team\n${lines.join('\n')}\n`);
    expect(await frame('import', 'axe', 'load.csv', '--table', 'people')).toMatchObject({ exit: 0 });
    const before = await status();
    const load = startLoad();

    const killed = home.start(['pii', 'rotate', '--dek', '--customer', 'axe', '--entity', 'axe'], { env });
    await expect
      .poll(() => asOwner('frame_axe', 'select count(*)::int from axe_prod._resealing where cells > 0'), {
        timeout: 60_000,
        interval: 5,
      })
      .not.toEqual([[0]]);
    process.kill(killed.pid, 'SIGKILL');
    await killed.finished;
    const halfway = await status();
    expect(halfway.keys.map(({ state }) => state)).toEqual(['retiring', 'current']);
    expect(halfway.columns.some(({ cells }) => cells.older > 0)).toBe(true);
    expect(halfway.columns.every(({ cells }) => cells.unreadable === 0)).toBe(true);

    const rest = await frame('pii', 'rotate', '--dek', '--entity', 'axe', '--json');
    expect(rest).toMatchObject({ exit: 0 });
    const [prod] = z
      .array(z.looseObject({ place: z.string(), isNew: z.boolean(), cells: z.number(), retired: z.number() }))
      .parse(JSON.parse(rest.out))
      .filter(({ place }) => place === 'axe/axe:prod');
    expect(prod).toMatchObject({ isNew: false, retired: 1 });
    const written = await load.stop();

    const after = await status();
    expect(after.keys.map(({ kid, state }) => [kid, state])).toEqual([
      [before.keys[0]?.kid, 'retired'],
      [expect.any(String), 'current'],
    ]);
    expect(after.columns.map(({ cells: { older, unreadable }, resealed }) => [older, unreadable, resealed])).toEqual(
      after.columns.map(() => [0, 0, undefined]),
    );
    expect(prod?.cells).toBeLessThan(2 * 6000 + 20);
    const rows = await selectAll(seat(green), {
      ...PLACE,
      table: 'people',
      where: { team: 'load' },
      columns: ['name', 'mail'],
    });
    expect(new Map(rows.map(({ name, mail }) => [name, mail]))).toEqual(
      new Map(Array.from({ length: 6000 }, (_, i) => [`Person ${i}`, written.get(i) ?? `p${i}@load.example`])),
    );
    expect((await frame('pii', 'status', '--entity', 'axe')).exit).toBe(0);
  }, 240_000);

  /** Reads, changes and adds people on both slots until it is stopped; fails with the first answer that is wrong. */
  function startLoad() {
    const written = new Map<number, string>();
    let isOver = false;
    let failure: unknown;
    const work = async (worker: number, serving: Serving) => {
      for (let round = 0; !isOver; round++) {
        const i = worker * 1000 + (round % 900);
        const mail = `changed${i}.${round}@load.example`;
        const where = { mail: written.get(i) ?? `p${i}@load.example` };
        const update = { ...PLACE, table: 'people', where, set: { mail } };
        expect((await use(seat(serving), 'update_rows', update)).count).toBe(1);
        written.set(i, mail);
        const read = { ...PLACE, table: 'people', where: { mail }, columns: ['name', 'mail'] };
        const other = serving === blue ? green : blue;
        expect((await use(seat(other), 'select_rows', read)).rows).toEqual([[`Person ${i}`, mail]]);
        await insert([{ name: `New ${worker} ${round}`, team: 'new' }], seat(serving));
      }
    };
    const all = Promise.all([0, 1, 2, 3].map(worker => work(worker, worker % 2 ? blue : green))).catch(thrown => {
      failure = thrown;
    });
    return {
      async stop() {
        isOver = true;
        await all;
        if (failure) throw failure;
        expect(written.size).toBeGreaterThan(0);
        return written;
      },
    };
  }

  test('are one rotation at a time', async () => {
    const other = await postgres.server.connectAsOwner('frame_control');
    await other.query(`select pg_advisory_lock(${0x706969})`);
    const refused = await frame('pii', 'rotate', '--dek').finally(() => other.close());
    expect(refused).toMatchObject({ exit: 75, err: expect.stringContaining('at work') });
  });

  test('leave alone, and name, cells that do not open', async () => {
    const { ids } = await insert([{ name: 'Broken' }]);
    const id = (ids as string[])[0];
    await asOwner(
      'frame_axe',
      `update axe_prod.people set name = set_byte(name, 20, get_byte(name, 20) # 1) where id = '${id}'`,
    );
    for (const states of [
      ['retired', 'retired', 'current'],
      ['retired', 'retired', 'retired', 'current'],
    ]) {
      const rotated = await frame('pii', 'rotate', '--dek', '--entity', 'axe');
      expect(rotated).toMatchObject({ exit: 1, out: expect.stringContaining(`DOES NOT OPEN  people.name ${id}`) });
      expect(rotated.out).toContain('axe/axe:prod  a new key: ');
      expect((await status()).keys.map(({ state }) => state)).toEqual(states);
    }
    await use(seat(), 'delete_rows', { ...PLACE, table: 'people', where: { id } });
    expect(await frame('pii', 'rotate', '--dek', '--entity', 'axe')).toMatchObject({ exit: 0 });
  }, 120_000);
});

describe('the key of an entity', () => {
  test('is in a file of its own that nobody else reads', async () => {
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    expect((await readdir(join(home.folder, 'keys'), { recursive: true })).sort()).toEqual([
      'axe',
      'axe/axe.key',
      'axe/studio.key',
      'nordwind',
      'nordwind/nordwind.key',
      'nordwind/studio.key',
    ]);
  });

  test('is replaced without anybody noticing, and the old one is good for nothing then', async () => {
    const old = await readFile(keyFile, 'utf8');
    await insert([{ mail: 'kept@secret.example' }]);
    expect(await frame('pii', 'rotate', '--kek', '--entity', 'axe')).toMatchObject({
      exit: 0,
      out: expect.stringMatching(/^axe\/axe {2}a new key wraps its \d+ data keys\n$/),
    });
    const where = { mail: 'kept@secret.example' };
    for (const serving of [blue, green]) {
      expect((await selectAll(seat(serving), { ...PLACE, table: 'people', where })).length).toBe(1);
    }
    const third = await home.serve({ env });
    expect(await selectAll(seat(third), { ...PLACE, table: 'people', where })).toMatchObject([
      { mail: 'kept@secret.example' },
    ]);
    await third.stop();
    await withKeyFile(async () => {
      await writeFile(keyFile, old);
      await expectRefused(/is not the key that the personal data of axe\/axe is sealed under; bring back your copy/);
    });
  });

  test('is replaced while everybody works on; killed again and again, the last run finishes', async () => {
    const folder = join(home.folder, 'keys/axe');
    const old = await readFile(keyFile, 'utf8');
    let isOver = false;
    let made = 0;
    const work = async (serving: Serving, other: Serving) => {
      while (!isOver) {
        const mail = `rotated.${made++}@load.example`;
        await insert([{ mail }], seat(serving));
        const found = await selectAll(seat(other), { ...PLACE, table: 'people', where: { mail } });
        expect(found).toMatchObject([{ mail }]);
      }
    };
    const load = Promise.all([work(blue, green), work(green, blue)]).catch(thrown => thrown);
    // From the moment on at which there is a second file, and a little later every time.
    for (let round = 0; round < 4; round++) {
      // It is there for a few milliseconds only: whoever looks now and then may never see it. Once one was left behind,
      // the next run makes a draft beside it.
      const seen = Promise.withResolvers<void>();
      const isMeant = (name: string) => name === 'axe.next.key' || (round > 0 && name.startsWith('axe.next.key.'));
      const watcher = watch(folder, (_, name) => void (name && isMeant(name) && seen.resolve()));
      onTestFinished(() => watcher.close());
      const killed = home.start(['pii', 'rotate', '--kek', '--customer', 'axe', '--entity', 'axe'], { env });
      await Promise.race([seen.promise, killed.finished]);
      for (let turn = 0; turn < round * 10; turn++) await readdir(folder);
      // Killed, or done before that.
      expect([null, 0]).toContain(await killed.stop('SIGKILL'));
      expect((await status()).wrong).toBeUndefined();
      if (!(await readdir(folder)).includes('axe.next.key')) break;
    }
    expect(await frame('pii', 'rotate', '--kek', '--entity', 'axe')).toMatchObject({ exit: 0 });
    isOver = true;
    expect(await load).toEqual([undefined, undefined]);
    expect(made).toBeGreaterThan(4);
    expect((await readdir(folder)).sort()).toEqual(['axe.key', 'studio.key']);
    expect(await readFile(keyFile, 'utf8')).not.toBe(old);
    const third = await home.serve({ env });
    const where = { mail: 'rotated.0@load.example' };
    expect(await selectAll(seat(third), { ...PLACE, table: 'people', where })).toMatchObject([where]);
    await third.stop();
  }, 120_000);

  test.each([
    ['is missing', () => rm(keyFile), /is not there, but the personal data of axe\/axe is sealed under it/],
    ['is another', () => writeFile(keyFile, `${randomBytes(32).toString('base64')}\n`), /is not the key that/],
    ['can be read by others', () => chmod(keyFile, 0o644), /can be read by others; run: chmod 600/],
    ['is empty', () => writeFile(keyFile, ''), /must hold 32 bytes/],
  ])('that %s lets nothing start, and nothing is sealed with another', async (_, spoil, sentence) => {
    await withKeyFile(async () => {
      await spoil();
      await expectRefused(sentence);
    });
    expect((await status()).wrong).toBeUndefined();
  });

  /** What the test does to the file is undone, whatever becomes of it. */
  async function withKeyFile(work: () => Promise<void>): Promise<void> {
    await writeFile(`${keyFile}.kept`, await readFile(keyFile), { mode: 0o600 });
    try {
      await work();
    } finally {
      await rename(`${keyFile}.kept`, keyFile);
    }
  }

  async function expectRefused(sentence: RegExp): Promise<void> {
    const spoiled = await readFile(keyFile, 'utf8').catch(() => undefined);
    for (const args of [['serve'], ['migrate'], ['import', 'axe', 'rows.csv', '--table', 'people']]) {
      const { exit, err } = await frame(...args);
      expect([args[0], exit]).toEqual([args[0], 2]);
      expect(err).toMatch(sentence);
      expect(err).toContain('keys/axe/axe.key');
    }
    expect((await frame('pii', 'status', '--entity', 'axe')).exit).toBe(1);
    expect(await readFile(keyFile, 'utf8').catch(() => undefined)).toBe(spoiled);
  }
});

describe('the commands', () => {
  test.each([
    [['pii'], 2],
    [['pii', 'open'], 2],
    [['pii', 'rotate'], 2],
    [['pii', 'rotate', '--kek', '--dek'], 2],
    [['pii', 'status', '--dek'], 2],
    [['pii', 'rotate', '--kek', '--entity', 'studo'], 2],
    [['entity', 'shred'], 2],
    [['entity', 'forget', 'axe'], 2],
    [['entity', 'shred', 'studio'], 2],
    [['entity', 'shred', 'studio', '--yes-shred', 'axe'], 2],
    [['entity', 'shred', 'nobody', '--yes-shred', 'nobody'], 2],
  ])('%j is wrong usage, and nothing happens', async (args, exit) => {
    expect((await frame(...args)).exit).toBe(exit);
    expect(await readdir(join(home.folder, 'keys/axe'))).toEqual(['axe.key', 'studio.key']);
  });

  test('a shredded entity is asked about by name of its customer only', async () => {
    const { exit, err } = await home.run(['entity', 'shred', 'studio', '--yes-shred', 'studio'], { env });
    expect([exit, err]).toEqual([2, expect.stringContaining('Say whose entity it is: --customer.')]);
  });
});

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
}

/** Which of the marks stand in which files: as they are, in upper or lower case, in hex and in base64. */
async function findIn(files: readonly string[], marks: readonly string[]): Promise<[file: string, mark: string][]> {
  const found: [string, string][] = [];
  for (const file of files) {
    const bytes = await readFile(file).catch(() => Buffer.alloc(0));
    const text = bytes.toString('latin1').toLowerCase();
    for (const mark of marks) {
      const forms = [
        Buffer.from(mark).toString('latin1'),
        Buffer.from(mark).toString('hex'),
        Buffer.from(mark).toString('base64').slice(0, -4),
      ];
      if (forms.some(form => text.includes(form.toLowerCase()))) found.push([file, mark]);
    }
  }
  return found;
}
