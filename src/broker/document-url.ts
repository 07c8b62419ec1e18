/**
 * A client id that is the address of a document: https on its usual port, with a path, at a name with a dot. It is the id
 * of the client letter by letter, so only the one spelling is taken that a parser would give it: that leaves out dot
 * segments, user, default port, upper case, and numbers that are addresses in disguise. Undefined when it is none.
 */
export function readDocumentUrl(clientId: string, ownOrigins: readonly string[]): URL | undefined {
  const url = clientId.length <= MAX_LENGTH ? URL.parse(clientId) : null;
  if (url?.protocol !== 'https:' || url.href !== clientId || clientId.includes('#')) return undefined;
  if (url.username || url.password || url.port || url.pathname === '/') return undefined;
  if (!/\.[a-z][a-z0-9-]*$/.test(url.hostname)) return undefined;
  // Asking ourselves, who would ask ourselves.
  return ownOrigins.some(origin => new URL(origin).hostname === url.hostname) ? undefined : url;
}

// Private

const MAX_LENGTH = 2000;
