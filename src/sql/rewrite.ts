import { quoteName } from '../database/quote.ts';
import type { FrameError } from '../errors.ts';
import type { Findings, TableUse } from './findings.ts';
import { type Parsed, WRITTEN_NAME } from './parse.ts';
import { refusalAt } from './refusal.ts';

/** A text to send, and how its places relate to the text that was written. */
export interface Rewritten {
  text: string;
  /** What stands in the text as it was written before a place in this one; both count characters. */
  originalBefore(characters: number): string;
}

/**
 * The query as it is sent: word for word, but where columns are meant that nobody may read, the table is put as a
 * subquery of the others; and without a LIMIT of its own it gets one, so that Postgres sorts no more than it must.
 */
export function rewrite({ text, select }: Parsed, findings: Findings, maxRows: number): Rewritten {
  const names = new Set(findings.references.map(({ name }) => name));
  const narrowed = findings.uses.filter(use => use.table.isPartial && meansMore(use, names, findings.takesAll));
  const [first] = narrowed;
  if (first && findings.saysTable) throw notWithTable(text, first);
  const bytes = narrowed.reduce((sum, { table }) => sum + Buffer.byteLength(table.columns.join()), 0);
  if (first && bytes > MAX_INSERTED_BYTES) throw tooOften(text, first);
  const insertions = narrowed.flatMap(use => narrow(text, use)).sort((one, other) => one.at - other.at);
  const limit = select.limitCount === undefined ? `\nlimit ${maxRows}` : '';
  return insert(text, insertions, limit);
}

// Private

interface Insertion {
  /** In bytes. */
  at: number;
  text: string;
}

/** A short query may name a wide table thousands of times. */
const MAX_INSERTED_BYTES = 500_000;

/** Whether the query may mean a column that cannot be read, by a star, the whole row, or its name. */
function meansMore(use: TableUse, names: ReadonlySet<string>, takesAll: boolean): boolean {
  const { table, alias = table.name, renamesColumns } = use;
  return takesAll || renamesColumns || names.has(alias) || table.sealed.some(name => names.has(name));
}

function notWithTable(text: string, { table: { name }, at }: TableUse): FrameError {
  return refusalAt(text, at, `TABLE cannot be used with \`${name}\`.`, { hint: 'Write SELECT * FROM.' });
}

function tooOften(text: string, { table: { name }, at }: TableUse): FrameError {
  return refusalAt(text, at, `\`${name}\` stands here too often.`, {
    hint: 'Name the columns instead of *, in a WITH.',
  });
}

/** `customers c` becomes `(select "id", "name" from customers) c`. */
function narrow(text: string, { table, at, alias }: TableUse): Insertion[] {
  const rest = Buffer.from(text).subarray(at).toString();
  const [name] = new RegExp(`^${WRITTEN_NAME}(?!&")`, 'u').exec(rest) ?? [];
  if (name === undefined) throw refusalAt(text, at, 'write the name of this table without U&.');
  const columns = table.columns.map(quoteName).join(', ');
  return [
    { at, text: `(select ${columns} from ` },
    { at: at + Buffer.byteLength(name), text: alias === undefined ? `) as ${quoteName(table.name)}` : ')' },
  ];
}

function insert(text: string, insertions: readonly Insertion[], end: string): Rewritten {
  const bytes = Buffer.from(text);
  const cuts = [0, ...insertions.map(({ at }) => at), bytes.length];
  const kept = cuts.slice(1).map((cut, i) => bytes.subarray(cuts[i], cut).toString());
  const added = [...insertions.map(insertion => insertion.text), end];
  return {
    text: kept.map((part, i) => part + added[i]).join(''),
    originalBefore(characters) {
      let left = characters;
      let before = '';
      for (const [i, part] of kept.entries()) {
        const written = Array.from(part);
        before += written.slice(0, left).join('');
        left -= written.length + Array.from(added[i] ?? '').length;
        if (left <= 0) break;
      }
      return before;
    },
  };
}
