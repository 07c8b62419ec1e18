import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:https';
import { buffer } from 'node:stream/consumers';

/** What stands in front of a gateway on the internet: TLS, and whatever somebody configured there. */
export interface Front extends AsyncDisposable {
  port: number;
  /** Certificates for it are taken from here on for new connections. */
  show(certificate: { key: string; cert: string }): void;
  /** Every answer of this path (all of them without one) goes through here, until `restore`. */
  change(path: string | undefined, change: Change): void;
  /** The Host that the gateway gets to see. */
  sendHost(host: string): void;
  restore(): void;
}

export interface Passed {
  method: string;
  status: number;
  /** Name and value by turns, as they go over the wire. */
  headers: string[];
  body: string;
}

export type Change = (answer: Passed) => Passed | Promise<Passed>;

export async function startFront(gatewayPort: number, certificate: { key: string; cert: string }): Promise<Front> {
  const changes: { path: string | undefined; change: Change }[] = [];
  let host: string | undefined;
  const server = createServer(certificate, async (asked, answer) => {
    const { method = 'GET', url = '/' } = asked;
    const headers = { ...asked.headers, ...(host !== undefined && { host }) };
    const passed = request({ host: '127.0.0.1', port: gatewayPort, method, path: url, headers, agent: false });
    passed.end(await buffer(asked));
    const [reply] = await once(passed, 'response');
    const body = (await buffer(reply)).toString();
    let last: Passed = { method, status: reply.statusCode, headers: reply.rawHeaders, body };
    for (const { path, change } of changes) if (path === undefined || path === url) last = await change(last);
    answer.sendDate = false;
    answer.writeHead(last.status, without(last.headers, 'content-length', 'transfer-encoding', 'connection'));
    answer.end(last.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    show: shown => server.setSecureContext(shown),
    change: (path, change) => void changes.push({ path, change }),
    sendHost(sent) {
      host = sent;
    },
    restore() {
      changes.length = 0;
      host = undefined;
      server.setSecureContext(certificate);
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** A page of somebody else instead of the answer. */
export function instead(status: number, headers: Record<string, string>, body = ''): Change {
  return ({ method }) => ({ method, status, headers: Object.entries(headers).flat(), body });
}

/** The answer with other headers; undefined takes one away. */
export function withHeaders(changes: Record<string, string | string[] | undefined>): Change {
  return answer => {
    const kept = without(answer.headers, ...Object.keys(changes));
    const added = Object.entries(changes).flatMap(([name, values = []]) =>
      [values].flat().flatMap(value => [name, value]),
    );
    return { ...answer, headers: [...kept, ...added] };
  };
}

/** The answer's JSON with other values; undefined takes one away. */
export function withBody(changes: Record<string, unknown>): Change {
  return answer => {
    // A preflight has none.
    if (answer.body === '') return answer;
    return { ...answer, body: JSON.stringify({ ...JSON.parse(answer.body), ...changes }) };
  };
}

// Private

function without(headers: readonly string[], ...names: string[]): string[] {
  return headers.filter((_, i) => !names.includes((headers[i - (i % 2)] ?? '').toLowerCase()));
}
