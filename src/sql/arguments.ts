import type { Spot } from './findings.ts';
import type { Fields } from './parse.ts';
import { refusalAt } from './refusal.ts';

/** Arguments by which a harmless function fills the memory, or looks up a name that is not ours to know. */
export function checkArguments(name: string, args: readonly Fields[], { text, at }: Spot): void {
  const wrong = wrongArguments(name, args);
  if (wrong) throw refusalAt(text, at, wrong.sentence, { hint: wrong.hint });
}

/** To which blanks and zeros may fill a value up. */
export const MAX_PADDED = 1000;

/** The number that a node writes out; zero is left out of the tree. */
export function integerIn(node: Fields | undefined): number | undefined {
  const { ival, fval } = (node?.A_Const ?? {}) as { ival?: { ival?: number }; fval?: { fval?: string } };
  return ival ? (ival.ival ?? 0) : fval && Number(fval.fval);
}

// Private

const MAX_SERIES = 1_000_000;
const PADDING = /^[lr]pad$/;
const TEXT_SEARCH = /to_tsvector$|to_tsquery$|^ts_headline$/;
/** What stands between `%` and the letter. */
const FIELDS = /%([-\d$*]*)/g;

/** `%*s` and `%1000s`, but not `%100$s`. */
function hasWideField(format: string): boolean {
  return Array.from(format.matchAll(FIELDS), ([, field = '']) => field).some(field => {
    const width = field.slice(field.indexOf('$') + 1).replace('-', '');
    return field.includes('*') || width.length > 2;
  });
}

function wrongArguments(name: string, args: readonly Fields[]): { sentence: string; hint: string } | undefined {
  const [first, last, step] = args;
  if (PADDING.test(name) && !isShort(integerIn(last))) {
    return {
      sentence: `${name} pads to at most ${MAX_PADDED} characters, written as a number.`,
      hint: `Write ${name}(x, 10, '0').`,
    };
  }
  if (name === 'generate_series' && isLong(integerIn(first), integerIn(last), integerIn(step))) {
    return { sentence: `generate_series makes at most ${MAX_SERIES} rows in run_sql.`, hint: 'Take a larger step.' };
  }
  if (name === 'format' && hasWideField(textIn(first) ?? '%*')) {
    return { sentence: 'format takes a plain text first, without wide fields.', hint: 'Join texts with ||.' };
  }
  // The server would look the name up, and so tell which schemas there are.
  if (TEXT_SEARCH.test(name) && (first?.CollateClause || /[."]/.test(textIn(first) ?? ''))) {
    return { sentence: 'a text search names a language first.', hint: "Write to_tsvector('english', x)." };
  }
  return undefined;
}

function isShort(length: number | undefined): boolean {
  return length !== undefined && length <= MAX_PADDED;
}

/** What is not written out as numbers is left to the limits of the login. */
function isLong(from: number | undefined, to: number | undefined, by = 1): boolean {
  return from !== undefined && to !== undefined && !(Math.abs((to - from) / by) <= MAX_SERIES);
}

function textIn(node: Fields | undefined): string | undefined {
  const { sval } = (node?.A_Const ?? {}) as { sval?: { sval?: string } };
  return sval && (sval.sval ?? '');
}
