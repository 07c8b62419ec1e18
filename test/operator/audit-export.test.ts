import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { verifyExtract } from '../../src/audit/verify-extract.ts';
import { CONTROL_DATABASE } from '../../src/database/place.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { auditCommand } from '../../src/operator/commands/audit.ts';
import { Secret } from '../../src/secret.ts';
import { createKeyring } from '../../src/vault/keyring.ts';
import { type AuditDatabase, entryOf, KEY, MASTER_KEY, openAuditDatabase } from '../audit/audit-database.ts';
import { freshName } from '../support/postgres.ts';

let database: AuditDatabase;
let root: OwnerConnection;
let keyFile: string;
let folder: string;
let part: string;
let to: string;

const REPOSITORY = join(import.meta.dirname, '../..');
/** In a process of its own, because the one that exports is not let go of between two pages. */
const RUN_SCRIPT = `
  import postgres from 'postgres';
  const sql = postgres(process.env.URL, { database: process.env.DATABASE, max: 1 });
  await sql.unsafe(process.env.SCRIPT);
  await sql.end();`;

beforeAll(async () => {
  database = await openAuditDatabase(createKeyring(new Secret(MASTER_KEY)).rolePassword);
  root = await database.connectAsRoot();
  keyFile = join(database.dataFolder, 'master.key');
  await writeFile(keyFile, MASTER_KEY.toString('base64'), { mode: 0o600 });
  const log = database.openLog({ checkpoints: database.openCheckpoints() });
  for (const entity of ['a', 'b', 'b']) await log.append(entryOf('axe', { entity }));
  await log.close();
  const { rows } = await root.query(`select to_char(audit.this_month(), '"log_"YYYY_MM')`);
  part = `audit.${rows[0]?.[0]}`;
});
afterAll(() => database?.close());
beforeEach(async () => {
  folder = join(database.dataFolder, freshName('exports'));
  await mkdir(folder);
  to = join(folder, 'axe.ndjson');
});

async function run(args: string[], onFirstPage = () => {}) {
  const out: string[] = [];
  const err: string[] = [];
  let pages = 0;
  const code = await auditCommand.run(['export', '--customer', 'axe', ...args], {
    env: {
      FRAME_DATABASE_URL: database.postgres.url.reveal(),
      FRAME_MASTER_KEY_FILE: keyFile,
      FRAME_DATA: database.dataFolder,
    },
    cwd: REPOSITORY,
    out: line => out.push(line),
    err: line => err.push(line),
    stdin: new PassThrough(),
    status: text => {
      if (text !== '' && ++pages === 1) onFirstPage();
    },
    isTerminal: true,
  });
  return { code, out, err: err.join('\n') };
}

describe('a month that is taken out behind the first page of an export', () => {
  function takeOut(): void {
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', RUN_SCRIPT], {
      cwd: REPOSITORY,
      env: {
        URL: database.postgres.url.reveal(),
        DATABASE: CONTROL_DATABASE,
        SCRIPT: `alter table audit.log detach partition ${part}`,
      },
    });
    if (status !== 0) throw new Error(stderr.toString());
  }
  afterEach(() =>
    root.script(`alter table audit.log attach partition ${part} for values in (date_trunc('month',
    clock_timestamp() at time zone 'UTC')::date)`),
  );

  test('leaves no file, and says so', async () => {
    expect(await run(['--to', to], takeOut)).toEqual({
      code: 1,
      out: [],
      err: expect.stringMatching(/axe\/b {2}cut off at 1.*Nothing was exported.*Run it again/),
    });
    expect(await readdir(folder)).toEqual([]);
  });

  test('ends what went to standard output with 1, and says what is missing of it', async () => {
    const { code, err, out } = await run([], takeOut);
    expect([code, err]).toEqual([1, expect.stringMatching(/axe\/b {2}cut off at 1.*do not use it.*Run it again/)]);
    await writeFile(to, out.map(line => `${line}\n`).join(''));
    const { chains } = await verifyExtract(to, KEY.publicKey);
    expect(chains.map(({ verdict }) => verdict)).toEqual(['whole', 'cut-off']);
  });
});

test('a file that comes under its name while an export is written stays as it is', async () => {
  expect(await run(['--to', to], () => writeFileSync(to, 'notes'))).toMatchObject({
    code: 2,
    err: expect.stringContaining('is there already'),
  });
  expect([await readdir(folder), await readFile(to, 'utf8')]).toEqual([['axe.ndjson'], 'notes']);
});

test('an export leaves nothing beside it, and no draft of one before is in its way', async () => {
  await writeFile(`${to}.draft`, '{"extract":');
  expect(await run(['--to', to])).toMatchObject({ code: 0, err: '3 records of axe/a, axe/b' });
  expect(await readdir(folder)).toEqual(['axe.ndjson']);
  const { out } = await run([]);
  expect(out).toHaveLength((await readFile(to, 'utf8')).trimEnd().split('\n').length);
});
