/**
 * Text from a customer's machine, fit for the operator's terminal: whoever writes a log line there must not move the
 * cursor, change colours or turn the direction of reading here (escape sequences, C1 controls, bidi marks).
 */
export function plain(text: string): string {
  const cut = text.length > MOST ? `${text.slice(0, MOST)}…` : text;
  return cut.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escapeOf);
}

/** The same for what may have several lines. */
export function plainLines(text: string): string[] {
  return text.trimEnd().split(/\r?\n/).map(plain);
}

/** JSON for standard output; it means the same to a program, and nothing to a terminal. */
export function plainJson(value: unknown): string {
  // Unit by unit of UTF-16, as JSON has it.
  const escapeUnits = (letter: string) =>
    Array.from(letter.split(''), unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
  return JSON.stringify(value).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escapeUnits);
}

// Private

const MOST = 2_000;

function escapeOf(letter: string): string {
  if (letter === '\t') return ' ';
  const code = letter.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
