import type { Session } from '../database/pools.ts';
import { quoteName } from '../database/quote.ts';
import { FrameError } from '../errors.ts';
import { invalidArgument } from './argument.ts';
import { compileFilter } from './filter.ts';
import { blindFor, type Field, type Privacy } from './privacy.ts';
import { arrayLiteral, quoteQualified } from './quote.ts';
import { type Blind, createParameters, type Parameters } from './statement.ts';
import { type Column, keyColumns, type Table } from './table.ts';
import { toText } from './values.ts';

/** Rows to change, and how many of them were foreseen. */
export interface Match {
  where: Record<string, unknown>;
  maxRows: number;
}

/** Rows that nobody else can change until the transaction ends. */
export interface LockedRows {
  count: number;
  /** What the cells of these rows are bound to, in a table that has sealed columns. */
  ids: readonly string[];
  /**
   * For FROM or USING: the first `limit` of them as `l`, where `l.place` counts from 1, and `l.s0`, `l.s1` … are what
   * `fields` hold for each.
   */
  source(parameters: Parameters, options?: { limit?: number; fields?: readonly Field[] }): string;
  /** That a row of `t` is the one in `l`. */
  isSame: string;
}

/** Locks the rows that match. More than `maxRows`: throws `row/too-many-matches`, which says how many. */
export async function lockMatches(session: Session, table: Table, match: Match, privacy: Privacy): Promise<LockedRows> {
  const blind = await blindFor(privacy, table);
  const { parameters, matching, conditions } = compile(table, match, blind);
  if (conditions === 0) {
    throw invalidArgument('where', 'there is no condition in it.', 'Say which rows, if need be by their ids.');
  }
  const key = keyOf(table);
  const names = key.map(({ name }) => quoteName(name)).join(', ');
  const limit = parameters.add(`${match.maxRows + 1}`, 'integer');
  const text = `select ${names} ${matching} limit ${limit} for update`;
  const { rows } = await session.query(text, parameters.values);
  if (rows.length > match.maxRows) throw await tooMany(session, table, match, blind);
  return {
    count: rows.length,
    ids: rows.map(([id]) => String(id)),
    source(more, { limit: first = rows.length, fields = [] } = {}) {
      const keys = key.map((_, i) => rows.map(row => toText(row[i])));
      const columns = [...keys, ...fields.map(({ texts }) => texts)];
      const lists = columns.map(texts => more.add(arrayLiteral(texts.slice(0, first)), 'text[]'));
      const names = [...key.map((_, i) => `k${i}`), ...fields.map((_, i) => `s${i}`), 'place'];
      return `unnest(${lists.join(', ')}) with ordinality as l(${names.join(', ')})`;
    },
    isSame: key.map(({ name, castType }, i) => `t.${quoteName(name)} = l.k${i}::${castType}`).join(' and '),
  };
}

// Private

/** Counting all of a big table would take longer than the number is worth. */
const COUNTED = 10_000;

function compile(table: Table, { where }: Match, blind: Blind | undefined) {
  const parameters = createParameters(blind);
  const { text, conditions } = compileFilter(table, where, parameters);
  return { parameters, conditions, matching: `from ${quoteQualified(table.schema, table.name)} where ${text}` };
}

/** The primary key, else where the row lies: a locked row stays there. */
function keyOf(table: Table): readonly Pick<Column, 'name' | 'castType'>[] {
  const key = keyColumns(table);
  return key.length > 0 ? key : [{ name: 'ctid', castType: 'tid' }];
}

async function tooMany(session: Session, table: Table, match: Match, blind: Blind | undefined): Promise<FrameError> {
  const { parameters, matching } = compile(table, match, blind);
  const limit = parameters.add(`${COUNTED + 1}`, 'integer');
  const text = `select count(*)::integer from (select ${matching} limit ${limit}) m`;
  const { rows } = await session.query(text, parameters.values);
  const count = Number(rows[0]?.[0]);
  const number = count > COUNTED ? `More than ${COUNTED}` : `${count}`;
  const message = `${number} rows match, and \`max_rows\` is ${match.maxRows}. Nothing was changed.`;
  return new FrameError('row/too-many-matches', message, {
    hint: 'Narrow `where`, or set `max_rows` to the number of rows you mean.',
    nextTool: 'select_rows',
  });
}
