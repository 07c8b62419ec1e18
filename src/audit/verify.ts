import type { Read } from '../database/ledger.ts';
import { type Anchors, BEGINNING, createAnchors, type SignedChain } from './anchors.ts';
import { type Page, readPage } from './log-pages.ts';
import type { Tip } from './record.ts';
import { type ChainVerdict, type Link, startWalk } from './walk.ts';

export interface VerifyOptions {
  customer?: string | undefined;
  entity?: string | undefined;
  /** What was signed of the log. Without, only the chains are looked at. */
  anchors?: Anchors | undefined;
  /** Reads that again: a month may have been taken out while we read. */
  readAnchors?(): Promise<Anchors>;
  /** Records read so far, over all chains. */
  onProgress?(records: number): void;
}

/**
 * Reads the log in pages and computes every hash again; yields one verdict per chain. It trusts the database for nothing
 * but the bytes it hands out. `anchors` must have been read before: then the log has all that they speak of, however much
 * is appended meanwhile.
 */
export async function* verifyAudit(read: Read, options: VerifyOptions = {}): AsyncGenerator<ChainVerdict> {
  const { anchors = createAnchors(), readAnchors, onProgress = () => {} } = options;
  let before = 0;
  for (const chain of await readChains(read, anchors, options)) {
    let taken = 0;
    const count = (links: readonly Link[]) => {
      taken += links.length;
      onProgress(before + taken);
    };
    let verdict = await verifyChain(read, chain, anchors, count);
    if (verdict.verdict !== 'whole' && readAnchors) {
      const fresh = await readAnchors();
      // Signed away first and dropped later, so it may have gone although we knew of it.
      if (fresh.archivedMonths.size > 0) {
        verdict = await verifyChain(read, chain, fresh, count);
      }
    }
    before += taken;
    yield verdict;
  }
}

/** One chain from its beginning, or from behind `start`, to its head. */
export async function verifyChain(
  read: Read,
  chain: string,
  anchors: Anchors,
  onLinks: (links: readonly Link[]) => void,
  start?: Tip,
): Promise<ChainVerdict> {
  const signed = anchors.of(chain);
  let page: Page = await readPage(read, chain, start && { seq: String(start.seq + 1), skip: 0 });
  const first = page.links[0]?.seq ?? Number.MAX_SAFE_INTEGER;
  const walk = startWalk(chain, start ?? anchors.startOf(chain, first, 'archived'), signed);
  for (;;) {
    for (const link of page.links) walk.take(link);
    onLinks(page.links);
    if (!page.next) break;
    page = await readPage(read, chain, page.next);
  }
  return walk.end(page.head ?? BEGINNING, lastOf(signed));
}

/** A chain is `customer/entity`; `-` stands for no entity. */
export function isAsked(chain: string, { customer, entity }: Pick<VerifyOptions, 'customer' | 'entity'>): boolean {
  const [itsCustomer, itsEntity] = chain.split('/');
  return (customer === undefined || customer === itsCustomer) && (entity === undefined || entity === itsEntity);
}

/** Of the table, its heads, and what was signed: a chain that is gone from the first two is missed by the third. */
export async function readChains(
  read: Read,
  anchors: Anchors,
  asked: Pick<VerifyOptions, 'customer' | 'entity'>,
): Promise<string[]> {
  const { rows } = await read(CHAINS);
  const chains = new Set([...rows.map(([name]) => String(name)), ...anchors.chains()]);
  return [...chains].filter(chain => isAsked(chain, asked)).sort();
}

// Private

const CHAINS = 'select chain from audit.head union select chain from audit.log';

function lastOf({ hashes }: SignedChain): number {
  let last = 0;
  for (const seq of hashes.keys()) last = Math.max(last, seq);
  return last;
}
