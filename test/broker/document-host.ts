import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:https';
import { type ConnectionOptions, connect } from 'node:tls';
import type { Network } from '../../src/broker/public-network.ts';
import { selfSigned } from '../support/self-signed.ts';

/** A host on a make-believe internet: names and addresses are made up, the TLS server behind all of them is real. */
export interface DocumentHost {
  /** What the name leads to, one list per question; the last one stays. Default: one public address. */
  addresses: (readonly string[] | Error)[];
  answer: RequestListener;
  /** Paths asked for, Host included. */
  readonly requests: string[];
  /** Names asked for, and the addresses of each connection. */
  readonly lookups: string[];
  readonly connections: (readonly string[])[];
  readonly network: Network;
  close(): Promise<void>;
}

export const PUBLIC = '93.184.215.14';

/** `trusted: false`: its certificate is signed by nobody that the network knows. */
export async function startDocumentHost(hostname: string, { trusted = true } = {}): Promise<DocumentHost> {
  const { key, cert } = selfSigned(hostname);
  const server = createServer({ key, cert }, (request, response) => {
    host.requests.push(`${request.headers.host}${request.url}`);
    host.answer(request, response);
  });
  server.on('tlsClientError', () => {});
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const { port } = address;

  const host: DocumentHost = {
    addresses: [[PUBLIC]],
    answer: (_request, response) => void response.writeHead(404).end(),
    requests: [],
    lookups: [],
    connections: [],
    network: {
      async resolve(name) {
        host.lookups.push(name);
        const answer = host.addresses.length > 1 ? host.addresses.shift() : host.addresses[0];
        if (!answer || answer instanceof Error) throw answer ?? new Error('no such name');
        return answer;
      },
      connect(addresses: readonly string[], options: ConnectionOptions) {
        host.connections.push(addresses);
        return connect({ ...options, host: '127.0.0.1', port, ...(trusted && { ca: cert }) });
      },
    },
    async close() {
      server.closeAllConnections();
      if (server.listening) await once(server.close(), 'close');
    },
  };
  return host;
}

/** Answers this as a document. */
export function serve(body: unknown, headers: Record<string, string> = {}): RequestListener {
  const text = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  return (_request, response) =>
    void response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(text);
}
