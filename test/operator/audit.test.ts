import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditLog } from '../../src/audit/audit.ts';
import { checkpointFiles } from '../../src/audit/checkpoint-writer.ts';
import { hashOf, parseLine, type SignedLine } from '../../src/audit/signed-line.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { auditCommand } from '../../src/operator/commands/audit.ts';
import { Secret } from '../../src/secret.ts';
import { createKeyring } from '../../src/vault/keyring.ts';
import { type AuditDatabase, entryOf, MASTER_KEY, openAuditDatabase } from '../audit/audit-database.ts';

let database: AuditDatabase;
let root: OwnerConnection;
let folder: string;
let keyFile: string;

beforeAll(async () => {
  database = await openAuditDatabase(createKeyring(new Secret(MASTER_KEY)).rolePassword);
  root = await database.connectAsRoot();
  folder = database.dataFolder;
  keyFile = join(folder, 'master.key');
  await writeFile(keyFile, MASTER_KEY.toString('base64'), { mode: 0o600 });
});
afterAll(() => database?.close());

async function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await auditCommand.run(args, {
    env: {
      FRAME_DATABASE_URL: database.postgres.url.reveal(),
      FRAME_MASTER_KEY_FILE: keyFile,
      FRAME_DATA: folder,
      ...env,
    },
    cwd: join(import.meta.dirname, '../..'),
    out: line => out.push(line),
    err: line => err.push(line),
    stdin: new PassThrough(),
    status: () => {},
    isTerminal: true,
  });
  return { code, out, err: err.join('\n') };
}

async function tamper(script: string): Promise<void> {
  await root.script(`
    alter table audit.log disable trigger all; alter table audit.head disable trigger all;
    ${script};
    alter table audit.log enable always trigger append_only; alter table audit.head enable always trigger append_only`);
}

const file = () => checkpointFiles(folder).checkpoints;
const openLog = (): AuditLog => database.openLog({ checkpoints: database.openCheckpoints() });

