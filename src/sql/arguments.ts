import type { Spot } from './findings.ts';
import type { Fields } from './parse.ts';
import { refusalAt } from './refusal.ts';

/** Arguments by which a harmless function fills the memory, or looks up a name that is not ours to know. */
export function checkArguments(name: string, args: readonly Fields[], { text, at }: Spot): void {
  const wrong = wrongArguments(name, args);
  if (wrong) throw refusalAt(text, at, wrong.sentence, { hint: wrong.hint });
}

/** The number that a node writes out; zero is left out of the tree. */
export function integerIn(node: Fields | undefined): number | undefined {
  const { ival, fval } = (node?.A_Const ?? {}) as { ival?: { ival?: number }; fval?: { fval?: string } };
  return ival ? (ival.ival ?? 0) : fval && Number(fval.fval);
}

// Private

const MAX_SERIES = 1_000_000;
const TEXT_SEARCH = /to_tsvector$|to_tsquery$|^ts_headline$/;
/** `%*s` and `%1000s`, but not `%100$s`. */
const WIDE_FIELD = /%[-\d$]*(?:\*|\d{3,}(?![\d$]))/;

function wrongArguments(name: string, args: readonly Fields[]): { sentence: string; hint: string } | undefined {
  const [first, last, step] = args;
  if (name === 'generate_series' && isLong(integerIn(first), integerIn(last), integerIn(step))) {
    return { sentence: `generate_series makes at most ${MAX_SERIES} rows in run_sql.`, hint: 'Take a larger step.' };
  }
  if (name === 'format' && WIDE_FIELD.test(textIn(first) ?? '%*')) {
    return { sentence: 'format takes a plain text first, without wide fields.', hint: 'Join texts with ||.' };
  }
  // The server would look the name up, and so tell which schemas there are.
  if (TEXT_SEARCH.test(name) && (first?.CollateClause || /[."]/.test(textIn(first) ?? ''))) {
    return { sentence: 'a text search names a language first.', hint: "Write to_tsvector('english', x)." };
  }
  return undefined;
}

/** What is not written out as numbers is left to the limits of the login. */
function isLong(from: number | undefined, to: number | undefined, by = 1): boolean {
  return from !== undefined && to !== undefined && !(Math.abs((to - from) / by) <= MAX_SERIES);
}

function textIn(node: Fields | undefined): string | undefined {
  const { sval } = (node?.A_Const ?? {}) as { sval?: { sval?: string } };
  return sval && (sval.sval ?? '');
}
