import { type ErrorFacts, FrameError } from '../errors.ts';
import { placeAfter } from './refusal.ts';

/** A node of Postgres's parse tree, as JSON: plain values, nodes and lists of them by name. */
export type Fields = Readonly<Record<string, unknown>>;

export interface Parsed {
  /** As it was sent, without a semicolon and what follows. */
  text: string;
  select: Fields;
}

const MAX_TEXT_BYTES = 20_000;

/**
 * The one SELECT of a text, as Postgres itself would read it. Throws `sql/syntax` with Postgres's words, or
 * `sql/refused` for anything else than one SELECT. What is in the SELECT is not judged here.
 */
export async function parseSelect(text: string): Promise<Parsed> {
  refuseOddText(text);
  const { statements, plain } = await parse(text);
  const [first, ...others] = statements;
  if (!first) throw new FrameError('sql/refused', 'There is no statement.', { hint: ONLY_SELECT });
  if (others.length > 0) {
    throw new FrameError('sql/refused', `These are ${statements.length} statements.`, { hint: 'Send one at a time.' });
  }
  const [kind = '', select] = Object.entries(first.stmt)[0] ?? [];
  if (kind !== 'SelectStmt' || !select) throw new FrameError('sql/refused', 'This is not a SELECT.', insteadOf(kind));
  const bytes = Buffer.from(plain);
  return { text: bytes.subarray(0, (first.stmt_location ?? 0) + (first.stmt_len ?? bytes.length)).toString(), select };
}

/** A name as people write it, with its quotes: the source of a regular expression. */
export const WRITTEN_NAME = String.raw`(?:"(?:[^"]|"")+"|[A-Za-z_\u{80}-\u{10ffff}][\w$\u{80}-\u{10ffff}]*)`;

/** A list of the tree; an empty one is left out of it. */
export function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value : [];
}

/** The names in a list of String nodes; undefined for what is no name, such as `*`. */
export function namesIn(nodes: unknown): (string | undefined)[] {
  return listOf(nodes).map(node => (node.String as { sval?: string } | undefined)?.sval);
}

/** What to do instead of a statement that changes something, by the name of its node. */
export function insteadOf(kind: string): ErrorFacts {
  const tool = TOOLS.find(([statements]) => statements.test(kind))?.[1];
  if (!tool) return { hint: ONLY_SELECT };
  return { hint: `\`run_sql\` only reads; this is done with \`${tool}\`.`, nextTool: tool };
}

// Private

const ONLY_SELECT = '`run_sql` takes one SELECT (or WITH … SELECT, VALUES, TABLE).';

const TOOLS: [RegExp, string][] = [
  [/^InsertStmt$/, 'insert_rows'],
  [/^(UpdateStmt|MergeStmt)$/, 'update_rows'],
  [/^(DeleteStmt|TruncateStmt)$/, 'delete_rows'],
  [/^(Create|Alter|Drop|Rename|Index|View|Comment|Grant)/, 'plan_change'],
];

interface Statement {
  stmt: Record<string, Fields>;
  stmt_location?: number;
  /** Left out when the statement goes to the end of the text. */
  stmt_len?: number;
}

function refuseOddText(text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_TEXT_BYTES) {
    const message = `The query has ${bytes} bytes; ${MAX_TEXT_BYTES} are allowed.`;
    throw new FrameError('sql/refused', message, { hint: 'Join with a table or use VALUES less.' });
  }
  // The grammar would read another text than the server: it stops at a NUL, and mends half of a surrogate pair.
  if (text.includes('\0') || !text.isWellFormed()) {
    throw new FrameError('sql/refused', 'The query holds a NUL or half a character.', { hint: 'Leave it out.' });
  }
  // The grammar reads a run of these again from each of its signs on: 20 KB of them would hold up everybody for seconds.
  const steps = (text.match(SIGNS) ?? []).reduce((sum, { length }) => sum + length ** 2, 0);
  if (steps > MAX_SIGN_STEPS) {
    throw new FrameError('sql/refused', 'The query has too many signs in a row.', {
      hint: 'Leave such lines out, of comments too.',
    });
  }
}

/** What operators and the marks of comments are made of; shorter runs take no time. */
const SIGNS = /[~!@#^&|`?+\-*/%<>=]{64,}/g;
const MAX_SIGN_STEPS = 4_000_000;

async function parse(text: string): Promise<{ statements: readonly Statement[]; plain: string }> {
  // On first use: it costs 20 ms and 15 MB, which a gateway that starts need not wait for.
  const { hasSqlDetails, loadModule, parseSync, scanSync } = await import('libpg-query');
  await loadModule();
  const read = (plain: string) => {
    const { stmts: statements = [] } = parseSync(plain) as unknown as { stmts?: readonly Statement[] };
    return { statements, plain };
  };
  if (text.trim() === '') return { statements: [], plain: text };
  try {
    return read(text);
  } catch (thrown) {
    if (!hasSqlDetails(thrown)) throw tooDeep(thrown);
    // Unlike the server, this grammar does not know NOT LIKE and NULLS LAST with a comment inside: blanks do as well.
    try {
      if (!COMMENT_INSIDE.test(text)) throw thrown;
      return read(withoutComments(text, scanSync(text).tokens));
    } catch {
      const { message = 'syntax error', cursorPosition = 0 } = thrown.sqlDetails ?? {};
      const place = placeAfter(Array.from(text).slice(0, cursorPosition).join(''));
      throw new FrameError('sql/syntax', `${place}: ${message}.`, { hint: SYNTAX_HINT, cause: thrown });
    }
  }
}

/** Behind the words that mean another thing before a certain next one. */
const COMMENT_INSIDE = /(?:not|nulls|with|without|format)\s*(?:--|\/\*)/i;

/** With each byte where it was. */
function withoutComments(text: string, tokens: readonly { start: number; end: number; tokenName: string }[]): string {
  const bytes = Buffer.from(text);
  for (const { start, end } of tokens.filter(({ tokenName }) => tokenName.endsWith('_COMMENT'))) {
    for (let i = start; i < end; i += 1) if (bytes[i] !== NEWLINE) bytes[i] = BLANK;
  }
  return bytes.toString();
}

const NEWLINE = 0x0a;
const BLANK = 0x20;
const SYNTAX_HINT = 'This is what Postgres reads there. Names with capitals or odd characters stand in double quotes.';

/** The parser runs out of stack before our own count of depth begins. */
function tooDeep(cause: unknown): FrameError {
  return new FrameError('sql/refused', 'The query is nested too deeply.', { hint: 'Use WITH, step by step.', cause });
}