describe('audit verify', () => {
  test('before anything was recorded', async () => {
    expect(await run(['verify'])).toEqual({ code: 0, out: [], err: 'Nothing is recorded here.' });
    expect(await run(['verify', '--json'])).toMatchObject({ code: 0, out: ['[]'] });
    expect(await run(['verify'], { FRAME_CUSTOMER: 'axe' })).toMatchObject({ code: 0 });
    expect(await run(['verify', '--customer', 'axe'])).toMatchObject({ code: 1 });
    expect(await run(['verify', '--entity', 'studio'])).toMatchObject({ code: 1 });
  });

  test('says of each chain and of the checkpoints what they are, and ends with the code of the worst', async () => {
    const log = openLog();
    for (const entity of [undefined, 'axe', 'axe', 'axe', 'studio', 'studio']) {
      await log.append(entryOf('axe', { entity }));
    }
    await log.append(entryOf('zoo'));
    await log.close();
    await database.openLog().append(entryOf('axe', { entity: 'studio' }));
    const whole = ['axe/-  whole, 1 record', 'axe/axe  whole, 3 records', 'axe/studio  whole, 3 records'];
    const signed = expect.stringMatching(/^checkpoints {2}whole, 2 lines, the last of 20\d\d-\S+Z$/);
    expect(await run(['verify'])).toEqual({ code: 0, out: [...whole, 'zoo/-  whole, 1 record', signed], err: '' });
    expect(await run(['verify', '--customer', 'axe'])).toMatchObject({ code: 0, out: [...whole, signed] });
    expect(await run(['verify'], { FRAME_CUSTOMER: 'zoo' })).toMatchObject({ out: ['zoo/-  whole, 1 record', signed] });

    await root.script('create table public.kept as select * from audit.log');
    await tamper("update audit.log set record = replace(record, 'Anna', 'Eve') where chain = 'axe/axe' and seq = 2");
    expect(await run(['verify'])).toMatchObject({
      code: 2,
      out: [whole[0], 'axe/axe  altered at 2', whole[2], expect.anything(), signed],
    });
    await tamper("delete from audit.log where chain = 'axe/studio' and seq = 3");
    expect(await run(['verify', '--entity', 'axe'])).toMatchObject({ code: 2, out: ['axe/axe  altered at 2', signed] });
    expect(await run(['verify', '--entity', 'studio'])).toMatchObject({
      code: 3,
      out: ['axe/studio  gap at 3', signed],
    });
    await tamper("delete from audit.log where chain = 'zoo/-'; delete from audit.head where chain = 'zoo/-'");
    expect(await run(['verify', '--customer', 'zoo'])).toMatchObject({
      code: 4,
      out: ['zoo/-  cut off at 1, below a checkpoint', signed],
    });
    const { code, out } = await run(['verify', '--json']);
    expect(code).toBe(4);
    expect(JSON.parse(out.join())).toEqual([
      { chain: 'axe/-', records: 1, verdict: 'whole' },
      { chain: 'axe/axe', records: 1, verdict: 'altered', at: 2 },
      { chain: 'axe/studio', records: 2, verdict: 'gap', at: 3 },
      { chain: 'zoo/-', records: 0, verdict: 'cut-off', at: 1 },
      { checkpoints: file(), lines: 2, verdict: 'whole', last: expect.any(String) },
    ]);
    await tamper(`delete from audit.log; insert into audit.log select * from public.kept; drop table public.kept;
      insert into audit.head (chain, seq, hash) select chain, seq, hash from audit.log where chain = 'zoo/-'`);
    expect((await run(['verify'])).code).toBe(0);
  });

  test('says which line of the checkpoints is forged, and that they are missing', async () => {
    const kept = await readFile(file(), 'utf8');
    await writeFile(file(), kept.replace(/"seq":3/, '"seq":4'));
    const forged = await run(['verify', '--json']);
    expect(forged.code).toBe(5);
    expect(JSON.parse(forged.out.join()).at(-1)).toMatchObject({
      verdict: 'forged',
      why: expect.stringMatching(/checkpoints\.ndjson: line \d is forged/),
    });
    await rename(file(), `${file()}.away`);
    expect(await run(['verify', '--customer', 'axe', '--entity', 'axe'])).toMatchObject({
      code: 5,
      out: ['axe/axe  whole, 3 records', expect.stringMatching(/^checkpoints {2}missing: .*remembers number 2$/)],
    });
    await root.query('delete from audit.last_checkpoint');
    expect(await run(['verify'])).toMatchObject({ code: 5 });
    await writeFile(file(), kept);
    await rm(`${file()}.away`);
    expect((await run(['verify'])).code).toBe(0);
  });

  test('goes without the master key for who has the public one, and with a copy of the checkpoints', async () => {
    const copy = join(folder, 'copy.ndjson');
    await writeFile(copy, await readFile(file()));
    const publicKey = checkpointFiles(folder).publicKey;
    const auditor = ['verify', '--public-key', publicKey, '--checkpoints', copy];
    const withoutKey = { FRAME_MASTER_KEY_FILE: join(folder, 'missing.key'), FRAME_DATA: join(folder, 'nowhere') };
    expect(await run(auditor, withoutKey)).toMatchObject({ code: 0, err: '' });
    const [first, last = ''] = (await readFile(file(), 'utf8')).split('\n');
    await root.query("select audit.note_checkpoint(2, decode($1, 'hex'))", [hashOf(parseLine(last) as SignedLine)]);
    await writeFile(copy, `${first}\n`);
    const older = await run(auditor, withoutKey);
    expect(older).toMatchObject({ code: 0, err: expect.stringContaining('ends at number 1 and the log at 2') });
    expect(older.out.at(-1)).toMatch(/^checkpoints {2}whole, 1 line/);
    await writeFile(copy, `${first?.replace('"number":1', '"number":2')}\n`);
    expect(await run(auditor, withoutKey)).toMatchObject({ code: 5 });
    await writeFile(copy, '');
    expect(await run(auditor, withoutKey)).toMatchObject({ code: 5 });
    await writeFile(copy, 'no key');
    expect(await run(['verify', '--public-key', copy], withoutKey)).toMatchObject({
      code: 2,
      err: expect.stringContaining('is no public key of Frame'),
    });
    expect(await run(['verify', '--public-key', join(folder, 'nowhere')], withoutKey)).toMatchObject({ code: 2 });
  });

  test('holds the second place of gateway.yaml against the first', async () => {
    const config = join(folder, 'config');
    const second = join(folder, 'second');
    await mkdir(config);
    await mkdir(second);
    await writeFile(join(config, 'gateway.yaml'), `audit: { second_place: ${second} }\n`);
    await writeFile(join(config, 'roles.yaml'), 'roles: { admin: { tools: ["*"] } }\n');
    const there = { FRAME_CONFIG: config };
    expect(await run(['verify'], there)).toMatchObject({
      code: 0,
      err: expect.stringContaining('The second place has no'),
    });
    await writeFile(join(second, 'checkpoints.ndjson'), await readFile(file()));
    expect(await run(['verify'], there)).toMatchObject({ code: 0, err: '' });
    await writeFile(join(second, 'checkpoints.ndjson'), '{}\n');
    expect(await run(['verify'], there)).toMatchObject({ code: 5 });
    await writeFile(join(config, 'gateway.yaml'), 'audit: { second_place: here }\n');
    expect(await run(['verify'], there)).toMatchObject({ code: 2, err: expect.stringContaining('absolute path') });
  });

  test('without the master key it makes none', async () => {
    const missing = join(folder, 'missing.key');
    const { code, err } = await run(['verify'], { FRAME_MASTER_KEY_FILE: missing });
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('missing.key') });
  });

  test('a database that does not answer is a failure, never a verdict', async () => {
    const env = { FRAME_DATABASE_URL: 'postgres://postgres:x@127.0.0.1:1/postgres' };
    await expect(run(['verify'], env)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('audit export', () => {
  test('gives one company its records, and verify finds them whole on another machine', async () => {
    const to = join(folder, 'axe.ndjson');
    expect(await run(['export', '--customer', 'axe', '--to', to])).toEqual({
      code: 0,
      out: [],
      err: '7 records of axe/-, axe/axe, axe/studio',
    });
    expect(await readFile(to, 'utf8')).not.toContain('zoo');
    const away = {
      FRAME_MASTER_KEY_FILE: join(folder, 'missing.key'),
      FRAME_DATABASE_URL: 'postgres://x:x@127.0.0.1:1/x',
    };
    const withKey = await run(['verify', '--file', to, '--public-key', checkpointFiles(folder).publicKey], away);
    expect(withKey).toEqual({
      code: 0,
      out: [
        'axe/-  whole, 1 record',
        'axe/axe  whole, 3 records',
        'axe/studio  whole, 3 records',
        'checkpoints  whole, 1 line',
      ],
      err: '',
    });
    expect(await run(['verify', '--file', to], away)).toMatchObject({
      code: 0,
      err: expect.stringContaining('the key in the file'),
    });
    expect(await run(['verify', '--file', to])).toMatchObject({ code: 0, err: '' });
    await writeFile(to, (await readFile(to, 'utf8')).replace('Anna', 'Otto'));
    expect(await run(['verify', '--file', to, '--json'])).toMatchObject({ code: 2 });
    expect(await run(['export', '--customer', 'axe', '--to', to])).toMatchObject({
      code: 2,
      err: expect.stringContaining('is there already'),
    });
  });

  test('signs nothing that somebody has altered, or that no checkpoint vouches for any more', async () => {
    const to = join(folder, 'altered.ndjson');
    const exported = () => run(['export', '--customer', 'axe', '--to', to]);
    const refused = (sentence: string) => ({ code: 1, out: [], err: expect.stringContaining(sentence) });
    await root.script('create table public.kept as select * from audit.log');
    await tamper("update audit.log set record = replace(record, 'Anna', 'Eve') where chain = 'axe/axe' and seq = 2");
    expect(await exported()).toEqual(refused('axe/axe  altered at 2. Nothing was exported'));
    expect(await run(['export', '--customer', 'zoo', '--to', to])).toMatchObject({ code: 0 });
    await rm(to);
    await tamper("delete from audit.log where chain = 'axe/axe' and seq = 2");
    expect(await exported()).toEqual(refused('axe/axe  gap at 2'));
    await tamper('delete from audit.log; insert into audit.log select * from public.kept; drop table public.kept');
    const kept = await readFile(file(), 'utf8');
    await writeFile(file(), kept.replace(/"seq":3/, '"seq":4'));
    expect(await exported()).toEqual(refused('The checkpoints are not whole: line'));
    await writeFile(file(), kept);
    await expect(readFile(to)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await exported()).toMatchObject({ code: 0 });
  });

  test('goes to standard output, and to nobody who has no records', async () => {
    const { code, out, err } = await run(['export', '--customer', 'zoo', '--entity', '-']);
    expect([code, err, out.length]).toEqual([0, '1 record of zoo/-', 3]);
    expect(await run(['export', '--customer', 'nobody'])).toMatchObject({ code: 1, out: [] });
  });

  test('takes days, both included', async () => {
    const today = new Date().toISOString().slice(0, 10);
    expect((await run(['export', '--customer', 'zoo', '--since', today, '--until', today])).code).toBe(0);
    expect((await run(['export', '--customer', 'zoo', '--until', '2020-01-01'])).code).toBe(1);
  });
});

describe('audit seal and archive', () => {
  test('seal what is over, and take it out', async () => {
    expect(await run(['seal'])).toMatchObject({ code: 0, out: ['Every month that is over is sealed.'] });
    await database.passMonths(1);
    await openLog().append(entryOf('axe'));
    const { out } = await run(['seal', '--json']);
    const [month = ''] = JSON.parse(out.join());
    expect(month).toMatch(/^20\d\d-\d\d$/);
    const to = join(folder, 'archive');
    expect(await run(['archive', month, '--to', to])).toMatchObject({
      code: 2,
      err: expect.stringContaining('is no folder'),
    });
    await mkdir(to);
    expect(await run(['archive', '1999-12', '--to', to])).toEqual({
      code: 1,
      out: [],
      err: expect.stringContaining('1999-12'),
    });
    const archived = join(to, `frame-audit-${month}.ndjson`);
    expect(await run(['archive', month, '--to', to])).toMatchObject({
      code: 0,
      out: [`${month} is in ${archived}, and no longer in the database`],
    });
    expect(await run(['verify'])).toMatchObject({ code: 0 });
    expect(await run(['verify', '--file', archived])).toMatchObject({ code: 0 });
  });

  test('say when others read the log for too long', async () => {
    await database.passMonths(2);
    await openLog().append(entryOf('axe'));
    const [month = ''] = JSON.parse((await run(['seal', '--json'])).out.join());
    const reader = await database.connectAsRoot();
    await reader.script('begin; select from audit.log limit 1');
    const to = join(folder, 'archive');
    expect(await run(['archive', month, '--to', to])).toMatchObject({
      code: 75,
      err: expect.stringContaining('Run it again'),
    });
    await reader.script('commit');
    expect(await run(['archive', month, '--to', to])).toMatchObject({ code: 0 });
  });
});

test.each([
  ['no word', [], 'A word is missing'],
  ['another word', ['repair'], '`audit repair`'],
  ['two words', ['verify', 'axe'], 'one word too many'],
  ['an unknown option', ['verify', '--entitty', 'x'], '--entity'],
  ['an option of another verb', ['verify', '--to', 'x'], '--to does not go with `audit verify`'],
  ['nobody’s export', ['export'], '--customer'],
  ['a day that is none', ['export', '--customer', 'axe', '--since', '2026-13-01'], '--since takes a day'],
  ['a day that is none in that month', ['export', '--customer', 'axe', '--until', '2026-02-29'], '--until takes a day'],
  [
    'days in the wrong order',
    ['export', '--customer', 'axe', '--since', '2026-02-01', '--until', '2026-01-01'],
    'later',
  ],
  ['a month that is none', ['archive', '2026-13', '--to', '.'], 'which month'],
  ['no month', ['archive', '--to', '.'], 'which month'],
  ['nowhere', ['archive', '2026-01'], '--to'],
])('wrong usage: %s', async (_, args, sentence) => {
  expect(await run(args)).toMatchObject({ code: 2, out: [], err: expect.stringContaining(sentence) });
});
