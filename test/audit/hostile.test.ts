import { generateKeyPairSync, sign } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkpointFiles } from '../../src/audit/checkpoint-writer.ts';
import { createMonths } from '../../src/audit/months.ts';
import { COLUMNS, linkHash } from '../../src/audit/record.ts';
import { createVerifier, type Signer } from '../../src/audit/signature.ts';
import { hashOf, parseLine, redact, type SignedLine, signLine, textOf } from '../../src/audit/signed-line.ts';
import type { OwnerConnection } from '../../src/database/server.ts';
import { type AuditDatabase, entryOf, KEY, type Logged, openAuditDatabase, readChain } from './audit-database.ts';
import { createRandom, type Random } from './random.ts';

/**
 * The verifier itself under attack: by somebody who rules Postgres, by somebody who rules the folder of the checkpoints,
 * and by both. Every tampering is made on its own, must end with the right exit code, and is taken back.
 */
let database: AuditDatabase;
let root: OwnerConnection;
let chains: Record<string, Logged[]>;
let months: string[];
let scratch: string;

const CHAINS = ['axe/-', 'axe/axe', 'zoo/zoo'];
/** The last checkpoint is of the records up to here; three more came after it. */
const SIGNED = 24;
const ALL = 27;

beforeAll(async () => {
  database = await openAuditDatabase();
  root = await database.connectAsRoot();
  const checkpoints = database.openCheckpoints({ everyRecords: Number.POSITIVE_INFINITY });
  const keeper = createMonths({ ...database, publicKey: KEY.publicKey, say: checkpoints.say });
  const log = database.openLog();
  for (let seq = 1; seq <= ALL; seq++) {
    // The first ten lie in a month that is over and sealed.
    if (seq === 11) {
      await database.passMonths(1);
      expect(await keeper.keep()).toHaveLength(1);
    }
    for (const chain of CHAINS) {
      const [customer = '', entity] = chain.split('/');
      await log.append(
        entryOf(customer, { ...(entity !== '-' && { entity }), requestId: `${chain} ${seq}`, rows: seq }),
      );
    }
    if (seq % 4 === 0 && seq <= SIGNED) await checkpoints.write();
  }
  chains = Object.fromEntries(
    await Promise.all(CHAINS.map(async chain => [chain, await readChain(root, chain)] as const)),
  );
  const parts = await root.query('select month from audit.log group by month order by month');
  months = parts.rows.map(([month]) => String(month));
  expect(months).toHaveLength(2);
  scratch = join(database.dataFolder, 'scratch.ndjson');
  await root.script('alter table audit.log disable trigger all; alter table audit.head disable trigger all');
}, 60_000);
afterAll(() => database?.close());

test('untouched, it is whole', async () => {
  expect(await database.verify()).toEqual({
    chains: CHAINS.map(chain => ({ chain, records: ALL, verdict: 'whole' })),
    faults: [],
    code: 0,
  });
});

interface Tampering {
  name: string;
  script: string;
  code: number;
}

/** Makes it, verifies, and takes it back. */
async function codeAfter({ script }: Tampering): Promise<number> {
  await root.script(`begin; ${script}`);
  const { code } = await database.verify({ read: root.query });
  await root.script('rollback');
  return code;
}

