import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canonicalJson } from '../../src/audit/canonical-json.ts';
import { checkpointFiles } from '../../src/audit/checkpoint-writer.ts';
import { readOwnEvidence } from '../../src/audit/evidence.ts';
import { type ExtractScope, extractLines, signExtract } from '../../src/audit/extract.ts';
import { writeLines } from '../../src/audit/line-file.ts';
import { createVerifier } from '../../src/audit/signature.ts';
import { signLine, textOf } from '../../src/audit/signed-line.ts';
import { readChains } from '../../src/audit/verify.ts';
import { type ExtractVerdict, verifyExtract } from '../../src/audit/verify-extract.ts';
import { Secret } from '../../src/secret.ts';
import { createCheckpointKey } from '../../src/vault/checkpoint-key.ts';
import { freshName } from '../support/postgres.ts';
import { type AuditDatabase, entryOf, KEY, openAuditDatabase } from './audit-database.ts';
import { createRandom } from './random.ts';

let database: AuditDatabase;
/** One every minute: 12 in axe/axe, 12 in axe/-, 12 in zoo/zoo. */
const MINUTE = 60_000;
const RECORDS = 12;

beforeAll(async () => {
  database = await openAuditDatabase();
  const checkpoints = database.openCheckpoints();
  const log = database.openLog();
  for (let i = 1; i <= RECORDS; i++) {
    for (const [customer, entity] of [['axe', 'axe'], ['axe'], ['zoo', 'zoo']] as const) {
      await log.append(
        entryOf(customer, { entity, at: i * MINUTE, requestId: `${customer} ${i}`, client: `client of ${customer}` }),
      );
    }
    if (i % 3 === 0) await checkpoints.write();
  }
});
afterAll(() => database?.close());

async function write(scope: ExtractScope): Promise<string> {
  const { read, dataFolder } = database;
  const { anchors } = await readOwnEvidence(read, dataFolder, KEY.publicKey);
  const chains = await readChains(read, anchors, scope);
  const header = await signExtract(read, KEY, scope, { chains, anchors, now: Date.now() });
  if (!header) throw new Error('There is nothing in it.');
  const file = join(dataFolder, freshName('extract'));
  const { checkpoints } = checkpointFiles(dataFolder);
  await writeLines(file, extractLines({ read, header, publicKey: KEY.publicKey, checkpoints }));
  return file;
}

const linesOf = async (file: string) => (await readFile(file, 'utf8')).trimEnd().split('\n');
const summaryOf = ({ chains, faults }: ExtractVerdict) => [
  faults.length,
  ...chains.map(({ verdict, records }) => `${verdict} ${records}`),
];

describe('an extract', () => {
  test('holds the records of one company as they are in the log, and verifies elsewhere', async () => {
    const file = await write({ customer: 'axe' });
    expect(summaryOf(await verifyExtract(file, KEY.publicKey))).toEqual([0, 'whole 12', 'whole 12']);
    const records = (await linesOf(file)).map(line => JSON.parse(line)).filter(({ record }) => record);
    const root = await database.connectAsRoot();
    const { rows } = await root.query(
      "select chain, seq::int, encode(hash, 'hex'), record from audit.log where customer = 'axe' order by chain, seq",
    );
    expect(records.map(({ chain, seq, hash, record }) => [chain, seq, hash, record])).toEqual(rows);
  });

  test('says nothing of another company, not even in the checkpoints', async () => {
    const file = await write({ customer: 'axe' });
    const text = await readFile(file, 'utf8');
    const root = await database.connectAsRoot();
    const { rows } = await root.query("select encode(hash, 'hex'), id from audit.log where customer = 'zoo'");
    for (const secret of ['zoo', ...rows.flat().map(String)]) expect(text).not.toContain(secret);
    expect((await verifyExtract(file, KEY.publicKey)).checkpoints).toBe(RECORDS / 3);
  });

  test('of one entity has that one only', async () => {
    const file = await write({ customer: 'axe', entity: 'axe' });
    expect(summaryOf(await verifyExtract(file, KEY.publicKey))).toEqual([0, 'whole 12']);
    expect(await readFile(file, 'utf8')).not.toContain('axe/-');
  });

  test('of a span of time is one piece, from the first to the last in it', async () => {
    const file = await write({ customer: 'axe', entity: 'axe', since: 4 * MINUTE, until: 8 * MINUTE });
    expect(summaryOf(await verifyExtract(file, KEY.publicKey))).toEqual([0, 'whole 4']);
    const seqs = (await linesOf(file)).map(line => JSON.parse(line).seq).filter(Boolean);
    expect(seqs).toEqual([4, 5, 6, 7]);
  });

  test('of nothing is none', async () => {
    for (const scope of [
      { customer: 'nobody' },
      { customer: 'axe', since: 1e9 },
      { customer: 'ax' },
      { customer: 'axe/axe' },
    ]) {
      await expect(write(scope)).rejects.toThrow('There is nothing in it.');
    }
  });

  test('of many records is read in pages and held in no memory', async () => {
    const log = database.openLog();
    await Promise.all(Array.from({ length: 1100 }, (_, i) => log.append(entryOf('big', { requestId: String(i) }))));
    const file = await write({ customer: 'big' });
    expect(summaryOf(await verifyExtract(file, KEY.publicKey))).toEqual([0, 'whole 1100']);
  });
});

