/**
 * Where a wall of walls.ts does not stand: what lacks what, and the SQL that mends it. One list for both, so that what is
 * asserted at boot is exactly what `frame migrate` makes.
 */
export interface Gap {
  /** `login ro_…`, `database frame_axe`, `schema axe_prod` */
  thing: string;
  /** Completes the sentence: `is missing`. */
  lack: string;
  mend: string;
}

/** The answer of a query for gaps: thing, lack, mend. */
export function toGaps({ rows }: { rows: unknown[][] }): Gap[] {
  return rows.map(([thing, lack, mend]) => ({ thing: String(thing), lack: String(lack), mend: String(mend) }));
}

/** One sentence per lack; of what is missing as a whole, nothing else is said. */
export function describeGaps(gaps: readonly Gap[]): string[] {
  const missing = new Set(gaps.filter(({ lack }) => lack === MISSING).map(({ thing }) => thing));
  return gaps
    .filter(({ thing, lack }) => lack === MISSING || !missing.has(thing))
    .map(({ thing, lack }) => `${thing} ${lack}`);
}

// Private

const MISSING = 'is missing';
