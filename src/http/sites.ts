import type { Customer } from '../customers/customer.ts';

/** Where we are addressed: one of the configured origins, and the customers served there. Never built from a request. */
export interface Site {
  origin: string;
  customers: readonly Customer[];
}

export interface Sites {
  /** `host`: the Host header, as sent. */
  byHost(host: string | null): Site | undefined;
}

/** `customers` is asked on every request: a reload replaces the array. */
export function createSites(customers: () => readonly Customer[], originOf: (customer: Customer) => string): Sites {
  let known: readonly Customer[] | undefined;
  let sites = new Map<string, Site>();
  return {
    byHost(host) {
      const current = customers();
      if (current !== known) {
        known = current;
        sites = groupByHost(current, originOf);
      }
      return host === null ? undefined : sites.get(host.toLowerCase());
    },
  };
}

// Private

function groupByHost(customers: readonly Customer[], originOf: (customer: Customer) => string): Map<string, Site> {
  const sites = new Map<string, Site>();
  for (const [origin, served] of Map.groupBy(customers, originOf)) {
    const { host, port, protocol } = new URL(origin);
    const site = { origin, customers: served };
    sites.set(host, site);
    if (!port) sites.set(`${host}:${protocol === 'https:' ? 443 : 80}`, site);
  }
  return sites;
}