describe('who rules the database', () => {
  const TAMPERINGS: Record<string, (random: Random) => Tampering> = {
    'a byte of a record': random => {
      const { at, seq, link } = pick(random);
      const place = random.below(link.record.length);
      const other = random.of([...'abXY019{}",: '].filter(letter => letter !== link.record[place]));
      const record = link.record.slice(0, place) + other + link.record.slice(place + 1);
      const script = `update audit.log set record = ${quote(record)} ${at}`;
      return { name: `${seq} ${place} ${other}`, script, code: 2 };
    },
    'a column': random => {
      const { at, seq } = pick(random);
      const column = random.of(COLUMNS.filter(name => name !== 'chain'));
      const value = { id: 'gen_random_uuid()', at: 'at + 1', outcome: "'unknown'", entity: "'other'" }[
        column as string
      ];
      return {
        name: `${seq} ${column}`,
        script: `update audit.log set ${column} = ${value ?? `${column} || 'x'`} ${at}`,
        code: 2,
      };
    },
    'a column is emptied': random => {
      const { at, seq } = pick(random);
      return { name: `${seq}`, script: `update audit.log set outcome = null ${at}`, code: 2 };
    },
    'a byte of a hash': random => {
      const { at, seq } = pick(random);
      const byte = random.below(32);
      const script = `update audit.log set hash = set_byte(hash, ${byte}, (get_byte(hash, ${byte}) + 1) % 256) ${at}`;
      return { name: `${seq} ${byte}`, script, code: 2 };
    },
    'the order of searching': random => {
      const { chain, seq } = pick(random);
      const other = random.otherNumber(seq, 1, ALL);
      const script = `update audit.log set position = (select position from audit.log where chain = '${chain}' and seq = ${other})
        where chain = '${chain}' and seq = ${seq}`;
      return { name: `${seq} as ${other}`, script, code: 2 };
    },
    'a record is moved to another month': random => {
      const { at, seq } = pick(random);
      return { name: `${seq}`, script: `update audit.log set month = '${months[seq <= 10 ? 1 : 0]}' ${at}`, code: 2 };
    },
    'one in the middle is deleted': random => {
      const { at, seq } = pick(random, ALL - 1);
      return { name: `${seq}`, script: `delete from audit.log ${at}`, code: 3 };
    },
    'several are deleted': random => {
      const { chain, seq } = pick(random, ALL - 5);
      const script = `delete from audit.log where chain = '${chain}' and seq between ${seq} and ${seq + random.below(4)}`;
      return { name: `${seq}`, script, code: 3 };
    },
    'the end is cut off, the head stands': random => {
      const { chain, seq } = pick(random);
      const script = `delete from audit.log where chain = '${chain}' and seq >= ${seq}`;
      return { name: `${seq}`, script, code: seq <= SIGNED ? 4 : 3 };
    },
    'the end is cut off together with its head': random => {
      const { chain, seq } = pick(random, SIGNED);
      return { name: `${seq}`, script: cut(chain, seq), code: 4 };
    },
    'the end is cut off, and others are in its place': random => {
      const { chain, seq } = pick(random, SIGNED);
      const records = chainOf(chain)
        .slice(seq - 1)
        .map(({ record }) => record.replace('Anna', 'Otto'));
      return { name: `${seq}`, script: `${cut(chain, seq)}; ${write(chain, seq, records)}`, code: 2 };
    },
    'everything from one on is hashed anew': random => {
      const { chain, seq } = pick(random, SIGNED);
      return { name: `${seq}`, script: rehash(chain, seq), code: 2 };
    },
    'one is deleted, the rest moved up and hashed anew': random => {
      const { chain, seq } = pick(random, SIGNED);
      const records = chainOf(chain)
        .slice(seq)
        .map(({ record }) => record);
      return { name: `${seq}`, script: `${cut(chain, seq)}; ${write(chain, seq, records)}`, code: 2 };
    },
    'one is written twice': random => {
      const { chain, seq } = pick(random);
      return { name: `${seq}`, script: copyOf(chain, seq, seq, months[seq <= 10 ? 1 : 0]), code: 2 };
    },
    'one is added behind the head': random => {
      const { chain, seq } = pick(random);
      return { name: `${seq}`, script: copyOf(chain, seq, ALL + 1, months[1]), code: 2 };
    },
    'one is added before the first': random => {
      const { chain, seq } = pick(random);
      return { name: `${seq}`, script: copyOf(chain, seq, -random.below(3), months[0]), code: 2 };
    },
    'two change places': random => {
      const { chain, seq } = pick(random);
      const other = random.otherNumber(seq, 1, ALL);
      const where = (number: number) => `where chain = '${chain}' and seq = ${number}`;
      const script = `update audit.log set seq = -1 ${where(seq)}; update audit.log set seq = ${seq} ${where(other)};
        update audit.log set seq = ${other} ${where(-1)}`;
      return { name: `${seq} and ${other}`, script, code: 2 };
    },
    'a number is changed': random => {
      const { at, seq } = pick(random, ALL - 1);
      return { name: `${seq}`, script: `update audit.log set seq = seq + ${1000 + random.below(1000)} ${at}`, code: 3 };
    },
    'two chains change names': random => {
      const one = random.of(CHAINS);
      const other = random.of(CHAINS.filter(chain => chain !== one));
      const swap = (table: string) => `
        update ${table} set chain = '~' || chain where chain in ('${one}', '${other}');
        update ${table} set chain = case chain when '~${one}' then '${other}' else '${one}' end where chain like '~%'`;
      return { name: `${one} ${other}`, script: `${swap('audit.log')}; ${swap('audit.head')}`, code: 2 };
    },
    'a chain is gone without a trace': random => {
      const chain = random.of(CHAINS);
      return { name: chain, script: cut(chain, 1), code: 4 };
    },
    'everything is gone without a trace': () => ({
      name: 'all',
      script: 'delete from audit.log; delete from audit.head',
      code: 4,
    }),
    'the head goes back': random => {
      const { chain, seq } = pick(random);
      const script = `update audit.head set seq = ${seq - 1} where chain = '${chain}'`;
      return { name: `${seq - 1}`, script, code: seq <= SIGNED ? 4 : 2 };
    },
    'the head runs ahead': random => {
      const { chain } = pick(random);
      const script = `update audit.head set seq = seq + ${1 + random.below(9)} where chain = '${chain}'`;
      return { name: chain, script, code: 3 };
    },
    'the head has another hash': random => {
      const { chain } = pick(random);
      return { name: chain, script: `update audit.head set hash = sha256(hash) where chain = '${chain}'`, code: 2 };
    },
    'the month that is over is dropped': () => ({
      name: 'drop',
      script: `drop table audit.log_${months[0]?.slice(0, 7).replace('-', '_')}`,
      code: 3,
    }),
    'the month that runs is dropped': () => ({
      name: 'drop',
      script: `drop table audit.log_${months[1]?.slice(0, 7).replace('-', '_')}`,
      code: 4,
    }),
    'the memory of the last checkpoint': random => ({
      name: 'memory',
      script: `update audit.last_checkpoint set ${random.of(['number = number + 1', 'number = number - 1', 'hash = sha256(hash)'])}`,
      code: 5,
    }),
  };

  test.each(Object.entries(TAMPERINGS))(
    '%s',
    async (name, make) => {
      const random = createRandom(name);
      for (let round = 0; round < ROUNDS; round++) {
        const tampering = make(random);
        expect([tampering.name, await codeAfter(tampering)]).toEqual([tampering.name, tampering.code]);
      }
    },
    60_000,
  );

  test('what came after the last checkpoint can be cut off together with its head: that is what five minutes mean', async () => {
    expect(await codeAfter({ name: '', script: cut('axe/axe', SIGNED + 1), code: 0 })).toBe(0);
    await root.script(`begin; ${cut('axe/axe', SIGNED)}`);
    expect((await database.verify({ read: root.query })).chains[1]).toMatchObject({ verdict: 'cut-off', at: SIGNED });
    await root.script('rollback');
  });

  test('a re-hash is found at the first checkpoint behind it', async () => {
    await root.script(`begin; ${rehash('axe/axe', 14)}`);
    const { chains: verdicts } = await database.verify({ read: root.query });
    await root.script('rollback');
    expect(verdicts[1]).toEqual({ chain: 'axe/axe', records: 15, verdict: 'altered', at: 16 });
  });
});

