import { protectedResource } from '../../access/discovery.ts';
import { type Document, mendDifference, readAlike, texts } from './documents.ts';
import type { Path } from './path.ts';
import { broken, type Finding, ok } from './walk.ts';

/** RFC 9728: what this is, and where to sign in for it. */
export async function lookAtResource(path: Path): Promise<Finding> {
  const { network, origin } = path;
  const read = await readAlike(
    network,
    PATHS.map(each => `${origin}${each}`),
  );
  if ('fault' in read) return read.fault;
  return faultOfDocument(read.document, path) ?? ok('The same at all three addresses.');
}

// Private

const PATHS = [
  '/.well-known/oauth-protected-resource/frame/mcp',
  '/.well-known/oauth-protected-resource',
  '/frame/mcp/.well-known/oauth-protected-resource',
];

function faultOfDocument(document: Document, { customer, origin }: Path): Finding | undefined {
  const expected = protectedResource(origin, [customer]);
  const differs = (seen: string) => broken(seen, mendDifference(customer.id));
  if (document.resource !== expected.resource) {
    return differs(
      `\`resource\` is ${JSON.stringify(document.resource)}, not "${expected.resource}". Programs compare it letter by letter with the address that people typed.`,
    );
  }
  // Most clients look at the first one only.
  const [issuer] = texts(document, 'authorization_servers');
  const [expectedIssuer] = expected.authorization_servers;
  if (issuer !== expectedIssuer) {
    return differs(`People are sent to ${issuer ?? 'nobody'} to sign in, not to ${expectedIssuer}.`);
  }
  const scopes = texts(document, 'scopes_supported');
  const missing = expected.scopes_supported.filter(scope => !scopes.includes(scope));
  if (missing.length > 0) return differs(`\`scopes_supported\` lacks ${missing.join(' ')}.`);
  if (texts(document, 'bearer_methods_supported').includes('header')) return undefined;
  return differs('`bearer_methods_supported` lacks "header".');
}
