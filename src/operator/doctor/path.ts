import type { Customer } from '../../customers/customer.ts';
import type { Network } from './network.ts';

/** What a client walks, from the address that people typed to the tools of their company. */
export interface Path {
  customer: Customer;
  /** Of the customer, or the one that stands for it. */
  origin: string;
  network: Network;
}
