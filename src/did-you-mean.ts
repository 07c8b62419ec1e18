/** The candidate that `word` was most likely meant to be: at most two slips away, or begun with it. */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  const typed = word.toLowerCase();
  const allowed = typed.length <= 3 ? 1 : 2;
  let best: string | undefined;
  let fewest = allowed + 1;
  for (const candidate of candidates) {
    const meant = candidate.toLowerCase();
    const begun = typed.length >= 3 && meant.startsWith(typed);
    const slips = Math.min(begun ? allowed : Number.POSITIVE_INFINITY, countSlips(typed, meant, allowed));
    if (slips >= fewest) continue;
    best = candidate;
    fewest = slips;
  }
  return best;
}

/** `; did you mean …?`, or nothing: the end of a sentence about a name that does not exist. */
export function orDidYouMean(word: string, candidates: Iterable<string>): string {
  const meant = didYouMean(word, candidates);
  return meant === undefined ? '' : `; did you mean \`${meant}\`?`;
}

// Private

/** Letters added, lost, changed or swapped with their neighbour (optimal string alignment). */
function countSlips(a: string, b: string, allowed: number): number {
  // Words come from callers: never fill a table for one that is too long to be near.
  if (Math.abs(a.length - b.length) > allowed) return Number.POSITIVE_INFINITY;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      row.push(
        Math.min(changed, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, swapped ? (beforeLast[j - 2] ?? 0) + 1 : changed),
      );
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
