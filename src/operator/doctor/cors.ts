import type { Path } from './path.ts';
import { broken, type Finding, ok } from './walk.ts';

/** Programs that live on a web page (the Inspector) may read nothing that the browser was not allowed to ask for. */
export async function lookAtPreflight({ network, customer, origin }: Path): Promise<Finding> {
  const paths = ['/.well-known/oauth-protected-resource/frame/mcp'];
  if (customer.signIn === 'broker') paths.push('/.well-known/oauth-authorization-server');
  for (const path of paths) {
    const { status, all } = await network.ask(`${origin}${path}`, {
      method: 'OPTIONS',
      headers: {
        Origin: PAGE,
        'Access-Control-Request-Method': 'GET',
        'Access-Control-Request-Headers': 'mcp-protocol-version',
      },
    });
    const isAllowed = ['*', PAGE].includes(all('access-control-allow-origin')[0] ?? '');
    const headers = all('access-control-allow-headers')
      .join(',')
      .toLowerCase()
      .split(/\s*,\s*/);
    if (status >= 200 && status <= 299 && isAllowed && headers.includes('mcp-protocol-version')) continue;
    return broken(
      `A page may not ask for ${path}: the preflight is answered with ${status}${isAllowed ? ', without MCP-Protocol-Version' : ', for no page'}.`,
      'Something in front of the gateway answers OPTIONS itself: let it through.',
    );
  }
  return ok('A page may read the metadata.');
}

// Private

/** Of the Inspector. */
const PAGE = 'http://localhost:6274';
