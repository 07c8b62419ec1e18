import { stat } from 'node:fs/promises';
import type { Read } from '../database/ledger.ts';
import { type Anchors, createAnchors, type GrowingAnchors } from './anchors.ts';
import { checkpointFiles, readLog } from './checkpoint-writer.ts';
import { isMissing, readLines } from './line-file.ts';
import { createVerifier, type Verifier } from './signature.ts';
import { hashOf, isSignedLine, parseLine, type SignedLine } from './signed-line.ts';

/** What the checkpoints say of the log, and whether they themselves are as they were written. */
export interface Evidence {
  anchors: Anchors;
  /** Lines that are ours. */
  lines: number;
  last: SignedLine | undefined;
  /** In order of their weight for somebody who reads only the first. */
  faults: readonly string[];
  warnings: readonly string[];
}

export interface EvidenceSource {
  file: string;
  verifier: Verifier;
  /** The copy in the second place. */
  second?: string | undefined;
  /** What the database remembers as the last. It was read before, so the file is never behind it. */
  remembered?: { number: number; hash: string } | undefined;
  /** The file is somebody's copy of once: that it ends earlier is no fault. */
  isCopy?: boolean;
}

/**
 * Reads the checkpoints, and says of every line that was edited, removed, moved, added or signed by another key. A line
 * that a killed process left unfinished is none of that: its end is missing, and the next line follows the one before it.
 * Where only the end of the line itself is missing, it is a line like any other.
 */
export async function readEvidence(source: EvidenceSource): Promise<Evidence> {
  // The second place first, as far as it is now: whatever it has, the first has had before.
  const secondBytes = source.second === undefined ? undefined : await sizeOf(source.second);
  const quick = await examine(source, false);
  const first = quick.faults.length === 0 ? quick : await examine(source, true);
  const faults = [...first.faults];
  const warnings: string[] = [];
  const behind = findBehind(source, first);
  if (behind === undefined) faults.push(...checkRemembered(source, first));
  else (source.isCopy ? warnings : faults).push(behind);
  if (source.second !== undefined) {
    if (secondBytes === undefined) warnings.push(`The second place has no checkpoints: ${source.second}`);
    else faults.push(...(await compare(source, first, secondBytes)));
  }
  return { anchors: first.anchors, lines: first.hashes.size, last: first.last, faults, warnings };
}

/** The checkpoints of this machine, as they are now. */
export async function readOwnEvidence(read: Read, dataFolder: string, publicKey: string): Promise<Evidence> {
  const { remembered } = await readLog(read);
  const file = checkpointFiles(dataFolder).checkpoints;
  return await readEvidence({ file, verifier: createVerifier(publicKey), remembered });
}

// Private

interface Examined {
  anchors: GrowingAnchors;
  /** Number → hash of the line. */
  hashes: Map<number, string>;
  last: SignedLine | undefined;
  faults: string[];
}

/**
 * Each line holds the hash of the one before, so the signature of the last speaks for all of them. As soon as anything is
 * wrong, `every` signature is looked at, and what is not signed says nothing of the log.
 */
async function examine({ file, verifier }: EvidenceSource, every: boolean): Promise<Examined> {
  const examined: Examined = { anchors: createAnchors(), hashes: new Map(), last: undefined, faults: [] };
  const { faults, hashes, anchors } = examined;
  let previous = '';
  let row = 0;
  let broken: number | undefined;

  for await (const { text, isWhole } of readLines(file)) {
    row += 1;
    const line = parseLine(text);
    if (line === 'broken') {
      if (isWhole) broken ??= row;
      continue;
    }
    if (!isPossible(line) || (every && !isSignedLine(line, verifier))) {
      faults.push(`line ${row} is forged`);
      continue;
    }
    if (line.number !== (examined.last?.number ?? 0) + 1 || line.previous !== previous) {
      faults.push(`line ${row} does not follow the line before it`);
    } else broken = undefined;
    previous = hashOf(line);
    examined.last = line;
    hashes.set(line.number, previous);
    anchors.add(line);
  }
  if (!every && examined.last && !isSignedLine(examined.last, verifier)) faults.push('the last signature is forged');
  if (broken !== undefined) faults.push(`line ${broken} is damaged`);
  return examined;
}

function isPossible(line: SignedLine | 'wrong'): line is SignedLine {
  // A digest in place of a head is for extracts: here it would hide what the line says.
  return line !== 'wrong' && line.kind !== 'extract' && !line.heads.some(isDigest);
}

function isDigest(head: unknown): boolean {
  return typeof head === 'string';
}

function findBehind({ remembered, isCopy, file }: EvidenceSource, { last }: Examined): string | undefined {
  const end = last?.number ?? 0;
  if (!remembered || remembered.number <= end) return undefined;
  if (!isCopy) return `they end at ${end}, but the database remembers number ${remembered.number}`;
  return `${file} ends at number ${end} and the log at ${remembered.number}: what was signed since is not looked at, nor which months were archived since.`;
}

function checkRemembered({ remembered }: EvidenceSource, { hashes }: Examined): string[] {
  if (!remembered) return [];
  const known = hashes.get(remembered.number);
  return known === remembered.hash ? [] : [`number ${remembered.number} is another than the database remembers`];
}

/** What only the second place has, signed, counts as evidence too: it may be what was taken out of the first. */
async function compare({ second = '', verifier }: EvidenceSource, first: Examined, bytes: number): Promise<string[]> {
  const faults: string[] = [];
  let row = 0;
  for await (const { text } of readLines(second, bytes)) {
    row += 1;
    const line = parseLine(text);
    if (line === 'broken') continue;
    if (!isPossible(line)) faults.push(`line ${row} of the second place is forged`);
    else if (first.hashes.get(line.number) !== hashOf(line)) {
      const isSigned = isSignedLine(line, verifier);
      faults.push(`the second place has ${isSigned ? 'another' : 'a forged'} number ${line.number}`);
      if (isSigned) first.anchors.add(line);
    }
  }
  return faults;
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).size;
  } catch (thrown) {
    if (isMissing(thrown)) return undefined;
    throw thrown;
  }
}