describe('the key of an extract', () => {
  test('is in it, for who has none, and named so that it can be compared', async () => {
    const file = await write({ customer: 'axe' });
    const { keyId, faults } = await verifyExtract(file);
    expect([keyId, faults]).toEqual([createVerifier(KEY.publicKey).keyId, []]);
  });

  test('of somebody else opens nothing', async () => {
    const file = await write({ customer: 'axe' });
    const other = createCheckpointKey(new Secret(Buffer.alloc(32, 9))).publicKey;
    for (const key of [other, 'no key']) {
      expect(await verifyExtract(file, key)).toMatchObject({
        chains: [],
        faults: [expect.stringContaining('first line')],
      });
    }
  });
});

describe('an extract that was changed', () => {
  const STRANGER = createCheckpointKey(new Secret(Buffer.alloc(32, 9)));
  let lines: string[];
  let header: number;
  let signed: number;
  beforeAll(async () => {
    lines = await linesOf(await write({ customer: 'axe' }));
    header = 1;
    signed = header + RECORDS / 3;
  });

  async function codeOf(changed: readonly string[]): Promise<number> {
    const file = join(database.dataFolder, 'changed');
    await writeFile(file, changed.map(line => `${line}\n`).join(''));
    const { chains, faults } = await verifyExtract(file, KEY.publicKey);
    const codes = { whole: 0, altered: 2, gap: 3, 'cut-off': 4 };
    return Math.max(faults.length > 0 ? 5 : 0, ...chains.map(({ verdict }) => codes[verdict]));
  }

  /** Another letter in the middle of a word, so that it stays JSON. */
  function edit(line = '', place: number): string {
    const letters = [...line.matchAll(/[a-zA-Z0-9](?=[a-zA-Z0-9])/g)].map(({ index }) => index);
    const at = letters[place % letters.length] ?? 0;
    return line.slice(0, at) + (line[at] === '7' ? '8' : '7') + line.slice(at + 1);
  }

  test('in any line is found, with its own code', async () => {
    const random = createRandom('extract');
    for (let round = 0; round < 300; round++) {
      const place = random.below(lines.length);
      const changed = lines.with(place, edit(lines[place], random.below(1000)));
      const code = await codeOf(changed);
      // An edit of a name or a number of a record may make it a record of no chain, or leave a hole.
      expect([round, place < signed ? [5] : [2, 3, 4, 5]]).toEqual([round, expect.arrayContaining([code])]);
    }
  });

  test.each<[string, (random: (limit: number) => number) => string[], number]>([
    ['a text is edited', below => edited(below, line => line.replace('Anna', 'Otto')), 2],
    ['a hash is edited', below => edited(below, line => line.replace(/"hash":"./, '"hash":"x')), 2],
    ['a record is no JSON any more', below => edited(below, line => line.replace('"record"', 'record')), 2],
    ['a record is deleted', below => lines.toSpliced(signed + below(RECORDS - 1), 1), 3],
    ['a record stands twice', below => repeated(below), 2],
    ['the end is gone', below => lines.slice(0, lines.length - 1 - below(RECORDS - 1)), 4],
    ['all records are gone', () => lines.slice(0, signed), 4],
    ['a text is added', () => [...lines, 'Anna was never there'], 5],
    ['a record that is no JSON is added', () => [...lines, '{"chain":"axe/axe","seq":13'], 5],
    ['a record with another field is added', () => [...lines, '{"chain":"axe/axe","seq":1,"note":""}'], 5],
    ['an empty line is added', () => [...lines, ''], 5],
    ['a checkpoint is added behind the records', () => [...lines, lines[header] ?? ''], 5],
    ['a first line is added', () => [...lines, lines[0] ?? ''], 5],
    ['a text is added between records', below => lines.toSpliced(signed + 1 + below(RECORDS), 0, 'Anna'), 2],
    [
      'a record says its text twice',
      below => edited(below, line => line.replace('"record"', '"record":"{}","record"')),
      2,
    ],
    ['a record has a space too many', below => edited(below, line => line.replace(',', ', ')), 2],
    ['a checkpoint says its time twice', below => said(header + below(3), '"at":', '"at":1,"at":'), 5],
    ['the first line names its key twice', () => said(0, '"public_key":', '"public_key":"","public_key":'), 5],
    ['the first line is gone', () => lines.slice(1), 5],
    ['nothing is there', () => [], 5],
    ['a checkpoint is forged', below => lines.with(header + below(3), forged()), 5],
    ['a checkpoint is no JSON any more', below => lines.with(header + below(3), '{"checkpoint":'), 5],
    [
      'a record of another chain',
      () => [...lines, canonicalJson({ chain: 'zoo/zoo', hash: '', record: '{}', seq: 1 })],
      5,
    ],
  ])('%s', async (name, change, code) => {
    const random = createRandom(name);
    for (let round = 0; round < 20; round++) expect([round, await codeOf(change(random.below))]).toEqual([round, code]);
  });

  test('at its end, whatever is left unfinished there, is found', async () => {
    const file = join(database.dataFolder, 'changed');
    const text = lines.map(line => `${line}\n`).join('');
    for (const [changed, verdicts] of [
      [text, [0, 'whole 12', 'whole 12']],
      [`${text}{`, [1, 'whole 12', 'whole 12']],
      [`${text}${lines.at(-1)}`, [1, 'whole 12', 'whole 12']],
      [text.slice(0, -1), [1, 'whole 12', 'cut-off 11']],
    ] as const) {
      await writeFile(file, changed);
      expect(summaryOf(await verifyExtract(file, KEY.publicKey))).toEqual(verdicts);
    }
  });

  test('with another first line that says less is found', async () => {
    const { extract, public_key } = JSON.parse(lines[0] ?? '');
    const { keyId } = createVerifier(KEY.publicKey);
    const shorter = { ...extract, heads: extract.heads.slice(0, 1) };
    const hidden = { ...extract, heads: ['0'.repeat(64), extract.heads[1]] };
    const foreign = signLine(STRANGER, keyId, shorter);
    const checkpoint = JSON.parse(lines[1] ?? '').checkpoint;
    for (const first of [shorter, hidden, foreign, checkpoint]) {
      expect(await codeOf(lines.with(0, canonicalJson({ extract: first, public_key })))).toBe(5);
    }
  });

  function edited(below: (limit: number) => number, change: (line: string) => string): string[] {
    const place = signed + below(lines.length - signed);
    return lines.with(place, change(lines[place] ?? ''));
  }

  function repeated(below: (limit: number) => number): string[] {
    const place = signed + below(lines.length - signed);
    return lines.toSpliced(place, 0, lines[place] ?? '');
  }

  function said(place: number, once: string, twice: string): string[] {
    return lines.with(place, lines[place]?.replace(once, twice) ?? '');
  }

  function forged(): string {
    const { checkpoint } = JSON.parse(lines[1] ?? '');
    const line = signLine(STRANGER, checkpoint.key, { ...checkpoint, at: 1 });
    return `{"checkpoint":${textOf(line)}}`;
  }
});