describe('who rules the folder of the checkpoints', () => {
  const STRANGER = strangersKey();
  /** What is left is a file as it once was: only the database, or a second place, remembers that there was more. */
  const SEEN_ONLY_FROM_OUTSIDE = [
    'a bit of any line',
    'a line is removed',
    'the end is cut off at any byte',
    'an older file is put back',
  ];

  const TAMPERINGS: Record<string, (lines: string[], random: Random) => string> = {
    'a bit of any line': (lines, random) => {
      const bytes = Buffer.from(joined(lines));
      const place = random.below(bytes.length);
      bytes[place] = (bytes[place] ?? 0) ^ (1 << random.below(7));
      return bytes.toString('latin1');
    },
    'a line is removed': (lines, random) => joined(lines.toSpliced(random.below(lines.length), 1)),
    'a line is written twice': (lines, random) => {
      const line = random.of(lines);
      return joined(lines.toSpliced(random.below(lines.length + 1), 0, line));
    },
    'two lines change places': (lines, random) => {
      const one = random.below(lines.length);
      const other = random.otherNumber(one, 0, lines.length - 1);
      return joined(lines.with(one, lines[other] ?? '').with(other, lines[one] ?? ''));
    },
    // Without the last byte it says as much as before.
    'the end is cut off at any byte': (lines, random) => joined(lines).slice(0, random.below(joined(lines).length - 1)),
    'an older file is put back': (lines, random) => joined(lines.slice(0, random.below(lines.length))),
    'a line is edited and signed by another key': (lines, random) => {
      const place = random.below(lines.length);
      const line = lineOf(lines[place]);
      const forged = signLine(STRANGER, line.key, { ...line, heads: headsWithout(line, random) });
      return joined(lines.with(place, textOf(forged)));
    },
    'a line is added by another key': (lines, random) => {
      const place = random.below(lines.length);
      const line = lineOf(lines[place]);
      const forged = signLine(STRANGER, line.key, {
        ...line,
        heads: headsWithout(line, random),
        number: line.number + 1,
      });
      return joined(lines.toSpliced(place + 1, 0, textOf(forged)));
    },
    'all lines are signed by another key': lines => {
      const { keyId } = createVerifier(STRANGER.publicKey);
      return joined(
        lines.map(text => textOf(signLine(STRANGER, keyId, { ...lineOf(text), heads: headsWithout(lineOf(text)) }))),
      );
    },
    'a signature is put under another line': (lines, random) => {
      const place = random.below(lines.length);
      const other = random.otherNumber(place, 0, lines.length - 1);
      return joined(lines.with(place, textOf({ ...lineOf(lines[place]), signature: lineOf(lines[other]).signature })));
    },
    'a head is hidden behind its digest': (lines, random) => {
      const place = random.below(lines.length);
      const chain = random.of(CHAINS);
      return joined(lines.with(place, textOf(redact(lineOf(lines[place]), name => name !== chain))));
    },
    'heads are hidden everywhere': (lines, random) => {
      const chain = random.of(CHAINS);
      return joined(lines.map(text => textOf(redact(lineOf(text), name => name !== chain))));
    },
    'a line that was never ours': (lines, random) => {
      const line = random.of(['{}', '[]', 'null', '0', '""', '{"version":1}']);
      return joined(lines.toSpliced(random.below(lines.length + 1), 0, line));
    },
    'the same line in other words': (lines, random) => {
      const place = random.below(lines.length);
      const words = random.of(['{ "at":', '{"at":0', '{"\\u0061t":', '{"at":1e0,"at":']);
      return joined(lines.with(place, lines[place]?.replace('{"at":', words) ?? ''));
    },
    'an extract among the checkpoints': (lines, random) => {
      const { keyId } = createVerifier(KEY.publicKey);
      const last = lineOf(lines.at(-1));
      const heads = [{ chain: random.of(CHAINS), seq: 1, hash: '0'.repeat(64) }];
      const statement = {
        kind: 'extract',
        at: last.at,
        number: last.number + 1,
        previous: hashOf(last),
        heads,
      } as const;
      return joined([...lines, textOf(signLine(KEY, keyId, statement))]);
    },
  };

  test.each(Object.entries(TAMPERINGS))(
    '%s',
    async (name, tamper) => {
      const random = createRandom(name);
      const lines = await readCheckpoints();
      for (let round = 0; round < ROUNDS; round++) {
        await writeFile(scratch, tamper(lines, random), 'latin1');
        const { code, faults } = await database.verify({ file: scratch });
        expect([round, code, faults.length > 0]).toEqual([round, 5, true]);
        if (SEEN_ONLY_FROM_OUTSIDE.includes(name)) continue;
        const alone = await database.verify({ file: scratch, remembered: undefined });
        expect([round, alone.code]).toEqual([round, 5]);
      }
    },
    60_000,
  );

  test('the file is gone', async () => {
    expect(await database.verify({ file: join(database.dataFolder, 'nowhere') })).toMatchObject({ code: 5 });
  });

  test('an older copy is held against the log as far as it goes, and against what the database remembers', async () => {
    const lines = await readCheckpoints();
    await writeFile(scratch, joined(lines.slice(0, 3)));
    expect(await database.verify({ file: scratch, isCopy: true })).toMatchObject({ code: 0, faults: [] });
    await root.script(`begin; ${rehash('axe/axe', 2)}`);
    const altered = await database.verify({ file: scratch, isCopy: true, read: root.query });
    await root.script('rollback');
    expect([altered.code, altered.chains[1]]).toMatchObject([2, { verdict: 'altered' }]);
    await writeFile(scratch, joined(lines.toSpliced(2, 1)));
    expect(await database.verify({ file: scratch, isCopy: true })).toMatchObject({ code: 5 });
    await writeFile(scratch, joined(lines));
    const remembered = { number: 2, hash: '0'.repeat(64) };
    expect(await database.verify({ file: scratch, isCopy: true, remembered })).toMatchObject({ code: 5 });
  });

  test('a line that a killed process left unfinished is no forgery, at the end and in the middle', async () => {
    const lines = await readCheckpoints();
    for (const length of [1, 40, 400]) {
      const torn = lines.at(-1)?.slice(0, length) ?? '';
      await writeFile(scratch, joined(lines) + torn);
      expect(await database.verify({ file: scratch })).toMatchObject({ code: 0 });
      for (const place of [0, 3, lines.length - 1]) {
        await writeFile(scratch, joined(lines.toSpliced(place, 0, torn)));
        expect(await database.verify({ file: scratch })).toMatchObject({ code: 0 });
      }
      // But where a line should be there is none.
      await writeFile(scratch, joined(lines.with(2, torn)));
      expect(await database.verify({ file: scratch })).toMatchObject({ code: 5 });
    }
  });

  test('what is forged is held against nothing', async () => {
    const lines = await readCheckpoints();
    const line = lineOf(lines[2]);
    const heads = headsWithout(line).map(head => ({ ...head, hash: '0'.repeat(64) }));
    await writeFile(scratch, joined(lines.with(2, textOf(signLine(STRANGER, line.key, { ...line, heads })))));
    const { code, chains: verdicts } = await database.verify({ file: scratch });
    expect([code, ...verdicts.map(({ verdict }) => verdict)]).toEqual([5, 'whole', 'whole', 'whole']);
  });

  test('what still is signed is held against the log all the same', async () => {
    const lines = await readCheckpoints();
    await writeFile(scratch, joined(lines.toSpliced(2, 1)));
    await root.script(`begin; ${cut('axe/axe', SIGNED)}`);
    const { code, chains: verdicts } = await database.verify({ file: scratch, read: root.query });
    await root.script('rollback');
    expect([code, verdicts[1]?.verdict]).toEqual([5, 'cut-off']);
  });
});

