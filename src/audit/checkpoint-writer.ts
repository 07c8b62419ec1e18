import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Read } from '../database/ledger.ts';
import { withFileLock } from './file-lock.ts';
import { appendLines, ignoreMissing, isThere, makeFolder, readLastLine } from './line-file.ts';
import { createVerifier, type Signer, type Verifier } from './signature.ts';
import { type Head, hashOf, isSignedLine, parseLine, type SignedLine, signLine, textOf } from './signed-line.ts';

/** The files beside each other in the data folder. */
export function checkpointFiles(dataFolder: string) {
  const folder = join(dataFolder, 'audit');
  const inFolder = (name: string) => join(folder, name);
  return {
    folder,
    checkpoints: inFolder('checkpoints.ndjson'),
    publicKey: inFolder('public-key.pem'),
    lock: inFolder('lock'),
    secondLock: inFolder('second-place.lock'),
  };
}

/** What a line says besides its place among the others. Without heads: those that all chains have now. */
export interface Saying {
  kind: 'checkpoint' | 'seal' | 'archive';
  month?: string;
  heads?: readonly Head[];
}

export interface CheckpointWriter {
  verifier: Verifier;
  /** Adds one signed line, on the disk when this resolves. One writer at a time, over all processes. */
  write(saying: Saying): Promise<SignedLine>;
}

export interface WriterParts {
  dataFolder: string;
  signer: Signer;
  /** On the login of the audit log. */
  read: Read;
  /** Milliseconds since 1970. */
  now(): number;
  /** How long another process may keep us waiting. */
  lockPatienceMilliseconds?: number;
}

export function createCheckpointWriter(parts: WriterParts): CheckpointWriter {
  const { dataFolder, signer, read, now, lockPatienceMilliseconds } = parts;
  const files = checkpointFiles(dataFolder);
  const verifier = createVerifier(signer.publicKey);

  async function write({ kind, month, heads }: Saying): Promise<SignedLine> {
    await makeFolder(files.folder);
    const work = async () => {
      // Heads after the lock: so they never go back from one line to the next.
      const { heads: current, remembered } = await readLog(read);
      const last = await findLast(files.checkpoints, verifier, remembered);
      const line = signLine(signer, verifier.keyId, {
        kind,
        at: now(),
        number: last.number + 1,
        previous: last.hash,
        ...(month !== undefined && { month }),
        heads: heads ?? (kind === 'archive' ? [] : current),
      });
      await publishKey(files.publicKey, verifier);
      await appendLines(files.checkpoints, [textOf(line)]);
      await read(NOTE, [line.number, hashOf(line)]);
      return line;
    };
    return await withFileLock(files.lock, work, lockPatienceMilliseconds);
  }

  return { verifier, write };
}

export interface Remembered {
  number: number;
  hash: string;
}

/** The heads of all chains, and the last checkpoint that the database remembers, at one moment. */
export async function readLog(read: Read): Promise<{ heads: Head[]; remembered: Remembered | undefined }> {
  const { rows } = await read(LOG_NOW);
  const [number, hash] = rows[0] ?? [null, null];
  return {
    heads: rows
      .filter(([, , chain]) => chain !== null)
      .map(([, , chain, seq, hash]) => ({ chain: String(chain), seq: Number(seq), hash: String(hash) })),
    remembered: number === null ? undefined : { number: Number(number), hash: String(hash) },
  };
}

/** The last line of ours in the file. */
export async function readLastSigned(file: string, verifier: Verifier): Promise<SignedLine | undefined> {
  return await readLastLine(file, text => {
    const line = parseLine(text);
    return typeof line !== 'string' && isSignedLine(line, verifier) ? line : undefined;
  });
}

// Private

const LOG_NOW = `
  select c.number, encode(c.hash, 'hex'), h.chain, h.seq, encode(h.hash, 'hex')
  from (values (1)) as one (row) left join audit.last_checkpoint as c on true left join audit.head as h on h.seq > 0
  order by h.chain`;

const NOTE = `select audit.note_checkpoint($1::bigint, decode($2, 'hex'))`;

/**
 * What the next line follows: the last in the file, or what the database remembers when the file is behind. So a file that
 * was cut or put back has a hole for ever, and cannot grow into one that looks whole.
 */
async function findLast(file: string, verifier: Verifier, remembered: Remembered | undefined): Promise<Remembered> {
  if (remembered && !(await isThere(file))) {
    throw new Error(
      `${file} is gone, or FRAME_DATA names another folder than before; put it back, from the second place for example. If it is lost, make an empty file there`,
    );
  }
  const line = await readLastSigned(file, verifier);
  const last = line ? { number: line.number, hash: hashOf(line) } : { number: 0, hash: '' };
  return remembered && remembered.number > last.number ? remembered : last;
}

/**
 * For auditors. Whoever changes it is found out by everybody who took a copy before. Where another key is published, the
 * checkpoints are those of another gateway: a line of ours among them would look forged.
 */
async function publishKey(file: string, { publicKey }: Verifier): Promise<void> {
  const known = (await readFile(file, 'utf8').catch(ignoreMissing)) ?? '';
  if (known === publicKey) return;
  // A full disk may have taken only its beginning.
  if (!publicKey.startsWith(known)) {
    throw new Error(
      `${file} is of another master key; every database needs a FRAME_DATA of its own. If that key is lost, move the folder of this file away`,
    );
  }
  await writeFile(file, publicKey, { mode: 0o644 });
}
