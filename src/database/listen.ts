import { setTimeout as pause } from 'node:timers/promises';
import type { Connection } from './connect.ts';
import { quoteName } from './quote.ts';

export interface ListenOptions {
  open(onNotify: (channel: string, payload: string) => void): Promise<Connection>;
  channel: string;
  onNotify(payload: string): void;
  /** It listens again after a loss; what was sent meanwhile is gone. */
  onGap(): void;
  /** One of the two threw. */
  onCrash(error: unknown): void;
  heartbeatMs?: number;
}

/** Listens until the returned function is called. Rejects when the first attempt fails; later ones are repeated. */
export async function startListening(options: ListenOptions): Promise<() => Promise<void>> {
  const { open, channel, onNotify, onGap, onCrash, heartbeatMs = HEARTBEAT_MS } = options;
  const stopping = new AbortController();
  let connection = await subscribe();
  // A half-open socket is silent for ever: only a question finds out.
  const heartbeat = setInterval(() => connection.query('show timezone').catch(() => {}), heartbeatMs);
  const ended = stay();

  async function subscribe(): Promise<Connection> {
    const fresh = await open((_, payload) => guard(() => onNotify(payload)));
    await fresh.query(`listen ${quoteName(channel)}`).catch(async thrown => {
      await fresh.close();
      throw thrown;
    });
    return fresh;
  }

  async function stay(): Promise<void> {
    let waitMs = FIRST_RETRY_MS;
    for (;;) {
      await connection.closed;
      if (stopping.signal.aborted) return;
      try {
        await pause(waitMs, undefined, { signal: stopping.signal });
        connection = await subscribe();
        waitMs = FIRST_RETRY_MS;
        if (stopping.signal.aborted) await connection.close();
        else guard(onGap);
      } catch {
        waitMs = Math.min(waitMs * 2, LAST_RETRY_MS);
      }
    }
  }

  function guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      onCrash(error);
    }
  }

  return async () => {
    stopping.abort();
    clearInterval(heartbeat);
    await connection.close();
    await ended;
  };
}

// Private

const HEARTBEAT_MS = 20_000;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;
