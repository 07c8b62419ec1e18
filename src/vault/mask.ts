import type { PiiKind } from './pii-kind.ts';

/**
 * What somebody may see who may not read a value: enough to recognise what they know already, and the same number of
 * dots whatever is behind them. Values that are too short for that show nothing.
 */
export function mask(kind: PiiKind, text: string): string {
  return MASKS[kind](text.normalize('NFC').trim());
}

export const MASKED = '•••';

// Private

const MASKS: Record<PiiKind, (text: string) => string> = {
  other: nothing,
  address: nothing,
  birth_date: nothing,
  name: text => firstOf(text),
  email(text) {
    const [, local, domain, top] = /^([^@\s]+)@([^@\s]+)\.([^@.\s]+)$/.exec(text) ?? [];
    return local && domain && top ? `${firstOf(local)}@${firstOf(domain)}.${top}` : MASKED;
  },
  phone: text => lastTwoOf(text.replaceAll(/\D/g, '')),
  iban(text) {
    const bare = text.replaceAll(/\s/g, '').toUpperCase();
    return /^[A-Z]{2}\d{2}[A-Z\d]{8,}$/.test(bare) ? `${bare.slice(0, 2)}${MASKED}${bare.slice(-2)}` : MASKED;
  },
  tax_id: text => lastTwoOf(text),
  national_id: text => lastTwoOf(text),
};

function nothing(): string {
  return MASKED;
}

/** Characters as people see them: half of one would be no character at all. */
const GRAPHEMES = new Intl.Segmenter('en', { granularity: 'grapheme' });
const SHORT = 4;
const SHORT_NUMBER = 8;

function firstOf(text: string): string {
  // Of a very long text only its beginning matters.
  const beginning = Array.from(GRAPHEMES.segment(text.slice(0, 64)), ({ segment }) => segment);
  return beginning.length < SHORT ? MASKED : `${beginning[0]}${MASKED}`;
}

function lastTwoOf(text: string): string {
  return text.length < SHORT_NUMBER ? MASKED : `${MASKED}${[...text.slice(-8)].slice(-2).join('')}`;
}
