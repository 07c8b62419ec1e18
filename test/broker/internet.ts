import type { RequestListener } from 'node:http';
import type { Network } from '../../src/broker/public-network.ts';
import { type DocumentHost, PUBLIC, startDocumentHost } from './document-host.ts';

/** Several hosts on the make-believe internet, each with its documents by path. */
export interface Internet extends AsyncDisposable {
  network: Network;
  /** All that were asked for, as `claude.ai/oauth/…`. */
  requests(): string[];
}

/** Documents by their address. */
export async function startInternet(documents: ReadonlyMap<string, unknown>): Promise<Internet> {
  const hosts = new Map<string, DocumentHost>();
  for (const address of documents.keys()) {
    const { hostname } = new URL(address);
    if (hosts.has(hostname)) continue;
    const host = await startDocumentHost(hostname);
    host.answer = answerOf(hostname);
    hosts.set(hostname, host);
  }

  function answerOf(hostname: string): RequestListener {
    return ({ url }, response) => {
      const document = documents.get(`https://${hostname}${url}`);
      const status = document ? 200 : 404;
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document));
    };
  }

  return {
    network: {
      resolve: async name => (hosts.has(name) ? [PUBLIC] : Promise.reject(new Error('no such name'))),
      connect(addresses, options) {
        const host = hosts.get(options.servername ?? '');
        if (!host) throw new Error(`nobody is at ${options.servername}`);
        return host.network.connect(addresses, options);
      },
    },
    requests: () => [...hosts.values()].flatMap(({ requests }) => requests),
    async [Symbol.asyncDispose]() {
      await Promise.all([...hosts.values()].map(host => host.close()));
    },
  };
}
