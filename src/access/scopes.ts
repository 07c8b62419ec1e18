/** What a sign-in through the gateway may be for. To write includes to read. */
export const READ_SCOPE = 'frame:read';
export const WRITE_SCOPE = 'frame:write';
export const SCOPES: readonly string[] = [READ_SCOPE, WRITE_SCOPE];

/** The words of a `scope` parameter. Clients send blanks in front, twice, and the same word again. */
export function toScopes(parameter: string): string[] {
  return [...new Set(parameter.split(/\s+/).filter(word => word !== ''))];
}

export function mayRead(scopes: readonly string[]): boolean {
  return scopes.includes(READ_SCOPE) || mayWrite(scopes);
}

export function mayWrite(scopes: readonly string[]): boolean {
  return scopes.includes(WRITE_SCOPE);
}
