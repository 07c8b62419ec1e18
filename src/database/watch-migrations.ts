import { type MigrationState, migrationState } from './migrate.ts';
import type { Place } from './place.ts';
import type { Pools } from './pools.ts';

/** What `ready` says of migrations, and whether it may be ready. */
export interface MigrationWatch {
  /** `applied/latest`; null before the first check. */
  newest(): string | null;
  /** Rejects with a sentence for operators while a schema is behind. */
  check(): Promise<void>;
}

/** Read again at most every half minute while all is well, for only `frame migrate` changes it. */
export function watchMigrations(pools: Pools, places: () => readonly Place[], now: () => number): MigrationWatch {
  let state: MigrationState | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    newest: () => (state ? `${state.applied}/${state.latest}` : null),
    async check() {
      if (now() - readAt > MIGRATIONS_TTL_MS || state?.behind.length) {
        state = await migrationState(pools, places());
        readAt = now();
      }
      if (state?.behind.length) throw new Error(`behind: ${state.behind.join(', ')}; run frame migrate`);
    },
  };
}

// Private

const MIGRATIONS_TTL_MS = 30_000;
