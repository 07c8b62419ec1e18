import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { EACH_POSTGRES, type TestPostgres } from '../support/each-postgres.ts';
import { type FrameHome, makeFrameHome, type Serving } from '../support/frame-process.ts';
import { AXE, createCompanies, customersYaml, PEOPLE } from './companies.ts';
import { call, change, type Row, type Seat, selectAll, use } from './wire.ts';

/**
 * The end of an entity's personal data, with all the backups that there may be: pg_dump of every database, before it. The
 * dump program that is at hand belongs to the oldest Postgres, so that is where this happens.
 */
const [, oldest] = EACH_POSTGRES;
const DUMPED = ['frame_control', 'frame_axe'];
const MARKS = ['planted.ada@secret.example', 'Planted Person', 'planted.eve@secret.example'];

describe.skipIf(!oldest?.isThere)('on Postgres 15', () => {
  const entra = createCompanies();
  let postgres: TestPostgres;
  let home: FrameHome;
  let env: Record<string, string>;
  let gateway: Serving;
  let token: string;
  const dumps = new Map<string, string>();

  beforeAll(async () => {
    if (!oldest) return;
    postgres = await oldest.start();
    home = await makeFrameHome(customersYaml(await entra.listen('127.0.0.1', 0)));
    const masterKey = await home.writeFile('master.key', `${randomBytes(32).toString('base64')}\n`, 0o600);
    env = { FRAME_DATABASE_URL: postgres.url.reveal(), FRAME_MASTER_KEY_FILE: masterKey };
    expect(await home.run(['migrate'], { env })).toMatchObject({ exit: 0 });
    gateway = await home.serve({ env });
    token = await entra.mint(PEOPLE.admin.username);
    for (const place of [{ entity: 'axe' }, { entity: 'axe', environment: 'dev' }, { entity: 'studio' }]) {
      const columns = [
        { name: 'name', type: 'text', pii: 'name' },
        { name: 'mail', type: 'text', pii: 'email' },
        { name: 'team', type: 'text' },
      ];
      await change(seat(), [{ create_table: { name: 'people', columns } }], place);
      const rows = [{ name: 'Planted Person', mail: 'planted.ada@secret.example', team: 'open-team' }];
      await use(seat(), 'insert_rows', { ...place, table: 'people', rows });
    }
  });
  afterAll(async () => {
    await home?.remove();
    await Promise.all([postgres?.remove(), entra.close()]);
  });

  const seat = (serving = gateway): Seat => ({ port: serving.port, host: AXE.host, token });
  const people = (place: Row, where = seat()) => selectAll(where, { ...place, table: 'people' });
  const frame = (...args: string[]) => home.run([...args, '--customer', 'axe'], { env });

  async function client(program: 'pg_dump' | 'psql', database: string, ...args: string[]): Promise<string> {
    const url = new URL(postgres.url.reveal());
    url.pathname = `/${database}`;
    const [command, options] = [join('/usr/lib/postgresql/15/bin', program), { maxBuffer: 1e8 }];
    return (await promisify(execFile)(command, [...args, url.href], options)).stdout;
  }

  test('a full dump holds nothing of it in plain, and no key that opens it', async () => {
    for (const database of DUMPED) dumps.set(database, await client('pg_dump', database));
    const all = [...dumps.values()].join('\n');
    expect(all).toContain('open-team');
    for (const mark of MARKS) {
      expect(all).not.toContain(mark);
      expect(all).not.toContain(Buffer.from(mark).toString('hex'));
    }
    for (const file of await readdir(join(home.folder, 'keys'), { recursive: true })) {
      if (!file.endsWith('.key')) continue;
      const key = (await readFile(join(home.folder, 'keys', file), 'utf8')).trim();
      expect(all).not.toContain(key);
      expect(all).not.toContain(Buffer.from(key, 'base64').toString('hex'));
    }
  });

  test('shredding deletes the keys, proves it, and leaves a record; the other entities live on', async () => {
    expect(await people({ entity: 'axe' })).toMatchObject([{ mail: MARKS[0] }]);
    const shredded = await frame('entity', 'shred', 'axe', '--yes-shred', 'axe', '--json');
    expect(shredded).toMatchObject({ exit: 0 });
    expect(JSON.parse(shredded.out)).toEqual({
      customer: 'axe',
      entity: 'axe',
      data_keys: 4,
      key_file: join(home.folder, 'keys/axe/axe.key'),
      samples: 4,
      samples_that_opened_before: 4,
      samples_that_open: 0,
    });
    expect(await readdir(join(home.folder, 'keys/axe'))).toEqual(['studio.key']);

    // The gateway that was running has forgotten them too.
    const broken = { error: 'row/sealed-broken' };
    await expect
      .poll(() => people({ entity: 'axe' }))
      .toMatchObject([{ name: broken, mail: broken, team: 'open-team' }]);
    expect(await people({ entity: 'axe', environment: 'dev' })).toMatchObject([{ mail: broken }]);
    const insert = { entity: 'axe', table: 'people', rows: [{ mail: 'planted.eve@secret.example' }] };
    expect(await call(seat(), 'insert_rows', insert)).toMatchObject({ code: 'row/sealed-broken' });
    expect(await call(seat(), 'select_rows', { entity: 'axe', table: 'people', where: { mail: 'x' } })).toMatchObject({
      code: 'row/sealed-broken',
    });
    expect(await people({ entity: 'studio' })).toMatchObject([{ mail: MARKS[0] }]);

    const { entries } = await use(seat(), 'search_audit', { tool: 'entity.shred' });
    expect(entries).toMatchObject([
      {
        phase: 'outcome',
        outcome: 'ok',
        actor: { system: 'operator' },
        arguments: { data_keys: 4, samples_that_open: 0 },
      },
      { phase: 'intent', arguments: { environments: ['dev', 'prod'] } },
    ]);
    expect(await frame('audit', 'verify')).toMatchObject({ exit: 0 });
  });

  test('a gateway starts without them, and nothing makes new ones', async () => {
    expect(await frame('migrate')).toMatchObject({ exit: 0 });
    const fresh = await home.serve({ env });
    expect(await people({ entity: 'studio' }, seat(fresh))).toMatchObject([{ mail: MARKS[0] }]);
    await fresh.stop();
    expect(await readdir(join(home.folder, 'keys/axe'))).toEqual(['studio.key']);
    expect(await frame('pii', 'status', '--entity', 'axe')).toMatchObject({
      exit: 1,
      out: expect.stringContaining('its keys were destroyed'),
    });
    expect(await frame('entity', 'shred', 'axe', '--yes-shred', 'axe')).toMatchObject({
      exit: 0,
      out: expect.stringContaining('0 opened before, 0 open now'),
    });
  });

  test('everything restored from the dump: no start, and no value opens', async () => {
    await gateway.stop();
    for (const database of DUMPED) {
      await client(
        'psql',
        'postgres',
        '-c',
        `drop database ${database}`,
        '-c',
        `create database ${database} template template0`,
      );
      const file = await home.writeFile(`${database}.sql`, dumps.get(database) ?? '');
      await client('psql', database, '-q', '-v', 'ON_ERROR_STOP=1', '-f', file);
    }
    // The data keys are back, wrapped by a key that is nowhere any more.
    const { exit, err } = await home.run(['migrate'], { env });
    expect(exit).toBe(2);
    expect(err).toContain('keys/axe/axe.key');
    expect(err).toContain('frame entity shred axe --customer axe');
    expect((await home.run(['serve'], { env })).exit).toBe(2);

    const again = await frame('entity', 'shred', 'axe', '--yes-shred', 'axe', '--json');
    expect(again).toMatchObject({ exit: 0 });
    expect(z.looseObject({}).parse(JSON.parse(again.out))).toMatchObject({
      data_keys: 4,
      samples: 4,
      samples_that_opened_before: 0,
      samples_that_open: 0,
    });
    expect(await home.run(['migrate'], { env })).toMatchObject({ exit: 0 });
    const restored = await home.serve({ env });
    const where = seat(restored);
    expect(await people({ entity: 'axe' }, where)).toMatchObject([
      { mail: { error: 'row/sealed-broken' }, team: 'open-team' },
    ]);
    // What was not shredded comes back from the same dump, because its key file is still there.
    expect(await people({ entity: 'studio' }, where)).toMatchObject([{ mail: MARKS[0], name: 'Planted Person' }]);
  });
});
