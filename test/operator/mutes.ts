import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** Machines that take every connection and say nothing. */
export interface Mutes extends AsyncDisposable {
  ports: readonly number[];
  /** How many of them were waited for at the same time, at most. */
  mostAtOnce(): number;
}

export async function startMutes(count: number): Promise<Mutes> {
  const held = Array.from({ length: count }, () => new Set<Socket>());
  let most = 0;
  const servers = held.map(sockets =>
    createServer(socket => {
      sockets.add(socket);
      most = Math.max(most, held.filter(({ size }) => size > 0).length);
      // Only who reads hears that the other side has left.
      socket.resume();
      socket.on('error', () => {});
      socket.on('close', () => sockets.delete(socket));
    }).listen(0, '127.0.0.1'),
  );
  await Promise.all(servers.map(server => once(server, 'listening')));
  return {
    ports: servers.map(server => (server.address() as AddressInfo).port),
    mostAtOnce: () => most,
    async [Symbol.asyncDispose]() {
      for (const socket of held.flatMap(sockets => [...sockets])) socket.destroy();
      for (const server of servers) server.close();
    },
  };
}
