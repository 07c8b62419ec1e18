import type { SignedChain } from './anchors.ts';
import { COLUMNS, columnsOf, linkHash, type Tip } from './record.ts';

/** What is known of one chain. `at` is the number of the first record that is wrong or missing. */
export interface ChainVerdict {
  chain: string;
  /** Records that are as they were written, from the first on. */
  records: number;
  verdict: Verdict;
  at?: number;
}

/** From harmless to grave; of several faults in a chain the gravest is told, and of those the first. */
export const VERDICTS = ['whole', 'altered', 'gap', 'cut-off'] as const;

export type Verdict = (typeof VERDICTS)[number];

/** A record as it is found. */
export interface Link extends Tip {
  record: string;
  /** In a table: what repeats parts of the record, in the order of COLUMNS, and what never decreases along a chain. */
  table?: { columns: readonly unknown[]; month: string; position: number };
}

/** Goes along one chain, record by record, and remembers what is wrong with it. It reads nothing itself. */
export interface Walk {
  /** Number of the last record that was taken. */
  readonly seq: number;
  take(link: Link): void;
  /** In place of a record that is there but cannot be read. */
  takeDamaged(): void;
  /** `head`: where the chain should end. `lastAnchor`: a signed record that should be there too. */
  end(head: Tip, lastAnchor?: number): ChainVerdict;
}

export function startWalk(chain: string, start: Tip, signed: SignedChain): Walk {
  let { seq } = start;
  /** Unknown behind a record that is missing or cannot be read. */
  let hash: string | undefined = start.hash;
  let records = 0;
  let order = { month: '', position: 0 };
  let fault: { verdict: Verdict; at: number } | undefined;

  function find(verdict: Verdict, at: number): void {
    if (!fault || VERDICTS.indexOf(verdict) > VERDICTS.indexOf(fault.verdict)) fault = { verdict, at };
  }

  function isIntact({ record, hash: stored, table }: Link): boolean {
    if (hash !== undefined && linkHash(chain, seq, hash, record) !== stored) return false;
    if ((signed.hashes.get(seq) ?? stored) !== stored) return false;
    if (!table) return isRecordOf(chain, record);
    const isInOrder = table.position > order.position && table.month >= order.month;
    order = table;
    return isInOrder && isInMonth(table.month) && isRecordWith(record, table.columns);
  }

  function isInMonth(month: string): boolean {
    return signed.ends.every(end => (seq <= end.seq ? month <= end.month : month > end.month));
  }

  return {
    get seq() {
      return seq;
    },
    take(link) {
      // One too many: it was added, or it is the one before once more.
      if (link.seq <= seq) return find('altered', link.seq);
      if (link.seq > seq + 1) {
        find('gap', seq + 1);
        hash = undefined;
      }
      seq = link.seq;
      if (!isIntact(link)) find('altered', seq);
      hash = link.hash;
      if (!fault) records += 1;
    },
    takeDamaged() {
      seq += 1;
      hash = undefined;
      find('altered', seq);
    },
    end(head, lastAnchor = 0) {
      if (lastAnchor > Math.min(seq, head.seq)) find('cut-off', Math.min(seq, head.seq) + 1);
      else if (head.seq > seq) find('gap', seq + 1);
      else if (head.seq < seq) find('altered', head.seq + 1);
      else if (hash !== undefined && head.hash !== hash) find('altered', seq);
      return { chain, records, verdict: 'whole', ...fault };
    },
  };
}

// Private

function isRecordWith(record: string, columns: readonly unknown[]): boolean {
  try {
    const expected = columnsOf(record);
    return COLUMNS.every((column, i) => expected[column] === columns[i]);
  } catch {
    return false;
  }
}

function isRecordOf(chain: string, record: string): boolean {
  try {
    return columnsOf(record).chain === chain;
  } catch {
    return false;
  }
}
