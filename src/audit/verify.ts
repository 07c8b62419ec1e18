import type { Login } from '../database/place.ts';
import type { Pools } from '../database/pools.ts';
import { COLUMNS, columnsOf, linkHash } from './record.ts';

/** What is known of one chain. `at` is the number of the first record that is wrong or missing. */
export interface ChainVerdict {
  chain: string;
  /** Records that are as they were written, from the first on. */
  records: number;
  verdict: 'whole' | 'altered' | 'gap';
  at?: number;
}

export interface VerifyOptions {
  customer?: string;
  entity?: string;
  /** Records read so far, over all chains. */
  onProgress?(records: number): void;
}

/**
 * Reads the log in pages and computes every hash again; yields one verdict per chain, at its first fault. It trusts the
 * database for nothing but the bytes it hands out. A chain that is gone together with its head is not missed here.
 */
export async function* verifyAudit(
  pools: Pools,
  login: Login,
  options: VerifyOptions = {},
): AsyncGenerator<ChainVerdict> {
  const { rows } = await pools.query(login, CHAINS);
  let before = 0;
  for (const [name] of rows) {
    const chain = String(name);
    if (!isAsked(chain, options)) continue;
    const verdict = await verifyChain(
      from => readPage(pools, login, chain, from),
      chain,
      records => options.onProgress?.(before + records),
    );
    before += verdict.records;
    yield verdict;
  }
}

// Private

/** Records of 16 KB stay below the bytes that one answer may have. */
const PAGE = 250;
const FIRST = '-9223372036854775808';

const CHAINS = 'select chain from audit.head union select chain from audit.log order by chain';

/** The head comes with each page, from the same snapshot, so that appends between two pages are no faults. */
const NEXT_PAGE = `
  select coalesce(head.seq, 0), encode(head.hash, 'hex'), log.seq, encode(log.hash, 'hex'), log.record,
    ${COLUMNS.map(column => `log.${column}`).join(', ')}
  from (values ($1::text)) as asked (chain)
  left join audit.head on head.chain = asked.chain
  left join lateral (
    select * from audit.log where log.chain = asked.chain and log.seq >= $2::bigint order by log.seq limit ${PAGE}
  ) as log on true
  order by log.seq`;

interface Link {
  seq: number;
  hash: string;
  record: string;
  columns: unknown[];
}

interface Page {
  head: { seq: number; hash: string | null };
  links: Link[];
}

function isAsked(chain: string, { customer, entity }: VerifyOptions): boolean {
  const [itsCustomer, itsEntity] = chain.split('/');
  return (customer === undefined || customer === itsCustomer) && (entity === undefined || entity === itsEntity);
}

async function verifyChain(
  readPage: (from: string) => Promise<Page>,
  chain: string,
  onProgress: (records: number) => void,
): Promise<ChainVerdict> {
  let seq = 0;
  let hash = '';
  let from = FIRST;
  for (;;) {
    const { head, links } = await readPage(from);
    for (const link of links) {
      if (link.seq !== seq + 1) return { chain, records: seq, verdict: 'gap', at: seq + 1 };
      if (!isIntact(chain, hash, link)) return { chain, records: seq, verdict: 'altered', at: seq + 1 };
      seq = link.seq;
      hash = link.hash;
    }
    onProgress(seq);
    from = String(seq + 1);
    if (links.length === PAGE) continue;
    if (head.seq === seq && head.hash === hash) return { chain, records: seq, verdict: 'whole' };
    return { chain, records: seq, verdict: 'gap', at: Math.min(seq + 1, head.seq) };
  }
}

function isIntact(chain: string, previous: string, { seq, hash, record, columns }: Link): boolean {
  if (linkHash(chain, seq, previous, record) !== hash) return false;
  try {
    const expected = columnsOf(record);
    return COLUMNS.every((column, i) => expected[column] === columns[i]);
  } catch {
    return false;
  }
}

async function readPage(pools: Pools, login: Login, chain: string, from: string): Promise<Page> {
  const { rows } = await pools.query(login, NEXT_PAGE, [chain, from]);
  const [headSeq, headHash] = rows[0] ?? [];
  const links = rows
    .filter(([, , seq]) => seq !== null)
    .map(([, , seq, hash, record, ...columns]) => ({
      seq: Number(seq),
      hash: String(hash),
      record: String(record),
      columns,
    }));
  return { head: { seq: Number(headSeq), hash: headHash === null ? null : String(headHash) }, links };
}
