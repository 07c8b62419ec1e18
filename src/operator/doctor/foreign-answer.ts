import type { Customer } from '../../customers/customer.ts';
import type { Reply } from './network.ts';
import { broken, type Finding } from './walk.ts';

/** An answer that no gateway of ours gave: which page of Cloudflare it is, or whose else. Words only. */
export function foreignAnswer(reply: Reply, customer: Customer, origin: string): Finding {
  return redirect(reply, origin) ?? (isCloudflare(reply) ? cloudflare(reply, customer, origin) : stranger(reply));
}

// Private

function redirect(reply: Reply, origin: string): Finding | undefined {
  const [location] = reply.all('location');
  if (reply.status < 300 || reply.status > 399 || location === undefined) return undefined;
  const seen = `The answer is a redirect to ${location.split('?')[0]}, which programs do not follow.`;
  if (URL.parse(location, origin)?.hostname.endsWith('.cloudflareaccess.com')) {
    return broken(seen, `Take the Cloudflare Access application away from ${origin}: people sign in at Frame.`);
  }
  return broken(seen, `Take the redirect rule away, or write in customers.yaml as origin what people really reach.`);
}

/** It signs everything that passes through it, so this alone says nothing about whose answer it is. */
function isCloudflare(reply: Reply): boolean {
  return reply.all('cf-ray').length > 0 || reply.all('server').some(name => name.toLowerCase() === 'cloudflare');
}

/** Its pages say a number of their own, as text to programs and in the title to browsers. */
function cloudflare(reply: Reply, { id }: Customer, origin: string): Finding {
  const { status, text } = reply;
  const written = /error code:\s*(\d{3,4})|"error_code":\s*(\d{3,4})|\b(1\d{3}):/i.exec(text)?.slice(1);
  const number = Number(written?.find(digits => digits !== undefined) ?? status);
  const seen = `Cloudflare answers ${status}${number === status ? '' : ` with its error ${number}`}`;
  const isChallenge = reply.all('cf-mitigated').length > 0;
  const page = PAGES.find(({ is }) => is({ status, number, isChallenge, isEmpty: text.trim() === '' }));
  if (!page) return broken(`${seen}, and no gateway of ours did: ${words(text)}.`, STRANGER_MEND);
  const mend = page.mend.replaceAll('HOSTNAME', new URL(origin).hostname).replaceAll('CUSTOMER', id);
  return broken(`${seen}: ${page.seen}.`, mend);
}

interface Page {
  is(answer: { status: number; number: number; isChallenge: boolean; isEmpty: boolean }): boolean;
  seen: string;
  mend: string;
}

/** The first that fits. */
const PAGES: readonly Page[] = [
  {
    is: ({ number, isChallenge }) => isChallenge || [1006, 1009, 1010, 1012, 1020].includes(number),
    seen: 'it turns programs away',
    mend: 'Exempt HOSTNAME from Bot Fight Mode, challenges and firewall rules of its zone: MCP clients cannot solve them.',
  },
  {
    is: ({ status, number }) => number === 1015 || status === 429,
    seen: 'too many requests for a rule of its own',
    mend: 'Exempt HOSTNAME from rate limiting rules.',
  },
  {
    is: ({ number }) => number === 1033,
    seen: 'the name leads to a tunnel, and no cloudflared of it is connected',
    mend: 'Start cloudflared on the machine and look at its log; `frame provision CUSTOMER --dry-run` prints its ingress.',
  },
  {
    is: ({ status }) => status === 530,
    seen: 'the name leads nowhere',
    mend: 'Route it to the tunnel: `cloudflared tunnel route dns <tunnel> HOSTNAME`.',
  },
  {
    is: ({ status }) => status === 502 || status === 504,
    seen: 'cloudflared is connected and gets no good answer on the machine',
    mend: "`frame health CUSTOMER` says whether proxy and slots run there; if they do, send cloudflared to the proxy's port (`frame provision CUSTOMER --dry-run` prints the ingress).",
  },
  {
    is: ({ status }) => status >= 520 && status <= 527,
    seen: 'it calls a server by its address, not through the tunnel',
    mend: 'Route the name to the tunnel: `cloudflared tunnel route dns --overwrite-dns <tunnel> HOSTNAME`.',
  },
  {
    is: ({ status, isEmpty }) => status === 404 && isEmpty,
    seen: 'no ingress rule of the tunnel is for this name',
    mend: 'Add the rule that `frame provision CUSTOMER --dry-run` prints, above the last one.',
  },
];

const STRANGER_MEND =
  "Somebody else's server, or another service of the machine, has this address: compare the DNS record and the tunnel's ingress with what `frame provision` prints.";

function stranger(reply: Reply): Finding {
  const [server] = reply.all('server');
  const who = server === undefined ? 'A server' : `A server (${server})`;
  return broken(`${who} answers ${reply.status}, and it is no gateway of ours: ${words(reply.text)}.`, STRANGER_MEND);
}

/** The title of a page, or how the text begins. */
function words(text: string): string {
  const title = /<title[^>]*>([^<]*)/i.exec(text)?.[1] ?? text;
  const line = title.replaceAll(/\s+/g, ' ').trim();
  return line === '' ? 'it says nothing' : `“${line.length > 80 ? `${line.slice(0, 80)}…` : line}”`;
}
