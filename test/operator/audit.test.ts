import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OwnerConnection } from '../../src/database/server.ts';
import { auditCommand } from '../../src/operator/commands/audit.ts';
import { Secret } from '../../src/secret.ts';
import { createKeyring } from '../../src/vault/keyring.ts';
import { type AuditDatabase, entryOf, openAuditDatabase } from '../audit/audit-database.ts';

const KEY = Buffer.alloc(32, 7);

let folder: string;
let database: AuditDatabase;
let root: OwnerConnection;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frame-audit-'));
  await writeFile(join(folder, 'master.key'), KEY.toString('base64'), { mode: 0o600 });
  database = await openAuditDatabase(createKeyring(new Secret(KEY)).rolePassword);
  root = await database.connectAsRoot();
});
afterAll(async () => {
  await database.close();
  await rm(folder, { recursive: true });
});

async function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await auditCommand.run(args, {
    env: {
      FRAME_DATABASE_URL: database.postgres.url.reveal(),
      FRAME_MASTER_KEY_FILE: join(folder, 'master.key'),
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
  await root.script(`alter table audit.log disable trigger all; ${script}; alter table audit.log enable trigger all`);
}

describe('audit verify', () => {
  test('before anything was recorded', async () => {
    expect(await run(['verify'])).toEqual({ code: 0, out: [], err: 'Nothing is recorded here.' });
    expect(await run(['verify', '--json'])).toMatchObject({ code: 0, out: ['[]'] });
    expect(await run(['verify'], { FRAME_CUSTOMER: 'axe' })).toMatchObject({ code: 0 });
    expect(await run(['verify', '--customer', 'axe'])).toMatchObject({ code: 1 });
    expect(await run(['verify', '--entity', 'studio'])).toMatchObject({ code: 1 });
  });

  test('says of each chain what it is, and ends with the code of the worst', async () => {
    const log = database.openLog();
    for (const entity of [undefined, 'axe', 'axe', 'axe', 'studio', 'studio'])
      await log.append(entryOf('axe', { entity }));
    await log.append(entryOf('zoo'));
    const whole = ['axe/-  whole, 1 record', 'axe/axe  whole, 3 records', 'axe/studio  whole, 2 records'];
    expect(await run(['verify'])).toEqual({ code: 0, out: [...whole, 'zoo/-  whole, 1 record'], err: '' });
    expect(await run(['verify', '--customer', 'axe'])).toMatchObject({ code: 0, out: whole });
    expect(await run(['verify'], { FRAME_CUSTOMER: 'zoo' })).toMatchObject({ out: ['zoo/-  whole, 1 record'] });

    await tamper("update audit.log set record = replace(record, 'Anna', 'Eve') where chain = 'axe/axe' and seq = 2");
    expect(await run(['verify'])).toMatchObject({
      code: 2,
      out: [whole[0], 'axe/axe  altered at 2', whole[2], expect.anything()],
    });

    await tamper("delete from audit.log where chain = 'axe/studio' and seq = 2");
    expect(await run(['verify', '--entity', 'axe'])).toMatchObject({ code: 2, out: ['axe/axe  altered at 2'] });
    expect(await run(['verify', '--entity', 'studio'])).toMatchObject({ code: 3, out: ['axe/studio  gap at 2'] });
    const { code, out } = await run(['verify', '--customer', 'axe', '--json']);
    expect(code).toBe(3);
    expect(JSON.parse(out.join())).toEqual([
      { chain: 'axe/-', records: 1, verdict: 'whole' },
      { chain: 'axe/axe', records: 1, verdict: 'altered', at: 2 },
      { chain: 'axe/studio', records: 1, verdict: 'gap', at: 2 },
    ]);
  });

  test.each([
    ['no word', [], 'A word is missing'],
    ['another word', ['repair'], '`audit repair`'],
    ['two words', ['verify', 'axe'], 'one word too many'],
    ['an unknown option', ['verify', '--entitty', 'x'], '--entity'],
  ])('wrong usage: %s', async (_, args, sentence) => {
    expect(await run(args)).toMatchObject({ code: 2, out: [], err: expect.stringContaining(sentence) });
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
