import type { Check } from './table.ts';

/** Completes "must …": `be at least 0 and at most 10`. */
export function describeCheck({ min, max, min_length, max_length, one_of, pattern }: Check): string {
  const rules = [
    min !== undefined && `be at least ${min}`,
    max !== undefined && `be at most ${max}`,
    min_length !== undefined && `have at least ${min_length} characters`,
    max_length !== undefined && `have at most ${max_length} characters`,
    one_of !== undefined && `be one of ${one_of.join(', ')}`,
    pattern !== undefined && `match ${pattern}`,
  ];
  return rules.filter(Boolean).join(' and ');
}
