import { quoteName } from '../database/quote.ts';
import { quoteQualified } from './quote.ts';

/** Comes before the id of every row. */
export const FIRST_ID = '00000000-0000-0000-0000-000000000000';

export interface PortionWords {
  schema: string;
  table: string;
  column: string;
  /** What to read of the column, as text. */
  value: string;
  /** Of the rows that count; `$1` is the id to go on after. */
  condition?: string;
  lock?: 'for update' | 'for update skip locked';
}

/** The next values of a column with the ids of their rows, in the order of ids: as many as fit, and one at least. */
export function portionQuery({ schema, table, column, value, condition = 'true', lock }: PortionWords): string {
  const name = quoteName(column);
  return `
    select id, value from (
      select id::text, value, row_number() over (order by id) as place,
        sum(octet_length(value)) over (order by id) as bytes
      from (
        select id, ${value} as value from ${quoteQualified(schema, table)}
        where id > $1::text::uuid and ${name} is not null and ${condition} order by id limit ${PORTION_ROWS} ${lock ?? ''}
      ) as next
    ) as portion where place = 1 or bytes <= ${PORTION_BYTES} order by place`;
}

// Private

const PORTION_ROWS = 1000;
const PORTION_BYTES = 1_000_000;
