import type { Read } from '../database/ledger.ts';
import type { Anchors } from './anchors.ts';
import type { Saying } from './checkpoint-writer.ts';
import { readOwnEvidence } from './evidence.ts';
import type { Head, SignedLine } from './signed-line.ts';
import { verifyChain } from './verify.ts';
import type { Link } from './walk.ts';

/** The months that the log is divided into, and their seals. YYYY-MM, in UTC. */
export interface MonthParts {
  /** On the login of the audit log. */
  read: Read;
  dataFolder: string;
  publicKey: string;
  say(saying: Saying): Promise<SignedLine>;
}

export interface Months {
  /** Makes room for the next month, and seals those that are over. Returns which; AuditRefusal when one is not whole. */
  keep(): Promise<string[]>;
}

/** Why a month cannot be sealed or archived, in a sentence. */
export class AuditRefusal extends Error {
  override readonly name = 'AuditRefusal';
}

/** Only what was verified from its first record to its last is sealed: a seal on something else would be worth nothing. */
export function createMonths(parts: MonthParts): Months {
  const { read } = parts;
  const sealed = new Set<string>();
  return {
    async keep() {
      await read('select audit.make_months()');
      const finished = await readFinishedMonths(read);
      if (finished.every(month => sealed.has(month))) return [];
      const fresh: string[] = [];
      let anchors: Anchors | undefined;
      for (const month of finished) {
        anchors ??= await readAnchors(parts);
        if (!anchors.sealOf(month)) {
          await sealMonth(parts, month, anchors);
          anchors = undefined;
          fresh.push(month);
        }
        sealed.add(month);
      }
      return fresh;
    },
  };
}

/** Those that are over and still in the database, the oldest first. */
export async function readFinishedMonths(read: Read): Promise<string[]> {
  const { rows } = await read(FINISHED);
  return rows.map(([month]) => String(month));
}

/** Throws AuditRefusal when what is signed cannot be trusted. */
export async function readAnchors({ read, dataFolder, publicKey }: MonthParts): Promise<Anchors> {
  const { anchors, faults } = await readOwnEvidence(read, dataFolder, publicKey);
  if (faults[0]) throw new AuditRefusal(`the checkpoints are not whole: ${faults[0]}`);
  return anchors;
}

// Private

const FINISHED = `
  select replace(substr(relname, 5), '_', '-') from pg_inherits join pg_class on pg_class.oid = inhrelid
  where inhparent = 'audit.log'::regclass and relname < to_char(audit.this_month(), '"log_"YYYY_MM') order by 1`;

const ENDS = `
  select chain, min(seq), max(seq), count(*) from audit.log where month = $1::date group by chain order by chain`;

async function sealMonth({ read, say }: MonthParts, month: string, anchors: Anchors): Promise<void> {
  await read('select audit.close_months()');
  const { rows } = await read(ENDS, [`${month}-01`]);
  const heads: Head[] = [];
  for (const [chain, first, last, count] of rows) {
    const head = await verifyPart(read, String(chain), { first: Number(first), last: Number(last) }, anchors);
    if (typeof head === 'string') throw new AuditRefusal(`${month} is not sealed: ${chain} is ${head}`);
    if (head.count !== Number(count)) throw new AuditRefusal(`${month} is not sealed: ${chain} is not all in it`);
    heads.push(head);
  }
  await say({ kind: 'seal', month, heads });
}

/** The part of a chain that lies in a month, or what is wrong with the chain from there to its end. */
async function verifyPart(
  read: Read,
  chain: string,
  { first, last }: { first: number; last: number },
  anchors: Anchors,
): Promise<Head | string> {
  const start = anchors.startOf(chain, first, 'sealed');
  let hash = '';
  const remember = (links: readonly Link[]) => {
    hash = links.find(({ seq }) => seq === last)?.hash ?? hash;
  };
  const { verdict, at } = await verifyChain(read, chain, anchors, remember, start);
  if (verdict !== 'whole') return `${verdict} at ${at}`;
  return { chain, seq: last, hash, count: last - start.seq, before: start.hash };
}
