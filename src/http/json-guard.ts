import { FrameError } from '../errors.ts';

/**
 * JSON text → value, for text from strangers: what JSON.parse accepts but nobody means (repeated keys, `__proto__`,
 * 1e400, digits that a double drops, half of a surrogate pair) and what it pays dearly for (depth, a million keys) is refused in one pass before it.
 */
export const MAX_DEPTH = 32;
/** Keys, values and containers. */
export const MAX_TOKENS = 50_000;

/** Throws `args/malformed`. */
export function parseJson(text: string): unknown {
  guard(text);
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('The body is not JSON.');
  }
}

export function malformed(message: string): FrameError {
  return new FrameError('args/malformed', message);
}

// Private

/** Looks at tokens only; the grammar is left to JSON.parse, which runs on everything that passes. */
function guard(text: string): void {
  /** The keys of each open object; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  let tokens = 0;
  let keyIsNext = false;

  for (let at = 0; at < text.length; ) {
    const char = text[at] ?? '';
    if (IGNORED.has(char)) {
      at += 1;
    } else if (char === ',' || char === ':') {
      keyIsNext = char === ',' && open.at(-1) !== undefined;
      at += 1;
    } else if (char === '}' || char === ']') {
      open.pop();
      at += 1;
    } else {
      tokens += 1;
      if (tokens > MAX_TOKENS) throw malformed(`The body has more than ${MAX_TOKENS} keys and values.`);
      at = takeValue(char, at);
    }
  }

  function takeValue(char: string, at: number): number {
    if (char === '{' || char === '[') {
      open.push(char === '{' ? new Set() : undefined);
      if (open.length > MAX_DEPTH) throw malformed(`The body is nested deeper than ${MAX_DEPTH} levels.`);
      keyIsNext = char === '{';
      return at + 1;
    }
    if (char === '"') {
      const end = endOfString(text, at);
      checkString(text.slice(at, end), keyIsNext ? open.at(-1) : undefined);
      return end;
    }
    const end = endOfWord(text, at);
    if (char !== 't' && char !== 'f' && char !== 'n') checkNumber(text.slice(at, end));
    return end;
  }
}

const IGNORED = new Set([' ', '\n', '\r', '\t']);
const ENDS_WORD = new Set([...IGNORED, ',', ':', '}', ']', '{', '[', '"']);

function endOfWord(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && !ENDS_WORD.has(text[end] ?? '')) end += 1;
  return end;
}

/** What is not a number at all is left to JSON.parse. Up to 15 digits a double always gives back what it was given. */
function checkNumber(literal: string): void {
  if (!Number.isFinite(Number(literal))) throw malformed('The body has a number that no computer can hold.');
  const digits = significantDigits(literal);
  if (digits.length > 15 && digits !== significantDigits(String(Number(literal)))) {
    throw malformed(`The number ${literal.slice(0, 40)} would lose digits on its way: send it as a text, in quotes.`);
  }
}

function significantDigits(literal: string): string {
  const digits = literal
    .replace(/[eE].*$/, '')
    .replace(/[-.]/g, '')
    .replace(/^0+/, '');
  // Not by `0+$`, which begins anew at every zero: a megabyte of them before another digit would take an hour.
  let end = digits.length;
  while (digits[end - 1] === '0') end -= 1;
  return digits.slice(0, end);
}

/** Just behind the closing quote. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === '\\') backslashes += 1;
    if (backslashes % 2 === 0) return quote + 1;
  }
  throw malformed('The body is not JSON.');
}

/** `keys`: those of the object that this string is a key of. */
function checkString(quoted: string, keys: Set<string> | undefined): void {
  const value = quoted.includes('\\') ? unquote(quoted) : quoted.slice(1, -1);
  if (!value.isWellFormed()) throw malformed('The body has half of a surrogate pair.');
  if (!keys) return;
  if (value === '__proto__') throw malformed('The body has a key `__proto__`.');
  if (keys.has(value)) throw malformed('The body has the same key twice in one object.');
  keys.add(value);
}

function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted);
  } catch {
    throw malformed('The body is not JSON.');
  }
}
