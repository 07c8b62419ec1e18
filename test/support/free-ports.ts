import { createServer } from 'node:net';

/**
 * Neighbouring ports that nobody is given meanwhile: below those that the kernel hands out, in a range of this worker's
 * own, and none twice in a row.
 */
export async function freePorts(count = 3): Promise<number> {
  for (;;) {
    if (next + count > begin + SHARE) next = begin;
    const first = next;
    next += count;
    const all = Array.from({ length: count }, (_, i) => first + i);
    if ((await Promise.all(all.map(isFree))).every(Boolean)) return first;
  }
}

// Private

const LOWEST = 20_000;
const SHARE = 3000;
/** Vitest counts its workers from 1; what runs before them has the first share. */
const begin = LOWEST + (Number(process.env.VITEST_POOL_ID ?? 0) % 4) * SHARE;
/** Somewhere, for another run may be going on beside this one, and the file before this one left its ports just now. */
let next = begin + Math.floor(Math.random() * SHARE);

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise(resolve => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