describe('who rules both', () => {
  /** Back to an older state: the log, its heads, the memory of the checkpoints, and their file. */
  async function rollBack(second?: string) {
    const lines = await readCheckpoints();
    const kept = lines.slice(0, -2);
    await writeFile(scratch, joined(kept));
    const last = lineOf(kept.at(-1));
    const scripts = CHAINS.map(chain =>
      cut(chain, (headsWithout(last).find(head => head.chain === chain)?.seq ?? 0) + 1),
    );
    await root.script(`begin; ${scripts.join(';')}; delete from audit.last_checkpoint`);
    const verified = await database.verify({ file: scratch, second, read: root.query });
    await root.script('rollback');
    return verified;
  }

  test('can put everything back: only a second place knows', async () => {
    expect((await rollBack()).code).toBe(0);
    const second = join(database.dataFolder, 'second.ndjson');
    await copyFile(checkpointFiles(database.dataFolder).checkpoints, second);
    const { code, faults, chains: verdicts } = await rollBack(second);
    expect(code).toBe(5);
    expect(faults[0]).toContain('the second place has another number');
    expect(verdicts.map(({ verdict }) => verdict)).toEqual(['cut-off', 'cut-off', 'cut-off']);
  });

  test('a second place that is behind, unfinished or gone contradicts nothing; one that differs does', async () => {
    const lines = await readCheckpoints();
    const second = join(database.dataFolder, 'second.ndjson');
    for (const [text, code] of [
      [joined(lines.slice(0, 3)), 0],
      [joined(lines) + lines[0]?.slice(0, 9), 0],
      ['', 0],
      [joined(lines.with(1, lines[1]?.replace(/"at":\d/, '"at":3') ?? '')), 5],
      [joined([lines[0] ?? '', '{}']), 5],
    ] as const) {
      await writeFile(second, text);
      expect([text.length, (await database.verify({ second })).code]).toEqual([text.length, code]);
    }
    await rm(second);
    expect((await database.verify({ second })).code).toBe(0);
  });

  test('a log without any checkpoint is missed, an empty one is not', async () => {
    const nowhere = join(database.dataFolder, 'nowhere');
    await root.script('begin; delete from audit.last_checkpoint');
    expect((await database.verify({ file: nowhere, read: root.query })).code).toBe(5);
    await root.script('delete from audit.log; delete from audit.head');
    expect((await database.verify({ file: nowhere, read: root.query })).code).toBe(0);
    await root.script('rollback');
  });
});

