/** How often one address may do something in a minute. Counted in memory: a restart forgives, two slots double. */
export interface AddressLimit {
  /** Counts one; seconds to wait when that is one too many. */
  take(from: string): number | undefined;
}

export function createAddressLimit(perMinute: number, now: () => number): AddressLimit {
  const windows = new Map<string, { count: number; endsAt: number }>();

  function windowOf(from: string) {
    const known = windows.get(from);
    if (known && known.endsAt > now()) return known;
    const fresh = { count: 0, endsAt: now() + MINUTE_MS };
    // Behind the others: what ends first stands first.
    windows.delete(from);
    windows.set(from, fresh);
    return fresh;
  }

  function forget(): void {
    for (const [from, { endsAt }] of windows) {
      if (endsAt > now() && windows.size <= MAX_WINDOWS) return;
      windows.delete(from);
    }
  }

  return {
    take(from) {
      forget();
      const window = windowOf(from);
      if (window.count >= perMinute) return Math.ceil((window.endsAt - now()) / 1000);
      window.count += 1;
      return undefined;
    },
  };
}

// Private

const MINUTE_MS = 60_000;
const MAX_WINDOWS = 10_000;
