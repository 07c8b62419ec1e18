import { unavailable } from '../errors.ts';

/**
 * Natural group commit: one write at a time; what arrives meanwhile waits and goes out together with the next one. No
 * timer, so a lone item waits for nothing. It does not retry.
 */
export interface GroupCommit<Item> {
  /** Resolves when the write that holds the item is done; rejects `unavailable` at once when too many wait. */
  add(item: Item): Promise<void>;
  /** Writes what waits; later items are refused. */
  close(): Promise<void>;
}

export interface GroupCommitOptions<Item> {
  write(items: Item[]): Promise<void>;
  /** Items in one write. */
  flushRecords: number;
  /** Items that may wait. */
  queue: number;
}

export function createGroupCommit<Item>({ write, flushRecords, queue }: GroupCommitOptions<Item>): GroupCommit<Item> {
  const waiting: Waiting<Item>[] = [];
  let flushing: Promise<void> | undefined;
  let closed = false;

  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.splice(0, flushRecords);
      try {
        await write(group.map(({ item }) => item));
        for (const { resolve } of group) resolve();
      } catch (thrown) {
        // Who waits behind a failed write would wait as long for the same answer.
        for (const { reject } of [...group, ...waiting.splice(0)]) reject(thrown);
      }
    }
    flushing = undefined;
  }

  return {
    add: item =>
      new Promise((resolve, reject) => {
        if (closed) return reject(unavailable('The gateway is shutting down.'));
        if (waiting.length >= queue) return reject(unavailable('Too many calls wait to be recorded.'));
        waiting.push({ item, resolve, reject });
        flushing ??= flush();
      }),
    async close() {
      closed = true;
      await flushing;
    },
  };
}

// Private

interface Waiting<Item> {
  item: Item;
  resolve(): void;
  reject(reason: unknown): void;
}
