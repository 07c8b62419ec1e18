import { protectedResource } from '../../access/discovery.ts';
import { mendDifference } from './documents.ts';
import type { Reply } from './network.ts';
import type { Path } from './path.ts';
import { broken, type Finding } from './walk.ts';

/** How a call without a token is refused: programs begin to sign in at this header, and at nothing else. Words only. */
export function faultOfChallenge(reply: Reply, path: Path): Finding | undefined {
  if (reply.status !== 401) return notAsked(reply);
  const challenges = reply.all('www-authenticate');
  const [challenge = ''] = challenges;
  if (challenges.length !== 1) {
    return broken(
      `401 comes with ${challenges.length === 0 ? 'no' : challenges.length} WWW-Authenticate headers; programs need exactly one.`,
      challenges.length === 0 ? EATEN : 'Something in front of the gateway adds one: take it out there.',
    );
  }
  const parameters = readBearer(challenge);
  if (!parameters) return broken(`WWW-Authenticate is not one Bearer challenge: “${challenge}”.`, EATEN);
  return wrongPointer(parameters, path) ?? wrongScope(parameters, path);
}

/** The parameters of a header that is a single Bearer challenge; undefined when it is something else, or more. */
export function readBearer(header: string): Challenge | undefined {
  // Several clients compare the scheme letter by letter, and only at the beginning.
  if (!/^Bearer /.test(header)) return undefined;
  const parameters = new Map<string, string>();
  const next = /\s*([A-Za-z_]+)=(?:"((?:[^"\\]|\\.)*)"|([\w.~+/-]+))\s*(?:,|$)/y;
  next.lastIndex = 'Bearer '.length;
  while (next.lastIndex < header.length) {
    const [, name, quoted, token] = next.exec(header) ?? [];
    if (name === undefined || parameters.has(name)) return undefined;
    parameters.set(name, token ?? quoted?.replaceAll(/\\(.)/g, '$1') ?? '');
  }
  return parameters;
}

// Private

type Challenge = ReadonlyMap<string, string>;

const EATEN = 'Something in front of the gateway changes its answers: look for rules on response headers there.';

function notAsked({ status }: Reply): Finding {
  if (status >= 200 && status <= 299) {
    return broken(
      `A call without a token is answered with ${status}, as if anybody might make it.`,
      'Take the machine off the tunnel now (stop cloudflared there): what answers here lets everybody in.',
    );
  }
  return broken(
    `A call without a token is answered with ${status} instead of 401, so no program begins to sign in.`,
    'Look for rules on POST in front of the gateway (firewall, Cloudflare Access, bot protection) and exempt /frame/mcp.',
  );
}

function wrongPointer(parameters: Challenge, { customer, origin }: Path): Finding | undefined {
  const expected = `${origin}/.well-known/oauth-protected-resource/frame/mcp`;
  const named = parameters.get('resource_metadata');
  if (named === expected) return undefined;
  if (named !== undefined) {
    return broken(`The challenge sends programs to ${named} instead of ${expected}.`, mendDifference(customer.id));
  }
  return broken('The challenge names no resource_metadata, so programs guess where to sign in.', EATEN);
}

function wrongScope(parameters: Challenge, { customer, origin }: Path): Finding | undefined {
  const scopes = (parameters.get('scope') ?? '').split(' ');
  const expected = protectedResource(origin, [customer]).scopes_supported;
  const missing = expected.filter(scope => !scopes.includes(scope));
  if (missing.length === 0) return undefined;
  return broken(`The challenge does not ask for ${missing.join(' ')}.`, mendDifference(customer.id));
}
