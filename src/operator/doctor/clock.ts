import type { Network } from './network.ts';
import { broken, type Finding, ok, unclear } from './walk.ts';

/** What the clocks of others say, heard in passing in every answer. */
export interface Clocks {
  /** The network, overheard. */
  network: Network;
  /** Seconds that a host is ahead of us; the smallest difference that one of its answers showed. */
  aheadBy: ReadonlyMap<string, number>;
}

/** `now`: milliseconds since 1970, by this computer. */
export function overhearClocks(network: Network, now: () => number): Clocks {
  const aheadBy = new Map<string, number>();
  return {
    aheadBy,
    network: {
      ...network,
      async ask(url, question) {
        const began = now();
        const reply = await network.ask(url, question);
        const [date = ''] = reply.all('date');
        // It was written between the two, and has whole seconds only.
        const ahead = (Date.parse(date) + 500 - (began + now()) / 2) / 1000;
        const { host } = new URL(url);
        const known = aheadBy.get(host) ?? Number.POSITIVE_INFINITY;
        if (!Number.isNaN(ahead) && Math.abs(ahead) < Math.abs(known)) aheadBy.set(host, ahead);
        return reply;
      },
    },
  };
}

/** Tokens are refused when the clocks of those who make and read them differ by more than a minute. */
export function judgeClocks(aheadBy: ReadonlyMap<string, number>): Finding {
  const hosts = [...aheadBy];
  const off = hosts.filter(([, seconds]) => Math.abs(seconds) > MAX_SECONDS);
  if (hosts.length === 0) return unclear('Nobody answered with the time.');
  if (off.length === 0) return ok(`Within ${MAX_SECONDS} s of ${hosts.map(([host]) => host).join(' and ')}.`);
  const seen = `${off.map(([host, seconds]) => `${host} is ${differenceOf(seconds)}`).join(', ')} this computer.`;
  return broken(seen, mendOf(off, hosts));
}

// Private

const MAX_SECONDS = 60;

type Hosts = readonly (readonly [string, number])[];

/** Others who agree with each other are right. */
function mendOf(off: Hosts, all: Hosts): string {
  const seconds = all.map(([, each]) => each);
  const agree = Math.max(...seconds) - Math.min(...seconds) <= MAX_SECONDS;
  if (all.length === 1) return 'Compare with a third clock, and let the wrong one follow a time server.';
  if (agree) return "Set this computer's clock: the others agree.";
  return `Let the clock of ${off.map(([host]) => host).join(' and ')} follow a time server.`;
}

function differenceOf(seconds: number): string {
  return `${Math.round(Math.abs(seconds))} s ${seconds > 0 ? 'ahead of' : 'behind'}`;
}
