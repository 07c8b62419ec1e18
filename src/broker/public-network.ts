import { Resolver } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { isIP } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';

/** The way to hosts that strangers name. What may be reached over it is for document-fetch.ts to say. */
export interface Network {
  /** All addresses of a name, at least one. Rejects when there is none, or when the signal aborts. */
  resolve(hostname: string, signal: AbortSignal): Promise<readonly string[]>;
  /** A connection to one of these addresses and to nothing else, whatever the name leads to by now. */
  connect(addresses: readonly string[], options: ConnectionOptions): TLSSocket;
}

export const publicNetwork: Network = {
  /** Not by getaddrinfo: a slow name server would hold one of the four threads that also read our files. */
  async resolve(hostname, signal) {
    const resolver = new Resolver({ timeout: 1500, tries: 2 });
    signal.addEventListener('abort', () => resolver.cancel(), { once: true });
    const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    const addresses = answers.flatMap(answer => (answer.status === 'fulfilled' ? answer.value : []));
    const failure = answers.find(answer => answer.status === 'rejected');
    if (addresses.length === 0 && failure) throw failure.reason;
    return addresses;
  },
  connect: (addresses, options) => connect({ ...options, lookup: answerWith(addresses) }),
};

// Private

function answerWith(addresses: readonly string[]): LookupFunction {
  const answers = addresses.map(address => ({ address, family: isIP(address) }));
  return (_hostname, options, callback) => {
    const [first] = answers;
    if (options.all || !first) callback(null, answers);
    else callback(null, first.address, first.family);
  };
}
