import type { Tip } from './record.ts';
import { headsOf, type SignedLine } from './signed-line.ts';

/** What was signed of one chain. */
export interface SignedChain {
  /** Number of a record → its hash. */
  hashes: ReadonlyMap<number, string>;
  /** Where months end that are sealed. */
  ends: readonly { month: string; seq: number }[];
}

/** What was signed of all chains, and which months were taken out of the database. */
export interface Anchors {
  chains(): string[];
  of(chain: string): SignedChain;
  /** The seal of a month, YYYY-MM. */
  sealOf(month: string): SignedLine | undefined;
  archivedMonths: ReadonlySet<string>;
  /** Where a chain has to begin whose first record is this one: behind the last of these months that ends before it. */
  startOf(chain: string, first: number, months: 'archived' | 'sealed'): Tip;
}

/** Grows line by line; what it handed out grows with it. */
export interface GrowingAnchors extends Anchors {
  add(line: SignedLine): void;
}

export function createAnchors(): GrowingAnchors {
  const chains = new Map<string, { hashes: Map<number, string>; ends: { month: string; seq: number }[] }>();
  const seals = new Map<string, SignedLine>();
  const archivedMonths = new Set<string>();

  function of(chain: string) {
    const known = chains.get(chain) ?? { hashes: new Map<number, string>(), ends: [] };
    chains.set(chain, known);
    return known;
  }

  function set(chain: string, seq: number, hash: string): void {
    const { hashes } = of(chain);
    // What was signed first counts: a later line with another hash was signed after the log had been rewritten.
    if (seq > 0 && !hashes.has(seq)) hashes.set(seq, hash);
  }

  function addSeal(month: string, line: SignedLine): void {
    if (seals.has(month)) return;
    seals.set(month, line);
    for (const { chain, seq } of headsOf(line)) of(chain).ends.push({ month, seq });
  }

  return {
    add(line) {
      for (const { chain, seq, hash, count, before } of headsOf(line)) {
        if (count !== undefined && before !== undefined) set(chain, seq - count, before);
        set(chain, seq, hash);
      }
      if (line.month === undefined) return;
      if (line.kind === 'archive') archivedMonths.add(line.month);
      else addSeal(line.month, line);
    },
    chains: () => [...chains].flatMap(([chain, { hashes }]) => (hashes.size > 0 ? [chain] : [])),
    of,
    sealOf: month => seals.get(month),
    archivedMonths,
    startOf(chain, first, months) {
      const behind = [...seals.values()].filter(({ month = '' }) => months === 'sealed' || archivedMonths.has(month));
      const ends = behind.flatMap(headsOf).filter(head => head.chain === chain && head.seq < first);
      return ends.reduce<Tip>((last, head) => (head.seq > last.seq ? head : last), BEGINNING);
    },
  };
}

export const BEGINNING: Tip = { seq: 0, hash: '' };
