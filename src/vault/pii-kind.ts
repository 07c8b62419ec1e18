/**
 * The kinds of personal data, a closed list: a kind decides how values are compared and how they are masked. Whatever a
 * kind says is about columns that hold one such value per row.
 */
export const PII_KINDS = [
  'other',
  'name',
  'email',
  'phone',
  'address',
  'iban',
  'tax_id',
  'national_id',
  'birth_date',
] as const;

export type PiiKind = (typeof PII_KINDS)[number];

/** Types whose values survive the way into a cell and back, digit by digit. */
export const SEALABLE_TYPES = ['text', 'date', 'numeric', 'json'] as const;

export type SealableType = (typeof SEALABLE_TYPES)[number];

/**
 * Whether equal values can be found by an index. Whoever holds its key can try all dates, numbers of a salary or answers
 * to a question within seconds, so only text of many possible values has one.
 */
export function isIndexable(kind: PiiKind, type: SealableType): boolean {
  return type === 'text' && kind !== 'birth_date';
}