test('a gateway that signs a log that was hashed anew does not make it right', async () => {
  const dataFolder = join(database.dataFolder, 'other');
  const { folder, checkpoints: file } = checkpointFiles(dataFolder);
  await mkdir(folder, { recursive: true });
  await writeFile(file, joined(await readCheckpoints()));
  const checkpoints = database.openCheckpoints({ dataFolder, read: root.query });
  await root.script('begin');
  await checkpoints.write();
  await root.script(rehash('axe/axe', ALL));
  await checkpoints.write();
  const { code, chains: verdicts, faults } = await database.verify({ file, read: root.query });
  await root.script('rollback');
  expect([code, faults, verdicts[1]?.verdict, verdicts[1]?.at]).toEqual([2, [], 'altered', ALL]);
});

test('a file that was cut or put back has a hole for ever, however much is written after it', async () => {
  const { checkpoints: file } = checkpointFiles(database.dataFolder);
  const kept = await readFile(file);
  const lines = await readCheckpoints();
  await truncate(file, Buffer.byteLength(joined(lines.slice(0, -3))));
  const checkpoints = database.openCheckpoints();
  for (let more = 0; more < 6; more++) await checkpoints.write();
  expect((await database.verify()).code).toBe(5);
  await rm(file);
  await checkpoints.write();
  expect(checkpoints.state().failure).toContain('is gone');
  expect((await database.verify()).code).toBe(5);
  await writeFile(file, '');
  await checkpoints.write();
  expect(checkpoints.state().failure).toBeNull();
  expect((await database.verify()).code).toBe(5);
  await writeFile(file, kept);
});

