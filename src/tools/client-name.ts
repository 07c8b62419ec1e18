/** A program as it introduced itself, fit for the audit: printable ASCII, at most 100 characters. */
export function toClientName(name: string | null): string | undefined {
  return name?.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_LENGTH);
}

// Private

const MAX_LENGTH = 100;
