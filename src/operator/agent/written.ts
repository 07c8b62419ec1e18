/**
 * What one of our files holds, when it is what we wrote there: a power failure, a full disk or a person may have left
 * anything. Undefined for what is no JSON object with these values in it.
 */
export function readWritten<T>(text: string | undefined, shape: Shape<T>): T | undefined {
  try {
    const value: unknown = JSON.parse(text ?? '');
    return isShaped(value, shape) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isShaped<T>(value: unknown, shape: Shape<T>): value is T {
  if (typeof value !== 'object' || value === null) return false;
  const held = new Map(Object.entries(value));
  return Object.entries(shape).every(([name, type]) => typeof held.get(name) === type);
}

/** The names that must be there, and what they hold. */
export type Shape<T> = { readonly [Name in keyof T]?: 'string' | 'number' | 'object' };
