import { FrameError } from '../errors.ts';

/**
 * JSON text → value, for text from strangers: what JSON.parse accepts but nobody means (repeated keys, `__proto__`,
 * half of a surrogate pair) and what it pays dearly for (depth, a million keys) is refused in one pass before it. A number
 * that a double cannot hold is the text that was written when it is for a tool, and refused elsewhere: nothing is rounded,
 * and columns of long numbers take texts.
 */
export const MAX_DEPTH = 32;
/** Keys, values and containers. */
export const MAX_TOKENS = 50_000;

/** Throws `args/malformed`. */
export function parseJson(text: string): unknown {
  const { hasLongNumbers } = guard(text);
  try {
    return hasLongNumbers ? JSON.parse(text, keepAsWritten) : JSON.parse(text);
  } catch {
    throw malformed('The body is not JSON.');
  }
}

export function malformed(message: string): FrameError {
  return new FrameError('args/malformed', message);
}

// Private

/** An object or array that is not closed yet. */
interface Open {
  /** Those so far; undefined for an array. */
  keys: Set<string> | undefined;
  /** The latest. */
  key?: string;
  /** A long number in its `params`: whose they are, another key says, which may still come. */
  doubtful?: string;
}

/** Looks at tokens only; the grammar is left to JSON.parse, which runs on everything that passes. */
function guard(text: string): { hasLongNumbers: boolean } {
  const open: Open[] = [];
  let tokens = 0;
  let keyIsNext = false;
  let hasLongNumbers = false;

  for (let at = 0; at < text.length; ) {
    const char = text[at] ?? '';
    if (IGNORED.has(char)) {
      at += 1;
    } else if (char === ',' || char === ':') {
      keyIsNext = char === ',' && open.at(-1)?.keys !== undefined;
      at += 1;
    } else if (char === '}' || char === ']') {
      const closed = open.pop();
      if (closed?.doubtful && !closed.keys?.has('tool')) throw tooLong(closed.doubtful);
      at += 1;
    } else {
      tokens += 1;
      if (tokens > MAX_TOKENS) throw malformed(`The body has more than ${MAX_TOKENS} keys and values.`);
      at = takeValue(char, at);
    }
  }
  return { hasLongNumbers };

  function takeValue(char: string, at: number): number {
    if (char === '{' || char === '[') {
      open.push({ keys: char === '{' ? new Set() : undefined });
      if (open.length > MAX_DEPTH) throw malformed(`The body is nested deeper than ${MAX_DEPTH} levels.`);
      keyIsNext = char === '{';
      return at + 1;
    }
    if (char === '"') {
      const end = endOfString(text, at);
      const string = readString(text.slice(at, end));
      if (keyIsNext) takeKey(string, open.at(-1));
      return end;
    }
    const end = endOfWord(text, at);
    if (char !== 't' && char !== 'f' && char !== 'n') takeNumber(text.slice(at, end));
    return end;
  }

  function takeNumber(literal: string): void {
    if (fitsDouble(literal)) return;
    hasLongNumbers = true;
    // A tool is called with `params.arguments` over MCP, also in a batch, and with the `params` beside `tool` over HTTP.
    const [message, params] = open.filter(({ keys }) => keys);
    if (message?.key !== 'params') throw tooLong(literal);
    if (params?.key !== 'arguments') message.doubtful = literal;
  }
}

const IGNORED = new Set([' ', '\n', '\r', '\t']);
const ENDS_WORD = new Set([...IGNORED, ',', ':', '}', ']', '{', '[', '"']);

function endOfWord(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && !ENDS_WORD.has(text[end] ?? '')) end += 1;
  return end;
}

function tooLong(literal: string): FrameError {
  return malformed(`The number ${literal.slice(0, 40)} would lose digits on its way.`);
}

/** Whether it comes out as it went in. What is not a number at all is left to JSON.parse. */
function fitsDouble(literal: string): boolean {
  const value = Number(literal);
  if (!/^-?\d/.test(literal) || Number.isNaN(value)) return true;
  const digits = significantDigits(literal);
  if (digits === '' || !Number.isFinite(value)) return digits === '';
  const hasAllDigits = Math.abs(value) >= LEAST_NORMAL && digits.length <= 15;
  return hasAllDigits || digits === significantDigits(String(value));
}

/** From here on up, a double gives back any 15 digits. */
const LEAST_NORMAL = 2 ** -1022;

function keepAsWritten(_key: string, value: unknown, { source }: { source?: string } = {}): unknown {
  return typeof value === 'number' && source !== undefined && !fitsDouble(source) ? source : value;
}

function significantDigits(literal: string): string {
  // No pattern here may end in `$`: one that fails there begins anew at the next place, and a megabyte takes an hour.
  const [mantissa = ''] = literal.split(/e/i, 1);
  const digits = mantissa.replace(/[-.]/g, '').replace(/^0+/, '');
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

function readString(quoted: string): string {
  const value = quoted.includes('\\') ? unquote(quoted) : quoted.slice(1, -1);
  if (!value.isWellFormed()) throw malformed('The body has half of a surrogate pair.');
  return value;
}

function takeKey(key: string, object: Open | undefined): void {
  if (!object?.keys) return;
  if (key === '__proto__') throw malformed('The body has a key `__proto__`.');
  if (object.keys.has(key)) throw malformed('The body has the same key twice in one object.');
  object.keys.add(key);
  object.key = key;
}

function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted);
  } catch {
    throw malformed('The body is not JSON.');
  }
}
