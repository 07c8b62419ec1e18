import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** Stands between a client and a server on 127.0.0.1, and does what networks do. */
export interface TcpProxy {
  port: number;
  /** How often the client spoke after the server did: the round trips it waited for. */
  readonly turns: number;
  /** From now on nothing passes, and nobody is told. Connections that lost something so stay lost. */
  mute(): void;
  /** From now on everything takes so much longer, in each direction. */
  delay(milliseconds: number): void;
  /** Resets what is open, and every new connection. */
  reset(): void;
  /** From now on each connection breaks when the server has sent so many bytes on it. */
  limit(bytes: number): void;
  /** When the client sends this text, it is passed on; the connection breaks when the server has answered it. */
  cutAfterAnswerTo(text: string): void;
  /** New connections are as at first. */
  heal(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let turns = 0;
  let weather: Weather = CLEAR;

  const server = createServer(client => {
    if (weather.resets) return void client.resetAndDestroy();
    const target = connect(targetPort, '127.0.0.1');
    let serverSpokeLast = true;
    let isLost = false;
    let isCutting = false;
    let answered = 0;

    /** False when nobody will ever hear of it. */
    function passes(): boolean {
      isLost ||= weather.swallows;
      return !isLost;
    }

    client.on('data', bytes => {
      if (!passes()) return;
      if (serverSpokeLast) turns += 1;
      serverSpokeLast = false;
      isCutting ||= weather.trigger !== undefined && bytes.includes(weather.trigger);
      later(() => target.write(bytes));
    });
    target.on('data', bytes => {
      serverSpokeLast = true;
      answered += bytes.length;
      if (isCutting || answered > weather.maxAnswer) client.destroy();
      else if (passes()) later(() => client.write(bytes));
    });
    for (const [one, other] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        if (passes()) other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();

  function later(pass: () => void): void {
    if (weather.delayMs > 0) setTimeout(pass, weather.delayMs);
    else pass();
  }

  return {
    port: typeof address === 'object' && address ? address.port : 0,
    get turns() {
      return turns;
    },
    mute() {
      weather = { ...weather, swallows: true };
    },
    delay(delayMs) {
      weather = { ...weather, delayMs };
    },
    reset() {
      weather = { ...weather, resets: true };
      for (const socket of sockets) socket.resetAndDestroy();
    },
    limit(maxAnswer) {
      weather = { ...weather, maxAnswer };
    },
    cutAfterAnswerTo(trigger) {
      weather = { ...weather, trigger };
    },
    heal() {
      weather = CLEAR;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

// Private

interface Weather {
  swallows: boolean;
  resets: boolean;
  delayMs: number;
  maxAnswer: number;
  trigger: string | undefined;
}

const CLEAR: Weather = {
  swallows: false,
  resets: false,
  delayMs: 0,
  maxAnswer: Number.POSITIVE_INFINITY,
  trigger: undefined,
};
