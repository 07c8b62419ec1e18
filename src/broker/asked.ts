import type { Customer } from '../customers/customer.ts';

/** One request to the authorization server, taken apart by http/. */
export interface Asked {
  headers: Headers;
  /** Of the address or of the form. */
  parameters: URLSearchParams;
  site: Site;
  requestId: string;
  /** The address of whoever asks. */
  from: string;
}

/** One of our origins, and who signs in there through the gateway. */
export interface Site {
  origin: string;
  customers: readonly Customer[];
}

export function resourceOf({ origin }: Site): string {
  return `${origin}/frame/mcp`;
}

export function callbackOf({ origin }: Site): string {
  return `${origin}/callback/entra`;
}

export function customerOf({ customers }: Site, id: string | undefined): Customer | undefined {
  return customers.find(customer => customer.id === id);
}
