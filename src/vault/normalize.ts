import type { PiiKind } from './pii-kind.ts';

/**
 * The form in which two spellings of one value are equal, version 1. Blind indexes hold digests of it: another rule for a
 * kind is another version and another index, never a change of this one. Total: every text has a form.
 */
export const NORMALIZE_VERSION = 1;

export function normalize(kind: PiiKind, text: string): string {
  return RULES[kind](text);
}

// Private

const RULES: Record<PiiKind, (text: string) => string> = {
  // Nobody knows what it is, so nothing but its encoding is taken for spelling.
  other: text => text.normalize('NFC'),
  name: folded,
  address: folded,
  email: folded,
  birth_date: folded,
  phone,
  iban: identifier,
  tax_id: identifier,
  national_id: identifier,
};

/** Lower case may compose or decompose characters, so the form is made again. Locales have no say: `I` is always `i`. */
function folded(text: string): string {
  const spaced = text.normalize('NFKC').trim().replaceAll(/\s+/g, ' ');
  return spaced.toLowerCase().normalize('NFKC');
}

/** The digits of E.164, when there is nothing else in it. A number without its country stays another number. */
function phone(text: string): string {
  const bare = folded(text)
    .replace(/^\+|^00/, '')
    .replaceAll('(0)', '')
    .replaceAll(/[\s().\-/]/g, '');
  return /^\d+$/.test(bare) ? bare : folded(text);
}

function identifier(text: string): string {
  return folded(text).replaceAll(/[\s.\-/]/g, '');
}
