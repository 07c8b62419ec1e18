/** Asks for all customers, eight at once: none of them waits long, and a laptop opens no hundred connections. In order. */
export async function inLanes<T, R>(all: readonly T[], work: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const queue = all.entries();
  const lane = async () => {
    for (const [i, each] of queue) results[i] = await work(each);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return results;
}

// Private

const LANES = 8;