// Private

const ROUNDS = 25;

function pick(random: Random, most = ALL) {
  const chain = random.of(CHAINS);
  const seq = 1 + random.below(most);
  const link = chainOf(chain)[seq - 1];
  if (!link) throw new Error(`${chain} has no ${seq}`);
  return { chain, seq, link, at: `where chain = '${chain}' and seq = ${seq}` };
}

function chainOf(chain: string): Logged[] {
  return chains[chain] ?? [];
}

function cut(chain: string, seq: number): string {
  const before = chainOf(chain)[seq - 2];
  const head = before
    ? `update audit.head set seq = ${before.seq}, hash = '\\x${before.hash}' where chain = '${chain}'`
    : `delete from audit.head where chain = '${chain}'`;
  return `delete from audit.log where chain = '${chain}' and seq >= ${seq}; ${head}`;
}

/** Appends records as a forger would who knows how it is done. */
function write(chain: string, from: number, records: string[]): string {
  let seq = from - 1;
  let hash = chainOf(chain)[seq - 1]?.hash ?? '';
  const rows = records.map(record => {
    seq += 1;
    hash = linkHash(chain, seq, hash, record);
    const { id, at, customer, entity, requestId, tool, phase, outcome } = JSON.parse(record);
    const actor = quote(['anna@axellc.com', JSON.parse(record).actor.name, 'object'].join('\n').toLowerCase());
    const texts = [customer, entity ?? null, requestId].map(quote).join();
    return `('${chain}', ${seq}, '${id}', ${at}, ${texts}, ${actor}, ${[tool, phase, outcome].map(quote).join()},
      ${quote(record)}, '\\x${hash}', '${months[seq <= 10 ? 0 : 1]}')`;
  });
  const insert = `insert into audit.log (chain, seq, id, at, customer, entity, request_id, actor, tool, phase, outcome, record,
    hash, month) values ${rows.join()}`;
  const head = `insert into audit.head (chain, seq, hash) values ('${chain}', ${seq}, '\\x${hash}')
    on conflict (chain) do update set seq = excluded.seq, hash = excluded.hash`;
  return records.length > 0 ? `${insert}; ${head}` : '';
}

