/**
 * JSON text with one form per value: keys in the order of RFC 8785, no white space. What JSON or Postgres cannot hold
 * is replaced: NUL and lone surrogates by U+FFFD, big integers by strings, numbers that are none by null.
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(storable(value));
    case 'number':
      return Number.isFinite(value) ? JSON.stringify(value) : 'null';
    case 'boolean':
      return String(value);
    case 'bigint':
      return `"${value}"`;
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? `[${Array.from(value, canonicalJson).join(',')}]` : canonicalObject(value);
    default:
      return 'null';
  }
}

/** Postgres' text holds no NUL, and UTF-8 no lone surrogate. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\uFFFD');
}

// Private

function canonicalObject(object: object): string {
  // Two keys may become one when they are made storable; a Map keeps the last and knows no prototype.
  const members = new Map<string, unknown>();
  for (const [key, value] of Object.entries(object)) {
    if (value !== undefined) members.set(storable(key), value);
  }
  const keys = [...members.keys()].sort();
  return `{${keys.map(key => `${JSON.stringify(key)}:${canonicalJson(members.get(key))}`).join(',')}}`;
}
