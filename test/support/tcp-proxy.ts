import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and a server on 127.0.0.1, and does what networks do. */
export interface TcpProxy {
  port: number;
  /** How often the client spoke after the server did: the round trips it waited for. */
  readonly turns: number;
  /** From now on nothing passes, and nobody is told. */
  mute(): void;
  /** When the client sends this text, it is passed on; the connection breaks when the server has answered it. */
  cutAfterAnswerTo(text: string): void;
  close(): Promise<void>;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let turns = 0;
  let muted = false;
  let trigger: string | undefined;

  const server = createServer(client => {
    const target = connect(targetPort, '127.0.0.1');
    let serverSpokeLast = true;
    let cutting = false;
    client.on('data', bytes => {
      if (muted) return;
      if (serverSpokeLast) turns += 1;
      serverSpokeLast = false;
      if (trigger && bytes.includes(trigger)) cutting = true;
      target.write(bytes);
    });
    target.on('data', bytes => {
      serverSpokeLast = true;
      if (cutting) client.destroy();
      else if (!muted) client.write(bytes);
    });
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        if (!muted) other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();

  return {
    port: typeof address === 'object' && address ? address.port : 0,
    get turns() {
      return turns;
    },
    mute() {
      muted = true;
    },
    cutAfterAnswerTo(text) {
      trigger = text;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
