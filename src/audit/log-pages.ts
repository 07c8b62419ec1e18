import type { Read } from '../database/ledger.ts';
import { COLUMNS, type Tip } from './record.ts';
import type { Link } from './walk.ts';

/** Some records of one chain, in order, and the head of the chain at the same moment: appends in between are no faults. */
export interface Page {
  head: Tip | undefined;
  links: (Link & { table: NonNullable<Link['table']> })[];
  /** Where the next page begins; undefined behind the last record. */
  next: PageStart | undefined;
}

/** From this number on, without the first `skip`: two records that bear the same number are both met. */
export interface PageStart {
  seq: string;
  skip: number;
}

export async function readPage(read: Read, chain: string, start: PageStart = FIRST): Promise<Page> {
  const { rows } = await read(PAGE_OF_CHAIN, [chain, start.seq, start.skip]);
  const [headSeq, headHash] = rows[0] ?? [];
  const links = rows.filter(([, , seq]) => seq !== null).map(toLink);
  return {
    head: headSeq === null ? undefined : { seq: Number(headSeq), hash: String(headHash) },
    links,
    next: links.length < PAGE ? undefined : startBehind(links, start),
  };
}

// Private

/** Records of 16 KB stay below the bytes that one answer may have. */
const PAGE = 250;
const FIRST: PageStart = { seq: '-9223372036854775808', skip: 0 };

const PAGE_OF_CHAIN = `
  select head.seq, encode(head.hash, 'hex'), log.seq, encode(log.hash, 'hex'), log.record, to_char(log.month, 'YYYY-MM'),
    log.position, ${COLUMNS.map(column => `log.${column}`).join(', ')}
  from (values ($1::text)) as asked (chain)
  left join audit.head on head.chain = asked.chain
  left join lateral (
    select * from audit.log where log.chain = asked.chain and log.seq >= $2::bigint
    order by log.seq, log.month, log.id offset $3::int limit ${PAGE}
  ) as log on true
  order by log.seq, log.month, log.id`;

function toLink([, , seq, hash, record, month, position, ...columns]: unknown[]): Page['links'][number] {
  return {
    seq: Number(seq),
    hash: String(hash),
    record: String(record),
    table: { columns, month: String(month), position: Number(position) },
  };
}

function startBehind(links: Page['links'], start: PageStart): PageStart {
  const last = links.at(-1)?.seq;
  const same = links.filter(({ seq }) => seq === last).length;
  return { seq: String(last), skip: same + (String(last) === start.seq ? start.skip : 0) };
}
