import { hash } from 'node:crypto';
import { z } from 'zod';
import { canonicalJson } from './canonical-json.ts';
import type { Signer, Verifier } from './signature.ts';

/** The last record of a chain, or of a part of it. */
export interface Head {
  chain: string;
  seq: number;
  hash: string;
  /** Of a part: how many records it has, and the hash of the one before its first. */
  count?: number | undefined;
  before?: string | undefined;
}

/**
 * One signed statement, one line of canonical JSON. `checkpoint`: the heads of all chains. `seal`: what a finished month
 * holds of them. `archive`: the month was taken out of the database. `extract`: what an exported file holds.
 *
 * A head that a reader may not see is replaced by its digest: signature and hash of the line are made of the digests, so
 * that they hold all the same. The hash inside makes a head that cannot be guessed.
 */
export type SignedLine = z.output<typeof schema>;

/** What the writer of a line decides. */
export type Statement = Pick<SignedLine, 'kind' | 'at' | 'number' | 'previous'> & {
  heads: readonly Head[];
  month?: string;
  scope?: SignedLine['scope'];
};

export function signLine(signer: Signer, keyId: string, statement: Statement): SignedLine {
  const line = { ...statement, heads: [...statement.heads], version: 1 as const, key: keyId };
  return { ...line, signature: signer.sign(canonicalJson(withDigests(line))) };
}

export function isSignedLine({ signature, ...line }: SignedLine, verifier: Verifier): boolean {
  return line.key === verifier.keyId && verifier.isSigned(canonicalJson(withDigests(line)), signature);
}

/** What the next line names as `previous`, in hex. */
export function hashOf(line: SignedLine): string {
  return hash('sha256', canonicalJson(withDigests(line)), 'hex');
}

export function textOf(line: SignedLine): string {
  return canonicalJson(line);
}

/** `broken`: no JSON at all, as a process that was killed leaves it. `wrong`: JSON, but never written like this. */
export function parseLine(text: string): SignedLine | 'broken' | 'wrong' {
  const value = parseJson(text);
  if (value === undefined) return 'broken';
  const parsed = schema.safeParse(value);
  // One text per line: nothing can be changed that no signature sees.
  return parsed.success && canonicalJson(parsed.data) === text ? parsed.data : 'wrong';
}

/** The same line with digests in place of the heads that are not shown. */
export function redact(line: SignedLine, isShown: (chain: string) => boolean): SignedLine {
  return { ...line, heads: line.heads.map(head => (isVisible(head) && isShown(head.chain) ? head : digestOf(head))) };
}

export function headsOf({ heads }: SignedLine): Head[] {
  return heads.filter(isVisible);
}

// Private

const hex = (characters: number) => z.string().regex(new RegExp(`^[0-9a-f]{${characters}}$`));
const digest = hex(64);
const whole = z.int().min(0);
/** Empty before the first. */
const previous = z.union([digest, z.literal('')]);

const schema = z.strictObject({
  version: z.literal(1),
  kind: z.enum(['checkpoint', 'seal', 'archive', 'extract']),
  /** Milliseconds since 1970. */
  at: z.int(),
  number: whole,
  /** Hash of the line before. */
  previous,
  /** Of a seal and an archive: YYYY-MM. */
  month: z
    .string()
    .regex(/^\d{4}-\d{2}$/)
    .optional(),
  /** Of an extract: whose records, from when to when. */
  scope: z
    .strictObject({
      customer: z.string(),
      entity: z.string().optional(),
      since: z.int().optional(),
      until: z.int().optional(),
    })
    .optional(),
  heads: z.array(
    z.union([
      digest,
      z.strictObject({
        chain: z.string(),
        seq: z.int().min(1),
        hash: digest,
        count: z.int().min(1).optional(),
        before: previous.optional(),
      }),
    ]),
  ),
  key: hex(16),
  signature: hex(128),
});

function isVisible(head: Head | string): head is Head {
  return typeof head !== 'string';
}

function digestOf(head: Head | string): string {
  return isVisible(head) ? hash('sha256', canonicalJson(head), 'hex') : head;
}

function withDigests<L extends { heads: readonly (Head | string)[] }>(line: L): L {
  return { ...line, heads: line.heads.map(digestOf) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
