import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Network, Reply } from './network.ts';
import { broken, type Finding } from './walk.ts';

/** JSON documents as clients read them. */
export type Document = Readonly<Record<string, unknown>>;

/** What all these addresses say alike: clients differ in which of them they ask. Else a finding why that is not so. */
export async function readAlike(
  network: Network,
  addresses: readonly string[],
): Promise<{ document: Document } | { fault: Finding }> {
  const replies = await Promise.all(addresses.map(address => network.ask(address)));
  const documents: Document[] = [];
  for (const [i, reply] of replies.entries()) {
    const document = readObject(reply);
    const fault = faultOf(reply, document, addresses[i] ?? '');
    if (fault) return { fault };
    if (document) documents.push(document);
  }
  const [document = {}, ...others] = documents;
  if (others.every(other => isDeepStrictEqual(other, document))) return { document };
  return { fault: broken(`These say different things: ${addresses.join(', ')}.`, SOMETHING_IN_FRONT) };
}

/** The JSON object in an answer; undefined when it is none. */
export function readObject({ text }: Reply): Document | undefined {
  try {
    return z.record(z.string(), z.unknown()).safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The value of a key as a list of texts; what is none counts as empty. */
export function texts(document: Document, key: string): string[] {
  return z.array(z.string()).catch([]).parse(document[key]);
}

/** What to do when the machine says other things than customers.yaml here. */
export function mendDifference(customer: string): string {
  return `The machine runs with another customers.yaml or FRAME_ORIGIN: \`frame status ${customer}\` shows how it differs, \`frame deploy ${customer}\` brings yours.`;
}

// Private

const SOMETHING_IN_FRONT =
  'The gateway says it to whoever asks: look for a rule on /.well-known in front of it (redirects, caches, other services of the origin).';

function faultOf(reply: Reply, document: Document | undefined, address: string): Finding | undefined {
  const [type = 'nothing'] = reply.all('content-type');
  if (reply.status !== 200) return broken(`${address} answers ${reply.status}.`, SOMETHING_IN_FRONT);
  if (document && /^application\/json\b/i.test(type)) return undefined;
  return broken(`${address} answers with ${type}${document ? '' : ' that is no JSON object'}.`, SOMETHING_IN_FRONT);
}
