import { FrameError } from '../../errors.ts';

/**
 * `text` as a constant in a statement. DDL takes no parameters, so this is the only way for a caller's value into SQL:
 * quotes are doubled, and a backslash makes it an E'' constant, which means the same whatever
 * standard_conforming_strings is. Throws `args/invalid` for what Postgres cannot store.
 */
export function sqlLiteral(text: string): string {
  // An unpaired surrogate would silently become another character on the wire.
  if (text.includes('\0') || !text.isWellFormed()) {
    throw new FrameError('args/invalid', 'Text cannot contain NUL characters or halves of characters.');
  }
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? `E${quoted}` : quoted;
}

/** A constant of a type; `type` is one of ours, never a caller's text. */
export function typedLiteral(text: string, type: string): string {
  return `${sqlLiteral(text)}::${type}`;
}
