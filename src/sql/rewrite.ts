import { quoteName } from '../database/quote.ts';
import type { FrameError } from '../errors.ts';
import type { Findings, Reference, Star, TableUse } from './findings.ts';
import { type Parsed, WRITTEN_NAME } from './parse.ts';
import { refusalAt } from './refusal.ts';
import { type Edit, isMeant, namesOf, writeOut } from './stars.ts';

/** A text to send, and how its places relate to the text that was written. */
export interface Rewritten {
  text: string;
  /** What stands in the text as it was written before a place in this one; both count characters. */
  originalBefore(characters: number): string;
}

/**
 * The query as it is sent: word for word, but where columns are meant that nobody may read. There a star of a SELECT
 * that groups is written out, and otherwise the table is put as a subquery of the others. Without a LIMIT of its own it
 * gets one, so that Postgres sorts no more than it must.
 */
export function rewrite({ text, select }: Parsed, findings: Findings, maxRows: number): Rewritten {
  const partial = findings.uses.filter(({ table }) => table.isPartial);
  const telling = findings.stars.filter(star => partial.some(use => isMeant(star, use)));
  const listed = telling.filter(({ isListed }) => isListed);
  refuseTooMany(
    text,
    listed.flatMap(star => partial.filter(use => isMeant(star, use))),
  );
  const written = new Map(listed.map(star => [star, writeOut(text, star, partial)]));
  const left = telling.filter(star => !written.get(star));
  const narrowed = partial.filter(use => meansMore(use, findings.references, left));
  const ofTable = narrowed.find(use => left.some(star => star.isTable && isMeant(star, use)));
  if (ofTable) throw notWithTable(text, ofTable);
  refuseTooMany(text, narrowed);
  const edits = [...written.values(), ...narrowed.flatMap(use => narrow(text, use))]
    .filter(edit => edit !== undefined)
    .sort((one, other) => one.at - other.at);
  const limit = select.limitCount === undefined ? `\nlimit ${maxRows}` : '';
  return apply(text, edits, limit);
}

// Private

/** A short query may name a wide table thousands of times. */
const MAX_INSERTED_BYTES = 500_000;

function refuseTooMany(text: string, uses: readonly TableUse[]): void {
  let bytes = 0;
  for (const use of uses) {
    bytes += Buffer.byteLength(use.table.columns.join());
    if (bytes > MAX_INSERTED_BYTES) throw tooOften(text, use);
  }
}

/** Whether the query may mean a column that cannot be read, by a star, the whole row, or its name. */
function meansMore(use: TableUse, references: readonly Reference[], stars: readonly Star[]): boolean {
  const names = namesOf(use);
  const isSealed = (name: string) => use.table.sealed.includes(name);
  const isNamed = ({ qualifier, name }: Reference) =>
    qualifier === undefined ? names.includes(name) || isSealed(name) : names.includes(qualifier) && isSealed(name);
  return use.renamesColumns || references.some(isNamed) || stars.some(star => isMeant(star, use));
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
function narrow(text: string, { table, at, alias }: TableUse): Edit[] {
  const rest = Buffer.from(text).subarray(at).toString();
  const [name] = new RegExp(`^${WRITTEN_NAME}(?!&")`, 'u').exec(rest) ?? [];
  if (name === undefined) throw refusalAt(text, at, 'write the name of this table without U&.');
  const columns = table.columns.map(quoteName).join(', ');
  const end = alias === undefined ? `) as ${quoteName(table.name)}` : ')';
  return [
    { at, length: 0, text: `(select ${columns} from ` },
    { at: at + Buffer.byteLength(name), length: 0, text: end },
  ];
}

function apply(text: string, edits: readonly Edit[], end: string): Rewritten {
  const bytes = Buffer.from(text);
  const slice = (from: number, to: number) => bytes.subarray(from, to).toString();
  const all = [...edits, { at: bytes.length, length: 0, text: end }];
  const pieces = all.map(({ at, length, text: added }, i) => {
    const { at: last = 0, length: skipped = 0 } = all[i - 1] ?? {};
    return { kept: slice(last + skipped, at), removed: slice(at, at + length), added };
  });
  return {
    text: pieces.map(({ kept, added }) => kept + added).join(''),
    originalBefore(characters) {
      let left = characters;
      let before = '';
      for (const { kept, removed, added } of pieces) {
        const written = Array.from(kept);
        before += written.slice(0, left).join('');
        left -= written.length + Array.from(added).length;
        if (left < 0) break;
        before += removed;
      }
      return before;
    },
  };
}