function rehash(chain: string, seq: number): string {
  const records = chainOf(chain)
    .slice(seq - 1)
    .map(({ record }) => record);
  const [first = '', ...others] = records;
  return `${cut(chain, seq)}; ${write(chain, seq, [first.replace('Anna', 'Otto'), ...others])}`;
}

function copyOf(chain: string, seq: number, to: number, month = ''): string {
  return `insert into audit.log
      (chain, seq, id, at, customer, entity, request_id, actor, tool, phase, outcome, record, hash, month)
    select chain, ${to}, gen_random_uuid(), at, customer, entity, request_id, actor, tool, phase, outcome, record, hash, '${month}'
    from audit.log where chain = '${chain}' and seq = ${seq}`;
}

function quote(text: string | null): string {
  return text === null ? 'null' : `'${text.replaceAll("'", "''")}'`;
}

async function readCheckpoints(): Promise<string[]> {
  const text = await readFile(checkpointFiles(database.dataFolder).checkpoints, 'utf8');
  return text.split('\n').slice(0, -1);
}

function joined(lines: readonly string[]): string {
  return lines.map(line => `${line}\n`).join('');
}

function lineOf(text = ''): SignedLine {
  const line = parseLine(text);
  if (typeof line === 'string') throw new Error(`${line}: ${text}`);
  return line;
}

/** All heads, without one that a random choice hides. */
function headsWithout(line: SignedLine, random?: Random) {
  const heads = line.heads.flatMap(head => (typeof head === 'string' ? [] : [head]));
  return random ? heads.toSpliced(random.below(heads.length), 1) : heads;
}

function strangersKey(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    sign: text => sign(null, Buffer.from(text), privateKey).toString('hex'),
  };
}
