import { z } from 'zod';
import { type Anchors, createAnchors } from './anchors.ts';
import { canonicalJson } from './canonical-json.ts';
import { type ExtractEntry, firstOf, textOfEntry } from './extract.ts';
import { type FileLine, readLines } from './line-file.ts';
import { createVerifier, type Verifier } from './signature.ts';
import { type Head, headsOf, isSignedLine, parseLine, type SignedLine } from './signed-line.ts';
import { type ChainVerdict, startWalk, type Walk } from './walk.ts';

export interface ExtractVerdict {
  /** What the file says it holds; undefined when that is forged. */
  header: SignedLine | undefined;
  chains: ChainVerdict[];
  /** What is wrong with the signed lines; then nothing that they speak of is proven. */
  faults: string[];
  checkpoints: number;
  /** The key that it was verified with. */
  keyId: string | undefined;
}

/**
 * Verifies a file of extractLines, with the key that it should be signed with; without one, with the key in the file, which
 * proves something only to who knows that key.
 */
export async function verifyExtract(
  file: string,
  publicKey?: string,
  onProgress?: (records: number) => void,
): Promise<ExtractVerdict> {
  return await verifyExtractLines(readLines(file), publicKey, onProgress);
}

/** The same for lines that are in no file yet. */
export async function verifyExtractLines(
  lines: AsyncIterable<FileLine>,
  publicKey?: string,
  onProgress: (records: number) => void = () => {},
): Promise<ExtractVerdict> {
  const anchors = createAnchors();
  const parts: { walk: Walk; head: Head }[] = [];
  const faults: string[] = [];
  let verifier: Verifier | undefined;
  let header: SignedLine | undefined;
  let checkpoints = 0;
  let records = 0;
  let row = 0;

  for await (const { text, isWhole } of lines) {
    row += 1;
    if (!isWhole) {
      faults.push(`line ${row} is unfinished`);
      break;
    }
    const entry = parseEntry(text);
    if (row === 1) {
      verifier = entry && 'extract' in entry ? openVerifier(publicKey ?? entry.public_key) : undefined;
      header = verifier && entry && 'extract' in entry ? headerOf(entry.extract, verifier) : undefined;
      if (!header) break;
      if (entry && 'extract' in entry && entry.public_key !== verifier?.publicKey)
        faults.push('the key in it is another');
      anchors.add(header);
      for (const head of headsOf(header)) parts.push({ head, walk: walkAlong(head, anchors) });
    } else if (entry && 'checkpoint' in entry) {
      const line = verifier && signedOf(entry.checkpoint, verifier);
      if (!line) faults.push(`the checkpoint in line ${row} is forged`);
      else if (records > 0) faults.push(`the checkpoint in line ${row} stands behind records`);
      else anchors.add(line);
      checkpoints += 1;
    } else if (entry && 'record' in entry) {
      const part = parts.find(({ head }) => head.chain === entry.chain);
      if (part) part.walk.take(entry);
      else faults.push(`line ${row} belongs to no chain of this file`);
      records += 1;
      onProgress(records);
    } else if (records > 0 || text.startsWith('{"chain":')) {
      const open = parts.find(({ head, walk }) => walk.seq < head.seq);
      if (open) open.walk.takeDamaged();
      else faults.push(`line ${row} is damaged, and one too many`);
      records += 1;
    } else faults.push(`line ${row} is damaged`);
  }
  if (!header) faults.push('its first line is forged, damaged, or signed with another key');
  const chains = parts.map(({ walk, head }) => walk.end(head, head.seq));
  return { header, chains, faults, checkpoints, keyId: verifier?.keyId };
}

// Private

const Entry = z.union([
  z.strictObject({ extract: z.unknown(), public_key: z.string() }),
  z.strictObject({ checkpoint: z.unknown() }),
  z.strictObject({ chain: z.string(), seq: z.int(), hash: z.string(), record: z.string() }),
]);

/** Only as it was written: a name that stands twice in a line would hide what a reader sees first. */
function parseEntry(text: string): ExtractEntry | undefined {
  try {
    const entry = Entry.safeParse(JSON.parse(text)).data;
    return entry && textOfEntry(entry) === text ? entry : undefined;
  } catch {
    return undefined;
  }
}

function openVerifier(publicKey: string): Verifier | undefined {
  try {
    return createVerifier(publicKey);
  } catch {
    return undefined;
  }
}

/** All checkpoints stand before the first record. */
function walkAlong(head: Head, anchors: Anchors): Walk {
  const start = { seq: firstOf(head) - 1, hash: head.before ?? '' };
  return startWalk(head.chain, start, anchors.of(head.chain));
}

function signedOf(value: unknown, verifier: Verifier): SignedLine | undefined {
  const line = parseLine(canonicalJson(value));
  return typeof line !== 'string' && isSignedLine(line, verifier) ? line : undefined;
}

/** A head that is hidden would be a chain that nobody misses. */
function headerOf(value: unknown, verifier: Verifier): SignedLine | undefined {
  const line = signedOf(value, verifier);
  const isHeader = line?.kind === 'extract' || line?.kind === 'seal';
  return isHeader && line.heads.every(head => typeof head !== 'string') ? line : undefined;
}
