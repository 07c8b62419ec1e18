import type { Customer } from '../customers/customer.ts';
import { servedCustomers } from '../customers/customers-file.ts';
import type { Registry } from '../customers/registry.ts';

/** The customers of this process; the same array until the registry changes. */
export function createServed(registry: Registry, pinnedTo: string | undefined): () => readonly Customer[] {
  let customers = registry.current();
  let served = servedCustomers(customers, pinnedTo);
  return () => {
    if (customers === registry.current()) return served;
    customers = registry.current();
    // A pinned customer that was taken out of the file is served no more, and the process waits for its return.
    served = pinnedTo === undefined ? customers.all : customers.all.filter(({ id }) => id === pinnedTo);
    return served;
  };
}
