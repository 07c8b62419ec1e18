/**
 * Who goes when: the canary first and alone, then the others in their order, `size` at once. What is wrong with a release
 * is wrong for one company then, not for all.
 */
export function planBatches<T extends { id: string }>(
  all: readonly T[],
  { canary, size }: { canary: string | undefined; size: number },
): T[][] {
  const first = all.find(({ id }) => id === canary) ?? all[0];
  if (!first) return [];
  const others = all.filter(each => each !== first);
  const batches = [[first]];
  for (let i = 0; i < others.length; i += size) batches.push(others.slice(i, i + size));
  return batches;
}

/** One batch after the other; the first with a failure in it is the last one. Whoever began in it is brought to an end. */
export async function runBatches<T, R>(
  batches: readonly (readonly T[])[],
  work: (each: T) => Promise<R>,
  isFailure: (result: R) => boolean,
): Promise<{ results: R[]; untouched: T[] }> {
  const results: R[] = [];
  for (const [i, batch] of batches.entries()) {
    const ended = await Promise.all(batch.map(work));
    results.push(...ended);
    if (ended.some(isFailure)) return { results, untouched: batches.slice(i + 1).flat() };
  }
  return { results, untouched: [] };
}
