import type { Read } from '../database/ledger.ts';
import type { Anchors } from './anchors.ts';
import { canonicalJson } from './canonical-json.ts';
import { readLines } from './line-file.ts';
import { readPage } from './log-pages.ts';
import { createVerifier, type Signer } from './signature.ts';
import { type Head, headsOf, parseLine, redact, type SignedLine, signLine } from './signed-line.ts';

/**
 * Records in a file, with all that is needed to verify them elsewhere. One JSON object per line: first a signed line that
 * says where each chain begins and ends, with the public key; then the checkpoints that speak of these records; then the
 * records, chain by chain.
 */
export interface ExtractParts {
  /** On the login of the audit log. */
  read: Read;
  /** An extract, or the seal of a month. */
  header: SignedLine;
  publicKey: string;
  /** The file of the checkpoints. */
  checkpoints: string;
  onProgress?(records: number): void;
}

/** The lines of the file, without their ends. Of the checkpoints it shows no chain that is not in the header. */
export async function* extractLines(parts: ExtractParts): AsyncGenerator<string> {
  const { read, header, publicKey, checkpoints, onProgress } = parts;
  yield textOfEntry({ extract: header, public_key: publicKey });
  for await (const line of linesAbout(header, checkpoints)) yield textOfEntry({ checkpoint: line });
  let records = 0;
  for (const head of headsOf(header)) {
    let page = await readPage(read, head.chain, { seq: String(firstOf(head)), skip: 0 });
    for (;;) {
      for (const { seq, hash, record } of page.links) {
        if (seq <= head.seq) yield textOfEntry({ chain: head.chain, seq, hash, record });
      }
      records += page.links.length;
      onProgress?.(records);
      if (!page.next || Number(page.next.seq) > head.seq) break;
      page = await readPage(read, head.chain, page.next);
    }
  }
}

/** What one line says. */
export type ExtractEntry =
  | { extract: unknown; public_key: string }
  | { checkpoint: unknown }
  | { chain: string; seq: number; hash: string; record: string };

/** One text per entry: a reader can tell when anything was added that is not written like this. */
export function textOfEntry(entry: ExtractEntry): string {
  if (!('record' in entry)) return canonicalJson(entry);
  const { chain, seq, hash, record } = entry;
  return JSON.stringify({ chain, seq, hash, record });
}

export interface ExtractScope {
  customer: string;
  entity?: string | undefined;
  /** Milliseconds since 1970: from, and up to but without. What lies between the first and the last is all there. */
  since?: number | undefined;
  until?: number | undefined;
}

/** Signs where the records of a company begin and end now; undefined when there are none. */
export async function signExtract(
  read: Read,
  signer: Signer,
  scope: ExtractScope,
  { chains, anchors, now }: { chains: readonly string[]; anchors: Anchors; now: number },
): Promise<SignedLine | undefined> {
  const heads: Head[] = [];
  for (const chain of chains) {
    const head = await readPart(read, chain, scope, anchors);
    if (head) heads.push(head);
  }
  if (heads.length === 0) return undefined;
  const { keyId } = createVerifier(signer.publicKey);
  return signLine(signer, keyId, { kind: 'extract', at: now, number: 0, previous: '', scope, heads });
}

export function firstOf({ seq, count = seq }: Head): number {
  return seq - count + 1;
}

// Private

const PART = `
  with part as (
    select min(seq) as first, max(seq) as last from audit.log where chain = $1 and at >= $2::bigint and at < $3::bigint
  )
  select first, last, encode(newest.hash, 'hex'), encode(before.hash, 'hex') from part
  join audit.log as newest on newest.chain = $1 and newest.seq = last
  left join audit.log as before on before.chain = $1 and before.seq = first - 1`;

async function readPart(
  read: Read,
  chain: string,
  { since = 0, until = Number.MAX_SAFE_INTEGER }: ExtractScope,
  anchors: Anchors,
): Promise<Head | undefined> {
  const { rows } = await read(PART, [chain, since, until]);
  const [first, last, hash, before] = rows[0] ?? [];
  if (!rows[0]) return undefined;
  return {
    chain,
    seq: Number(last),
    hash: String(hash),
    count: Number(last) - Number(first) + 1,
    before: before === null ? anchors.startOf(chain, Number(first), 'archived').hash : String(before),
  };
}

/** Each of them speaks of a record that no line before it speaks of. */
async function* linesAbout(header: SignedLine, checkpoints: string): AsyncGenerator<SignedLine> {
  const parts = new Map(headsOf(header).map(head => [head.chain, head]));
  const said = new Set<string>();
  const isNews = ({ chain, seq }: Head) => {
    const part = parts.get(chain);
    return part !== undefined && seq >= firstOf(part) && seq <= part.seq && !said.has(`${chain} ${seq}`);
  };
  for await (const { text } of readLines(checkpoints)) {
    const line = parseLine(text);
    if (typeof line === 'string') continue;
    const news = headsOf(line).filter(isNews);
    if (news.length === 0) continue;
    for (const { chain, seq } of news) said.add(`${chain} ${seq}`);
    yield redact(line, chain => parts.has(chain));
  }
}
